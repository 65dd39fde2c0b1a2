# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``plexus_msgs/msg/MetricArray``: a message that says itself what its metrics are."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.errors import PointError
from plexus_bridge.mapping.every_message import EveryMessage
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.reader import compile_reader
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.stamps import message_stamp
from plexus_bridge.mapping.template import placeholders
from plexus_bridge.points import check_name
from plexus_bridge.points import MAX_TAG_BYTES
from plexus_bridge.points import MAX_TAGS
from plexus_bridge.points import trim

SELF_DESCRIBING = 'plexus_msgs/msg/MetricArray'
_LANES = ('state', 'bulk')
_PATHS = ('stamp', 'lane', 'tags[*].key', 'tags[*].value', 'metrics[*].stamp', 'metrics[*].name',
          'metrics[*].value', 'metrics[*].unit', 'metrics[*].tags[*].key',
          'metrics[*].tags[*].value')


def _check_filled(texts: Mapping[str, str]) -> None:
    for where, text in texts.items():
        for placeholder in placeholders(text):
            raise MappingError(
                f'{where}: {{{placeholder}}} is no wildcard of the topic, and the metrics of a '
                f'{SELF_DESCRIBING} share no field to take it from')


class MetricArrayMapper(EveryMessage):
    """Maps every metric of every message, with the names, units and tags that it brings."""

    def __init__(self, rule: MetricRule, message: Message, sinks: Mapping[str, Sink],
                 counters: Counters):
        _check_filled({'prefix': rule.prefix or '', **{
            f'tag {key}': value for key, value in rule.tags.items()}})
        self._prefix = f'{rule.prefix}.' if rule.prefix else ''
        self._tags = dict(rule.tags)
        self._from_header = rule.timestamp == 'header'
        self._sinks = sinks
        self._counters = counters
        self._read = compile_reader(message, [parse_path(path) for path in _PATHS])

    def take(self, data: bytes, received_ms: int) -> None:
        """Map one message; MappingError if it cannot be read."""
        (stamp, lane, keys, texts, stamps, names, values, units, metric_keys,
         metric_texts) = self._read(data)
        sink = self._sinks[_LANES[lane] if lane < len(_LANES) else 'state']
        when = self._stamp(stamp, received_ms, received_ms)
        tags = {**self._tags, **dict(zip(keys, texts, strict=True))}
        for index, name in enumerate(names):
            own = dict(zip(metric_keys[index], metric_texts[index], strict=True))
            self._write(sink, self._prefix + name, values[index],
                        self._stamp(stamps[index], received_ms, when),
                        {**tags, **({'unit': units[index]} if units[index] else {}), **own})

    def _stamp(self, stamp: tuple[int, int], received_ms: int, without: int) -> int:
        if not self._from_header or not any(stamp):
            return without
        return message_stamp(stamp, received_ms, self._counters)

    def _write(self, sink: Sink, metric: str, value: float, stamp: int,
               tags: Mapping[str, str]) -> None:
        if not math.isfinite(value):
            self._counters.drop('not_finite')
            return
        try:
            check_name(metric)
        except PointError:
            self._counters.drop('bad_name')
            return
        point: dict[str, Any] = {
            'class': 'metric', 'metric': metric, 'value': value, 'timestamp': stamp}
        if tags:
            if len(tags) > MAX_TAGS:
                self._counters.add('tags_left_out', len(tags) - MAX_TAGS)
            point['tags'] = {
                trim(key, MAX_TAG_BYTES): trim(text, MAX_TAG_BYTES)
                for key, text in list(tags.items())[:MAX_TAGS]}
        sink.add(point)

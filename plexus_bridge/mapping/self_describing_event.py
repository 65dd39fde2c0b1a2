# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``plexus_msgs/msg/Event``: a message that says itself which event it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.counters import Counters
from plexus_bridge.mapping.event_points import make_event
from plexus_bridge.mapping.event_points import SEVERITIES
from plexus_bridge.mapping.every_message import EveryMessage
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.reader import compile_reader
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.stamps import message_stamp

SELF_DESCRIBING_EVENT = 'plexus_msgs/msg/Event'
_AUTO, _BOOLEAN, _NUMBER, _STRING, _JSON = range(5)
_PATHS = ('stamp', 'name', 'severity', 'value.type', 'value.boolean', 'value.number',
          'value.text', 'tags[*].key', 'tags[*].value')


class EventMessageMapper(EveryMessage):
    """Makes an event of every message, with the name, value, severity and tags that it brings."""

    def __init__(self, message: Message, tags: Mapping[str, str], sink: Sink,
                 counters: Counters, *, from_header: bool = True):
        self._tags = dict(tags)
        self._from_header = from_header
        self._sink = sink
        self._counters = counters
        self._read = compile_reader(message, [parse_path(path) for path in _PATHS])

    def take(self, data: bytes, received_ms: int) -> None:
        """Map one message; MappingError if it cannot be read."""
        stamp, name, severity, kind, truth, number, text, keys, texts = self._read(data)
        if not name:
            self._counters.drop('bad_name')
            return
        when = message_stamp(stamp, received_ms, self._counters) \
            if self._from_header and any(stamp) else received_ms
        self._sink.add(make_event(
            name, _value(kind, truth, number, text), when,
            {**self._tags, **dict(zip(keys, texts, strict=True))}, SEVERITIES.get(severity, '')))


def _value(kind: int, truth: bool, number: float, text: str) -> Any:
    if kind == _BOOLEAN:
        return bool(truth)
    if kind == _NUMBER:
        return number
    if kind == _STRING:
        return text
    if kind == _JSON:
        try:
            value = encoding.loads(text)
        except ValueError:
            return text  # what it says is worth more than what it was meant to be
        return value if value is not None else 'null'
    return text or number or True

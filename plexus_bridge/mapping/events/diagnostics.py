# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``diagnostic_msgs/msg/DiagnosticArray``: an event for each change of a status's level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
import math
from typing import Any
from typing import NamedTuple

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.event_points import make_event
from plexus_bridge.mapping.events.flapping import Flapping
from plexus_bridge.mapping.events.levels import LEVEL_NAMES
from plexus_bridge.mapping.events.levels import LEVEL_SEVERITIES
from plexus_bridge.mapping.events.levels import Levels
from plexus_bridge.mapping.events.levels import MAX_STATUSES
from plexus_bridge.mapping.events.levels import STALE
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.every_message import EveryMessage
from plexus_bridge.mapping.fields import MAX_SERIES
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.reader import compile_reader
from plexus_bridge.mapping.series import short_hash
from plexus_bridge.mapping.series import trim_name
from plexus_bridge.mapping.sinks import make_point
from plexus_bridge.mapping.sinks import MetricName
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.stamps import message_stamp
from plexus_bridge.mapping.template import fill
from plexus_bridge.mapping.template import fill_name
from plexus_bridge.mapping.template import name_part
from plexus_bridge.points import MAX_TAG_BYTES
from plexus_bridge.points import trim

DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
DEFAULT_EVENT = 'diagnostics.{name}'
# How often numbers of a status become metrics.
METRICS_PERIOD_MS = 1000
_HEADS = ('status[*].name', 'status[*].level')
_DETAILS = ('header.stamp', 'status[*].message', 'status[*].hardware_id',
            'status[*].values[*].key', 'status[*].values[*].value')


class _Change(NamedTuple):
    name: str
    level: int
    before: int
    stamp_ms: int
    details: Mapping[str, Any]


class DiagnosticsMapper(EveryMessage):
    """
    Reads names and levels of each message, and the rest only where a level changed.

    A status that is not heard for `stale_s` is told as STALE, and its return as well. One that
    changes all the time is told of now and then, with the number of its changes.
    """

    settles = True

    def __init__(self, rule: EventRule, message: Message, captures: Mapping[str, str],
                 sinks: Mapping[str, Sink], counters: Counters):
        self._event = fill_name(rule.event or DEFAULT_EVENT, captures)
        self._tags = {key: fill(value, captures) for key, value in rule.tags.items()}
        self._metrics = fill_name(rule.metrics, captures)
        self._from_header = rule.timestamp == 'header'
        self._urgent, self._state = sinks['urgent'], sinks['state']
        self._counters = counters
        self._levels = Levels(rule.stale_s)
        self._heads = compile_reader(message, [parse_path(path) for path in _HEADS])
        self._details = compile_reader(message, [parse_path(path) for path in _DETAILS])
        # When each status's numbers became metrics last, by stamps of receipt.
        self._measured: dict[str, int] = {}
        self._metric_names: dict[tuple[str, str], MetricName] = {}
        self._taken: dict[str, tuple[str, str]] = {}
        # Each status's hardware, to be told as well when nothing else is heard of it.
        self._hardware: dict[str, str] = {}
        self._flapping: Flapping[_Change] = Flapping()
        # When the last message was received: by its stamp, and by the clock of `settle`.
        self._newest_ms = 0
        self._newest_at_ms: int | None = None

    def take(self, data: bytes, received_ms: int) -> None:
        """Take one message; MappingError if it cannot be read."""
        names, levels = self._heads(data)
        changes = []
        for index, name in enumerate(names):
            before = self._levels.heard(name, levels[index])
            if before is not None:
                changes.append((index, before))
        is_new = not self._hardware.keys() >= {*names}
        self._newest_ms, self._newest_at_ms = received_ms, None
        measured = [index for index, name in enumerate(names)
                    if self._is_to_be_measured(name, received_ms)] if self._metrics else ()
        if not changes and not measured and not is_new:
            return
        try:
            stamp, messages, hardware, keys, texts = self._details(data)
        except MappingError:
            # What could not be told is news when it comes again.
            for index, before in reversed(changes):
                self._levels.heard(names[index], before)
            raise
        self._note_hardware(names, hardware)
        when = message_stamp(stamp, received_ms, self._counters) if self._from_header and any(
            stamp) else received_ms
        for index, before in changes:
            values = _members(keys[index], texts[index])
            self._offer(_Change(names[index], levels[index], before, when, {
                'message': messages[index], 'hardware_id': hardware[index], 'values': values}))
        for index in measured:
            self._measure(names[index], _members(keys[index], texts[index]), when)

    def settle(self, now_ms: int) -> None:
        """Tell which statuses are heard no more."""
        if self._newest_at_ms is None:
            self._newest_at_ms = now_ms
        for change, more in self._flapping.due(now_ms):
            self._tell(change, more)
        for name, before in self._levels.gone(now_ms):
            self._offer(_Change(
                name, STALE, before, self._newest_ms + now_ms - self._newest_at_ms,
                {'message': 'not heard any more', 'hardware_id': self._hardware.get(name, ''),
                 'values': {}}))

    def finish(self) -> None:
        """Do nothing: that a recording ends says nothing of a robot."""

    def _note_hardware(self, names: list[str], hardware: list[str]) -> None:
        if len(self._hardware) + len(names) > MAX_STATUSES:
            self._hardware.clear()
        for name, identity in zip(names[:MAX_STATUSES], hardware, strict=False):
            self._hardware[name] = trim(identity, MAX_TAG_BYTES)

    def _offer(self, change: _Change) -> None:
        more = self._flapping.offer(change.name, change)
        if more is not None:
            self._tell(change, more)

    def _tell(self, change: _Change, more: int) -> None:
        name, level, before, stamp_ms, details = change
        value: dict[str, Any] = {
            'level': LEVEL_NAMES.get(level, str(level)),
            'previous': LEVEL_NAMES.get(before, str(before)), 'name': name,
            **({'changes': more} if more else {}),
            **{key: detail for key, detail in details.items() if detail}}
        hardware = self._tags.get('hardware_id') or details['hardware_id']
        self._urgent.add(make_event(
            fill(self._event, {'name': name_part(name)}), value, stamp_ms, self._tags,
            LEVEL_SEVERITIES.get(level, 'error'), {'hardware_id': hardware} if hardware else {}))

    def _is_to_be_measured(self, name: str, received_ms: int) -> bool:
        last = self._measured.get(name)
        if last is not None and 0 <= received_ms - last < METRICS_PERIOD_MS:
            return False
        if last is None and len(self._measured) >= MAX_STATUSES:
            self._measured.clear()
        self._measured[name] = received_ms
        return True

    def _measure(self, name: str, values: Mapping[str, str], stamp_ms: int) -> None:
        for key, text in values.items():
            try:
                value = float(text)
            except ValueError:
                continue
            if math.isfinite(value):
                metric = self._metric_names.get((name, key)) or self._name_metric(name, key)
                self._state.add(make_point(metric, value, stamp_ms))
            else:
                self._counters.drop('not_finite')

    def _name_metric(self, name: str, key: str) -> MetricName:
        if len(self._metric_names) >= MAX_SERIES:
            self._metric_names.clear()
            self._taken.clear()
        metric = fill(self._metrics, {'name': name_part(name), 'key': name_part(key)})
        # Two names that look the same once their signs are gone must not become one metric.
        if self._taken.setdefault(metric, (name, key)) != (name, key):
            metric += short_hash(repr((name, key)))
        made = self._metric_names[name, key] = trim_name(metric, self._tags)
        return made


def _members(keys: list[str], texts: list[str]) -> dict[str, str]:
    """Return key values as an object; a key that comes again is told from the first by ``#2``."""
    members = dict(zip(keys, texts, strict=True))
    if len(members) < len(keys):
        members = {}
        seen: Counter[str] = Counter()
        for key, text in zip(keys, texts, strict=True):
            seen[key] += 1
            members[f'{key}#{seen[key]}' if seen[key] > 1 else key] = text
    return members

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A condition on a number of a topic's messages: an event when it begins and when it ends."""

from __future__ import annotations

from collections.abc import Mapping
import math

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.event_points import make_event
from plexus_bridge.mapping.events.condition import Condition
from plexus_bridge.mapping.events.condition import Edge
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.every_message import EveryMessage
from plexus_bridge.mapping.layout import describe
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.paths import resolve
from plexus_bridge.mapping.reader import compile_reader
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.stamps import has_header
from plexus_bridge.mapping.stamps import message_stamp
from plexus_bridge.mapping.template import fill
from plexus_bridge.mapping.template import fill_name

DEFAULT_SEVERITY = 'warn'


class ConditionMapper(EveryMessage):
    """Reads one number of each message; MappingError if the path leads to anything else."""

    settles = True

    def __init__(self, rule: EventRule, message: Message, captures: Mapping[str, str],
                 sinks: Mapping[str, Sink], counters: Counters):
        assert rule.when is not None
        assert rule.when_path is not None
        target = resolve(rule.when_path, message)
        if target.many or not isinstance(target.layout, Primitive):
            raise MappingError(
                f'path {rule.when_path}: leads to {describe(target.layout)}, expected one number '
                'to hold against the condition')
        self._rule = rule.when
        self._event = fill_name(rule.event, captures)
        self._tags = {key: fill(value, captures) for key, value in rule.tags.items()}
        self._severity = rule.severity or DEFAULT_SEVERITY
        self._sink = sinks['urgent']
        self._counters = counters
        self._condition = Condition(rule.when)
        self._with_stamp = rule.timestamp == 'header' and has_header(message)
        self._read = compile_reader(message, [
            rule.when_path, *([parse_path('header.stamp')] if self._with_stamp else [])])

    def take(self, data: bytes, received_ms: int) -> None:
        """Take one message; MappingError if it cannot be read."""
        value, *stamps = self._read(data)
        if value is None:
            self._counters.drop('element_absent')
            return
        stamp_ms = message_stamp(stamps[0], received_ms, self._counters) if stamps else received_ms
        number = float(value)
        if math.isnan(number):
            self._counters.drop('not_finite')
            return
        self._counters.add('values_compared')
        self._tell(self._condition.offer(number, stamp_ms))

    def settle(self, now_ms: int) -> None:
        """Tell what has held for long enough."""
        self._tell(self._condition.settle(now_ms))

    def finish(self) -> None:
        """Do nothing: that a recording ends says nothing of a robot."""

    def _tell(self, edge: Edge | None) -> None:
        if edge is not None:
            self._sink.add(make_event(
                self._event,
                {'state': edge.value, 'value': self._condition.value, 'limit': self._rule.limit},
                self._condition.stamp_ms, self._tags,
                self._severity if edge is Edge.RAISED else 'info'))

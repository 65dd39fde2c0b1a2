# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``rcl_interfaces/msg/Log``: log lines from a level on, of the nodes that are wanted."""

from __future__ import annotations

from collections.abc import Mapping

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.events.log_lines import LogFolder
from plexus_bridge.mapping.events.log_lines import LogLine
from plexus_bridge.mapping.events.names import NameFilter
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.every_message import EveryMessage
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.reader import compile_reader
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.stamps import message_stamp
from plexus_bridge.mapping.template import fill
from plexus_bridge.mapping.template import fill_name
from plexus_bridge.points import MAX_TAG_BYTES
from plexus_bridge.points import trim

LOG = 'rcl_interfaces/msg/Log'
DEFAULT_EVENT = 'log'
_PATHS = ('stamp', 'name', 'msg')
# /rosout keeps its last lines for those who come late: those of our start are welcome, what was
# told before an earlier end of ours is not. What comes later than that is no history, whatever
# the clock of its computer says.
OLDEST_MS = 60_000
HISTORY_MS = 10_000
# Lines of a megabyte must not fill the memory; an event would hold little more of them.
MAX_LINE_BYTES = 3072


class RosoutMapper(EveryMessage):
    """Never maps the lines of `own_logger`: a line about a lost event must not make an event."""

    settles = True

    def __init__(self, rule: EventRule, message: Message, captures: Mapping[str, str],
                 sinks: Mapping[str, Sink], counters: Counters, own_logger: str):
        tags = {key: fill(value, captures) for key, value in rule.tags.items()}
        self._min_level = rule.min_level
        self._wanted = NameFilter(rule.nodes)
        self._own_logger = own_logger
        self._from_header = rule.timestamp == 'header'
        self._counters = counters
        self._level = compile_reader(message, [parse_path('level')])
        self._line = compile_reader(message, [parse_path(path) for path in _PATHS])
        # Dealt with when the time is looked at.
        self._waiting: list[LogLine] = []
        self._begun_ms: int | None = None
        self._folder = LogFolder(
            fill_name(rule.event or DEFAULT_EVENT, captures), sinks['urgent'].add, tags=tags,
            fold_s=rule.fold_s, per_s=rule.max_per_s)

    def take(self, data: bytes, received_ms: int) -> None:
        """Take one message; MappingError if it cannot be read."""
        level, = self._level(data)
        if level < self._min_level:
            return
        stamp, node, text = self._line(data)
        node = trim(node, MAX_TAG_BYTES)
        if node == self._own_logger or not self._wanted.passes(node):
            return
        when = message_stamp(stamp, received_ms, self._counters) if self._from_header and any(
            stamp) else received_ms
        if self._begun_ms is None:
            self._begun_ms = received_ms
        if when < self._begun_ms - OLDEST_MS and received_ms < self._begun_ms + HISTORY_MS:
            self._counters.add('log_lines_of_the_past')
            return
        self._waiting.append(LogLine(level, node, trim(text, MAX_LINE_BYTES), when))

    def settle(self, now_ms: int) -> None:
        """Tell what came, and what was folded long enough."""
        for line in self._waiting:
            self._folder.offer(line, now_ms)
        self._waiting.clear()
        self._folder.settle(now_ms)

    def finish(self) -> None:
        """Tell everything: no more will come."""
        self._folder.finish()

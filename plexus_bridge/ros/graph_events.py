# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes and topics that appear and vanish, as events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rclpy.node import Node

from plexus_bridge.mapping.event_points import make_event
from plexus_bridge.mapping.events.names import NameFilter
from plexus_bridge.mapping.events.rules import GraphRule
from plexus_bridge.mapping.events.states import dotted
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.topic import SIMULATED_TAG

PERIOD_S = 1.0
# Discovery forgets and finds a node anew when the network hiccups: that is no news.
VANISHED_AFTER_S = 3.0


class GraphEvents:
    """
    Looks at the graph once a second; all on the thread that polls.

    What is there at the first look is no news. Hidden names, such as those of ``ros2 topic echo``,
    are none either, unless a rule names them.
    """

    def __init__(self, node: Node, rules: Sequence[GraphRule], sink: Sink, *,
                 simulated: bool = False):
        self._node = node
        tags = SIMULATED_TAG if simulated else {}
        self._watches = [
            _Watch(replace(rule, tags={**rule.tags, **tags}), sink) for rule in rules]
        self._next_look = 0.0

    def poll(self, now: float, now_ms: int) -> None:
        """Look if it is time to; `now` is monotonic seconds, `now_ms` Unix ms."""
        if not self._watches or now < self._next_look:
            return
        self._next_look = now + PERIOD_S
        for watch in self._watches:
            watch.look(self._names(watch.kind), now, now_ms)

    def _names(self, kind: str) -> set[str]:
        if kind == 'topics':
            return {name for name, _ in self._node.get_topic_names_and_types()}
        return {f'{namespace.rstrip("/")}/{name}'
                for name, namespace in self._node.get_node_names_and_namespaces()}


class _Watch:
    """One rule: which names there were, and since when some are missed."""

    def __init__(self, rule: GraphRule, sink: Sink):
        self.kind = rule.kind
        self._wanted = NameFilter(rule.names)
        self._with_hidden = any('/_' in name for name in rule.names)
        self._tags = rule.tags
        self._sink = sink
        self._known: set[str] | None = None
        self._missed: dict[str, float] = {}

    def look(self, names: set[str], now: float, now_ms: int) -> None:
        wanted = {name for name in names if self._wanted.passes(name)
                  and (self._with_hidden or '/_' not in name)}
        if self._known is None:
            self._known = wanted
            return
        for name in sorted(wanted - self._known):
            self._tell(name, 'appeared', now_ms)
        for name in wanted:
            self._missed.pop(name, None)
        vanished = []
        for name in self._known - wanted:
            if now - self._missed.setdefault(name, now) >= VANISHED_AFTER_S:
                vanished.append(name)
        for name in sorted(vanished):
            del self._missed[name]
            self._tell(name, 'vanished', now_ms)
        self._known = (self._known | wanted) - set(vanished)

    def _tell(self, name: str, what: str, now_ms: int) -> None:
        self._sink.add(make_event(
            f'graph.{self.kind.removesuffix("s")}.{what}', name, now_ms,
            self._tags, 'info' if what == 'appeared' else 'warn', {'name': dotted(name)}))

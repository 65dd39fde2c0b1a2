# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``~/metrics`` and ``~/events``: any node's values and events, without a map."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import logging
import math
import time
from typing import Any
from typing import Literal

from rclpy.node import Node
from rclpy.qos import QoSProfile

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.self_describing import MetricArrayMapper
from plexus_bridge.mapping.self_describing_event import EventMessageMapper
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.topic import SIMULATED_TAG
from plexus_bridge.ros.intake import EVENT_POLL_S
from plexus_bridge.ros.layouts import message_layout
from plexus_bridge.ros.polling import polled_subscription
from plexus_bridge.ros.polling import PolledGroup
from plexus_msgs.msg import Event
from plexus_msgs.msg import MetricArray

log = logging.getLogger(__name__)

# Between two polls; who sends more has the map for it.
DEPTH = 500
# How often is looked whether anybody publishes events, which are not to be late.
DISCOVERY_PERIOD_S = 0.5


class OwnTopics:
    """
    Subscribed from the start, so that not even the first event of a node is missed.

    `poll` belongs to the thread that maps and flushes.
    """

    def __init__(self, node: Node, sinks: Mapping[str, Sink], tags: Mapping[str, str],
                 counters: Counters, *, simulated: bool = False):
        self._node = node
        self._counters = counters
        self._told = False
        self._next_discovery = 0.0
        self._period_s = math.inf
        timestamp: Literal['header', 'receive'] = 'receive' if simulated else 'header'
        if simulated:
            tags = {**tags, **SIMULATED_TAG}
        group = PolledGroup()
        metrics = MetricArrayMapper(
            MetricRule(topic='~/metrics', tags=tags, timestamp=timestamp),
            message_layout('plexus_msgs/msg/MetricArray'), sinks, counters)
        events = EventMessageMapper(
            message_layout('plexus_msgs/msg/Event'), tags, sinks['urgent'], counters,
            from_header=not simulated)
        self._events_topic = node.resolve_topic_name('~/events')
        self._inputs: list[tuple[Any, Any, Callable[[bytes, int], None]]] = [
            (polled_subscription(node, kind, topic, QoSProfile(depth=DEPTH), group), kind, take)
            for kind, topic, take in (
                (MetricArray, '~/metrics', metrics.take), (Event, '~/events', events.take))]

    def poll(self, now: float, clock_correction_ms: int) -> float:
        """
        Take and map what waits; what has no stamp gets that of its receipt.

        Returns when to do so again, on the clock of `now` (monotonic seconds).
        """
        for subscription, kind, take in self._inputs:
            for _ in range(DEPTH):
                waiting = subscription.handle.take_message(kind, True)
                if waiting is None:
                    break
                self._counters.add('messages')
                received_ns = waiting[1]['received_timestamp'] or time.time_ns()
                try:
                    take(waiting[0], received_ns // 1_000_000 + clock_correction_ms)
                except Exception as error:
                    self._note_unreadable(kind, error)
        if now >= self._next_discovery:
            self._next_discovery = now + DISCOVERY_PERIOD_S
            publishers = self._node.count_publishers(self._events_topic)
            self._period_s = EVENT_POLL_S if publishers else math.inf
        return now + self._period_s

    def _note_unreadable(self, kind: Any, error: Exception) -> None:
        self._counters.drop('unreadable')
        if not self._told:
            self._told = True
            log.error('a %s cannot be read and is left out, as will be others: %s',
                      kind.__name__, error)

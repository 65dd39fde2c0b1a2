# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Takes messages from the graph, as bytes, for the rules of a map.

Nothing is called back: rclpy would rebuild its wait set for every message. One thread takes
whatever waits, as often as points are handed on; the middleware stamps each message when it
arrives, so no time is blurred.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from dataclasses import replace
import logging
import time
from typing import Any

from rclpy.node import Node

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.adjustments import Adjustments
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.plan import PlannedRule
from plexus_bridge.mapping.plan import Rule
from plexus_bridge.mapping.topic_pattern import TopicPattern
from plexus_bridge.points import Point
from plexus_bridge.ros.graph import find_publishers
from plexus_bridge.ros.graph import Publishers
from plexus_bridge.ros.graph import resolve_pattern
from plexus_bridge.ros.layouts import message_class
from plexus_bridge.ros.layouts import message_layout
from plexus_bridge.ros.lonely import LonelyTopics
from plexus_bridge.ros.outcome import CountersOfRule
from plexus_bridge.ros.outcome import how_it_goes
from plexus_bridge.ros.outcome import Outcome
from plexus_bridge.ros.polling import polled_subscription
from plexus_bridge.ros.polling import PolledGroup
from plexus_bridge.ros.rounds import Rounds
from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.rule_intake import RuleState
from plexus_bridge.ros.rule_intake import TakeMessage
from plexus_bridge.ros.rule_intake import Taken

log = logging.getLogger(__name__)

DISCOVERY_PERIOD_S = 0.5
# For a publisher that left and another that came, or changed its QoS, within one period.
FULL_DISCOVERY_PERIOD_S = 2.0
# Where data came within so many seconds little can be wrong: all of that is asked less often.
FLOWING_S = 2.0
FLOWING_DISCOVERY_PERIOD_S = 2.0
FLOWING_FULL_DISCOVERY_PERIOD_S = 10.0
# Room for what arrives between two polls: 1,000 waiting messages at 20 ms are 50 kHz.
EVERY_DEPTH = 1000
# A topic is looked at when points are handed on, or as soon as so many may be waiting …
EXPECTED_AT_MOST = EVERY_DEPTH // 10
# … but within these bounds. What waits longer than it must loses nothing: it has its stamp.
SHORTEST_POLL_S = 0.02
LONGEST_POLL_S = 0.1
# What makes events is looked at more often: an event is not to be late.
EVENT_POLL_S = 0.02
# Messages taken from one topic before the others have their turn.
TAKE_AT_MOST = 500
# Rules are compiled anew when people change what they want; not more often, whoever asks.
ADJUSTMENT_PERIOD_S = 0.5
# A wildcard's topic on which nobody publishes for so long is let go: ever new ones may come.
GONE_S = 300.0


class Intake:
    """All rules' topics; everything but the counts is one thread's, the one that polls."""

    def __init__(self, node: Node, plan: Iterable[PlannedRule], counters: Counters, *,
                 simulated: bool = False, period_s: float = LONGEST_POLL_S):
        self._node = node
        self._plan = tuple(plan)
        self._counters = counters
        self._simulated = simulated
        # How often points are handed on.
        self._period_s = min(period_s, LONGEST_POLL_S)
        self._group = PolledGroup()
        self._next_discovery = 0.0
        self._lonely = LonelyTopics(node)
        self._taken = 0
        self._rounds = Rounds()
        self._rearranged = False
        # From our clock to the gateway's, for stamps of receipt; a header's stamp is its own.
        self.clock_correction_ms = 0
        # Whether what waits was received by the clock as it is now.
        self.trust_receive_stamps = True
        # What people want of the rules beside the map; `adjust` sets the newer one.
        self._adjustments = self._wanted = Adjustments()
        self._next_adjustment = 0.0
        self.topics: list[RuleIntake] = []
        self._patterns: list[tuple[TopicPattern, RuleIntake]] = []
        for index, planned in enumerate(self._plan):
            rule = planned.rule
            pattern = TopicPattern(resolve_pattern(node, rule.topic))
            if pattern.is_wildcard:
                self.topics.append(RuleIntake(rule, index, ''))
                self._patterns.append((pattern, self.topics[-1]))
            else:
                self.topics.append(
                    RuleIntake(rule, index, node.resolve_topic_name(rule.topic)))

    def adjust(self, adjustments: Adjustments) -> None:
        """Have rules changed at the next poll; any thread may call."""
        self._wanted = adjustments

    def rule_now(self, topic: RuleIntake) -> Rule:
        """Return a topic's rule as people want it at the moment."""
        return self._plan[topic.index].adjusted(
            self._adjustments, topic.topic, topic.layout).rule

    def mark(self, points: list[Point]) -> None:
        """Tag what comes by no rule with the recording in progress; on the thread that polls."""
        self._adjustments.mark(points)

    def poll(self, now: float) -> float:
        """
        Look at the graph if it is time to, then take and map what has arrived.

        Returns when to do so again, on the same clock (monotonic seconds).
        """
        if self._wanted is not self._adjustments and now >= self._next_adjustment:
            self._next_adjustment = now + ADJUSTMENT_PERIOD_S
            self._readjust()
        if now >= self._next_discovery:
            self._next_discovery = now + DISCOVERY_PERIOD_S
            self._expand_patterns()
            for topic in self.topics:
                if topic.topic and self._has_changed(topic, now):
                    self._discover(topic, now)
                if topic.outcome is not None and topic.fits:
                    topic.outcome.look(topic, now)
                    topic.tell(*how_it_goes(topic, now))
            self._let_go(now)
            self._lonely.poll(now, self.topics)
        if self._rearranged:
            self._rearranged = False
            self._rounds.arrange(self.topics)
        for plain, settling in self._rounds.due(now):
            self._serve(plain, now)
            for topic in settling:
                self._serve_settling(topic, now)
        if self._taken:
            self._counters.add('messages', self._taken)
            self._taken = 0
        return max(self._rounds.next(now + self._period_s), now + SHORTEST_POLL_S)

    def close(self) -> None:
        """Map what waits and destroy the subscriptions."""
        for topic in self.topics:
            self._finish(topic)
            self._unsubscribe(topic)

    def _readjust(self) -> None:
        before, self._adjustments = self._adjustments, self._wanted
        for topic in self.topics:
            planned = self._plan[topic.index]
            if topic.mapper is not None and planned.adjusted(
                    before, topic.topic, topic.layout) != planned.adjusted(
                        self._adjustments, topic.topic, topic.layout):
                self._compile(topic, topic.type)

    # -- the graph

    def _expand_patterns(self) -> None:
        """Give every topic that has come and fits a pattern its own place."""
        if not self._patterns:
            return
        found = self._node.get_topic_names_and_types()
        for pattern, waiting in self._patterns:
            known = {topic.topic for topic in self.topics if topic.index == waiting.index}
            for name, types in found:
                if name in known or (captures := pattern.match(name)) is None:
                    continue
                if waiting.rule.type is not None and waiting.rule.type not in types:
                    continue  # not meant by this rule
                if not find_publishers(self._node, name).count:
                    continue
                self._replace([waiting], [RuleIntake(waiting.rule, waiting.index, name, captures)])
            if waiting in self.topics:
                waiting.tell(RuleState.NO_PUBLISHER,
                             'no topic fits this pattern; it is waited for')

    def _let_go(self, now: float) -> None:
        for _, waiting in self._patterns:
            mine = [topic for topic in self.topics if topic.index == waiting.index]
            gone = [topic for topic in mine
                    if topic.gone_at is not None and now - topic.gone_at >= GONE_S]
            for topic in gone:
                self._finish(topic)
                self._unsubscribe(topic)
            if gone:
                self._replace(gone, [waiting] if len(gone) == len(mine) else [])

    def _replace(self, old: list[RuleIntake], new: list[RuleIntake]) -> None:
        """Make a new list: the status walks through the old one on another thread."""
        self.topics = sorted((*(topic for topic in self.topics if topic not in old), *new),
                             key=lambda topic: (topic.index, topic.topic))
        self._rearranged = True

    def _has_changed(self, topic: RuleIntake, now: float) -> bool:
        """Ask for the number of publishers, which is cheap, and now and then for all of it."""
        flows = now - topic.heard_at < FLOWING_S
        if flows and now < topic.counted_at + FLOWING_DISCOVERY_PERIOD_S:
            return False
        topic.counted_at = now
        count = self._node.count_publishers(topic.topic)
        if count == topic.publisher_count and now < topic.discovered_at + (
                FLOWING_FULL_DISCOVERY_PERIOD_S if flows else FULL_DISCOVERY_PERIOD_S):
            return False
        topic.publisher_count = count
        topic.discovered_at = now
        return True

    def _discover(self, topic: RuleIntake, now: float) -> None:
        publishers = find_publishers(self._node, topic.topic)
        if publishers.count:
            topic.gone_at = None
        elif topic.gone_at is None:
            topic.gone_at = now
        if publishers == topic.publishers:
            return
        topic.publishers = publishers
        topic.fits = False
        if not publishers.count:
            # The subscription stays: whoever returns is heard from the first message on.
            topic.tell_nobody()
            return
        wanted = topic.rule.type
        if wanted is None and len(publishers.types) > 1:
            topic.tell(RuleState.WRONG_TYPE,
                       f'saw publishers of {" and of ".join(publishers.types)}, expected one '
                       'type; name the one that you want with "type:"')
            return
        if wanted is not None and wanted not in publishers.types:
            topic.tell(RuleState.WRONG_TYPE,
                       f'saw a publisher of {", ".join(publishers.types)}, expected {wanted}')
            return
        self._subscribe(topic, wanted or publishers.types[0], publishers, now)

    def _subscribe(self, topic: RuleIntake, type_name: str, publishers: Publishers, now: float
                   ) -> None:
        if topic.type != type_name or topic.mapper is None:
            if not self._compile(topic, type_name):
                return
            self._unsubscribe(topic)
        qos = publishers.qos(EVERY_DEPTH if topic.mapper and topic.mapper.every else 1)
        topic.fits = topic.subscription is not None and topic.subscription.qos_profile == qos
        if topic.fits:
            return
        self._unsubscribe(topic)
        try:
            topic.subscription = polled_subscription(
                self._node, topic.message_class, topic.topic, qos, self._group)
        except Exception as error:  # rclpy names no common class for what middlewares refuse
            topic.tell(RuleState.WRONG_TYPE, f'cannot subscribe to {type_name}: {error}')
            return
        topic.take_message = topic.subscription.handle.take_message
        topic.fits = True
        topic.subscribed_at = now

    def _compile(self, topic: RuleIntake, type_name: str) -> bool:
        try:
            kind = message_class(type_name)
            layout = message_layout(type_name)
        except MappingError as error:
            topic.tell(RuleState.UNKNOWN_TYPE, str(error))
            return False
        planned = self._plan[topic.index].adjusted(self._adjustments, topic.topic, layout)
        counters = topic.outcome.counters if topic.outcome else CountersOfRule(self._counters)
        try:
            mapper = replace(planned, counters=counters).mapper(
                layout, topic.topic, topic.captures, simulated=self._simulated,
                own_logger=self._node.get_logger().name)
        except MappingError as error:
            topic.tell(RuleState.PATH_MISSING, str(error))
            return False
        self._finish(topic)  # what the old type left: windows that are open
        topic.mapper, topic.outcome = mapper, Outcome(planned, layout.name, counters)
        self._rearranged = True
        longest = EVENT_POLL_S if isinstance(topic.rule, EventRule) else self._period_s
        topic.period_s = min(mapper.period_s, longest)
        topic.message_class = kind
        topic.layout = layout
        if topic.type != type_name:
            topic.type = type_name
            topic.readable = False
            topic.trouble = ''
            topic.heard_before = topic.messages
        return True

    def _unsubscribe(self, topic: RuleIntake) -> None:
        if topic.subscription is not None:
            topic.take_message = None
            self._node.destroy_subscription(topic.subscription)
            topic.subscription = None

    # -- messages

    def _serve(self, topics: list[RuleIntake], now: float) -> None:
        """Take what there is on topics where nothing is to be done if there is nothing."""
        for topic in topics:
            take_message = topic.take_message
            if take_message is None or (
                    first := take_message(topic.message_class, True)) is None:
                continue
            if topic.readable and topic.outcome is not None:
                topic.outcome.begin()
                self._take(topic, take_message, first, now)
                topic.points += topic.outcome.added()
            else:
                self._serve_closely(topic, first, now)

    def _serve_settling(self, topic: RuleIntake, now: float) -> None:
        first = None
        if topic.take_message is not None and topic.mapper is not None \
                and topic.mapper.is_due(int(now * 1000)):
            first = topic.take_message(topic.message_class, True)
        self._serve_closely(topic, first, now)

    def _serve_closely(self, topic: RuleIntake, first: Taken | None, now: float) -> None:
        """Take what there is, let settle what waits, and see whether it can be read."""
        assert topic.outcome is not None
        before, unreadable = topic.messages, topic.unreadable
        topic.outcome.begin()
        if first is not None and topic.take_message is not None:
            self._take(topic, topic.take_message, first, now)
        if topic.mapper is not None and topic.mapper.settles:
            self._guarded(topic, topic.mapper.settle, int(now * 1000))
        topic.points += topic.outcome.added()
        if first is not None and not topic.readable:
            topic.readable = topic.messages - before > topic.unreadable - unreadable
            topic.first_heard_at = min(topic.first_heard_at, now)
            topic.tell(*how_it_goes(topic, now))

    def _take(self, topic: RuleIntake, take_message: TakeMessage, first: Taken,
              now: float) -> None:
        """Map a message and those behind it: every line is paid for by each of them."""
        assert topic.mapper is not None
        map_message = topic.mapper.take
        message_class = topic.message_class
        correction_ms = self.clock_correction_ms
        trusted = self.trust_receive_stamps
        taken = 0
        waiting: Taken | None = first
        while waiting is not None:
            taken += 1
            received_ms = correction_ms + (
                (trusted and waiting[1]['received_timestamp'] // 1_000_000) or _now_ms())
            try:
                map_message(waiting[0], received_ms)
            except Exception as error:
                self._note_unreadable(topic, error)
            waiting = take_message(message_class, True) if taken < TAKE_AT_MOST else None
        if taken * 2 > EXPECTED_AT_MOST:
            self._rounds.look_early(
                topic, now + (now - topic.heard_at) / taken * EXPECTED_AT_MOST)
        topic.heard_at = now
        topic.last_received_ms = received_ms
        topic.messages += taken
        self._taken += taken

    def _finish(self, topic: RuleIntake) -> None:
        if topic.mapper is not None and topic.outcome is not None:
            topic.outcome.begin()
            self._guarded(topic, topic.mapper.finish)
            topic.points += topic.outcome.added()

    def _guarded(self, topic: RuleIntake, step: Callable[..., None], *arguments: Any) -> None:
        try:
            step(*arguments)
        except Exception as error:
            self._note_unreadable(topic, error)

    def _note_unreadable(self, topic: RuleIntake, error: Exception) -> None:
        """Let one bad message stop nothing else: it is counted, and the first one told."""
        self._counters.drop('unreadable')
        topic.unreadable += 1
        topic.trouble = topic.trouble or str(error) or type(error).__name__
        if topic.unreadable == 1:
            log.error('%s %s: a message cannot be read and is left out, as will be '
                      'others: %s', topic.name, topic.topic, error,
                      exc_info=not isinstance(error, MappingError))


def _now_ms() -> int:
    """Stand in for a middleware that does not stamp what it receives."""
    return time.time_ns() // 1_000_000

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Each rule in ``~/status``: how much it delivers, and if nothing, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import time

from builtin_interfaces.msg import Time

from plexus_bridge.config.map import RobotMap
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.ros.delivery_status import DeliveryWatch
from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.rule_intake import RuleState
from plexus_bridge.video.rules import CameraRule
from plexus_msgs.msg import DropCount
from plexus_msgs.msg import RuleStatus


@dataclass(frozen=True)
class LinkNow:
    """
    How the link is, as far as rules are concerned.

    `trouble` says why nothing that is measured reaches the gateway, '' if it does;
    `video_trouble` the same of pictures. `since` tells since when that is so.
    """

    trouble: str
    video_trouble: str
    since: Time


@dataclass(frozen=True)
class _Seen:
    """A rule's message count at a moment (monotonic seconds), for its rate."""

    at: float
    messages: int


class RuleReport:
    """Makes the statuses of all rules, once for each message."""

    def __init__(self, robot_map: RobotMap, watch: DeliveryWatch):
        self._document = robot_map.document
        self._limit = robot_map.delivery.max_bytes_per_s
        self._watch = watch
        self._seen: dict[tuple[str, str], _Seen] = {}

    def statuses(self, topics: Sequence[RuleIntake], link: LinkNow, now: float
                 ) -> list[RuleStatus]:
        """Return the status of each topic; `now` is monotonic seconds."""
        present = {(topic.name, topic.topic) for topic in topics}
        self._seen = {key: seen for key, seen in self._seen.items() if key in present}
        return [self._status(topic, link, now) for topic in topics]

    def _status(self, topic: RuleIntake, link: LinkNow, now: float) -> RuleStatus:
        line, _ = self._document.places.get(topic.rule.place, (0, 0))
        publishers = topic.publishers
        section, index, *_ = topic.rule.place
        state, reason, since = self._told(topic, link)
        return RuleStatus(
            section=getattr(RuleStatus, f'SECTION_{str(section).upper()}'), index=index,
            location=f'{self._document.file}:{line}', pattern=topic.rule.topic,
            topic=topic.topic, type=topic.type,
            state=getattr(RuleStatus, f'STATE_{state.name}'), reason=reason, since=since,
            publishers=publishers.count if publishers else 0,
            qos=_qos(topic), last_received=time_of(topic.last_received_ms),
            rate_hz=self._rate(topic, now), messages=topic.messages, points=topic.points,
            dropped=_dropped(topic))

    def _told(self, topic: RuleIntake, link: LinkNow) -> tuple[RuleState, str, Time]:
        """Return what is to be told of a topic: what is in the way of its points, if any is."""
        told = topic.state, topic.reason, time_of(topic.since_ms)
        if isinstance(topic.rule, CameraRule):
            # Where no picture can leave none is taken, so that none came says nothing.
            if link.video_trouble and topic.state in (RuleState.OK, RuleState.NOTHING_PUBLISHED):
                return RuleState.LINK_DOWN, link.video_trouble, link.since
            return told
        if topic.state is not RuleState.OK:
            return told
        if link.trouble:
            return (RuleState.LINK_DOWN,
                    f'what is measured waits for the gateway: {link.trouble}', link.since)
        held_s = min(self._watch.held_back_s(lane) for lane in _lanes(topic.rule))
        if held_s:
            why = 'more urgent lanes use up what the link carries' if self._limit is None else \
                f'more urgent lanes use up delivery.max_bytes_per_s ({self._limit:g})'
            return RuleState.RATE_LIMITED, f'nothing of it was sent for {held_s:.0f} s: {why}', \
                time_of(time.time_ns() // 1_000_000 - round(held_s * 1000))
        return told

    def _rate(self, topic: RuleIntake, now: float) -> float:
        seen = _Seen(now, topic.messages)
        key = (topic.name, topic.topic)
        before = self._seen.get(key, seen)
        self._seen[key] = seen
        return (seen.messages - before.messages) / (now - before.at) if now > before.at else 0.0


def _lanes(rule: MetricRule | EventRule) -> frozenset[str]:
    if isinstance(rule, EventRule):
        return frozenset(('urgent',))
    return frozenset(field.lane for field in rule.fields) or frozenset((rule.lane,))


def _qos(topic: RuleIntake) -> str:
    if topic.subscription is None:
        return ''
    profile = topic.subscription.qos_profile
    return (f'{profile.reliability.name.lower()}, {profile.durability.name.lower()}, '
            f'keep last {profile.depth}')


def _dropped(topic: RuleIntake) -> list[DropCount]:
    counters = topic.outcome.counters if topic.outcome is not None else None
    counted = {**counters.left_out(), **counters.dropped()} if counters is not None else {}
    return [DropCount(reason=reason, count=count) for reason, count in sorted(
        {**counted, 'unreadable': topic.unreadable}.items()) if count]


def time_of(milliseconds: int) -> Time:
    """Return Unix ms as a message."""
    return Time(sec=milliseconds // 1000, nanosec=milliseconds % 1000 * 1_000_000)

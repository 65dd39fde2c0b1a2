# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``~/status`` and ``/diagnostics``: how the bridge is, once a second (REP-107)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import logging
import math
import time
from typing import Protocol

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from rclpy.node import Node

from plexus_bridge import __version__
from plexus_bridge.client.link import Link
from plexus_bridge.client.link_status import LinkStatus
from plexus_bridge.client.link_status import Transport
from plexus_bridge.config.map import RobotMap
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.ros.delivery_status import DeliveryDiagnostic
from plexus_bridge.ros.delivery_status import lane_statuses
from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.rule_intake import RuleState
from plexus_msgs.msg import BridgeStatus
from plexus_msgs.msg import DropCount
from plexus_msgs.msg import RuleStatus

log = logging.getLogger(__name__)

PERIOD_S = 1.0


class Observed(Protocol):
    """What the status is taken from."""

    counters: Counters
    link: Link

    # Why this gateway may refuse our key, if there is a likely reason.
    refusal_hint: str

    @property
    def topics(self) -> Sequence[RuleIntake]:
        """Every rule's topics."""

    @property
    def robot_map(self) -> RobotMap:
        """The map in use."""

    @property
    def session_id(self) -> str:
        """The recording in progress, '' for none."""

    @property
    def run_id(self) -> str:
        """The run in progress, '' for none."""

    @property
    def outbox(self) -> Outbox:
        """What is not delivered yet."""


@dataclass(frozen=True)
class _Seen:
    """A rule's message count at a moment, for its rate."""

    at: float
    messages: int


class StatusPublisher:
    """
    Publishes on the thread that polls; reads what other threads write, and writes nothing.

    So nobody is told that all is well by a bridge whose main loop hangs; and the node's executor,
    which looks through all of its entities whenever it wakes, sleeps until a service is called.
    """

    def __init__(self, node: Node, bridge: Observed, source_id: str, config_file: str,
                 gateway_url: str):
        self._node = node
        self._bridge = bridge
        self._source_id = source_id
        self._config_file = config_file
        self._gateway_url = gateway_url
        self._started = time.monotonic()
        self._delivery = DeliveryDiagnostic(bridge.outbox, bridge.counters)
        self._link_state = -1
        self._link_since = Time()
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._status = node.create_publisher(BridgeStatus, '~/status', 1)
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._next = self._started + PERIOD_S

    def poll(self, now: float) -> None:
        """Publish if it is time to; `now` is monotonic seconds, which no simulation stops."""
        if now < self._next:
            return
        self._next = now + PERIOD_S
        self._follow_link()
        # Made only where somebody reads it: with two hundred rules a status is the dearest thing
        # that an idle bridge does.
        if self._status.get_subscription_count():
            self._status.publish(self._bridge_status())
        if self._diagnostics.get_subscription_count():
            self._diagnostics.publish(self._diagnostic())

    def _follow_link(self) -> None:
        """Take note of how the link is, and since when."""
        link = self._bridge.link.status
        state = _link_state(link)
        if state == self._link_state:
            return
        self._link_state = state
        self._link_since = self._now()
        if link.key_refused and self._bridge.refusal_hint:
            log.error('%s', self._bridge.refusal_hint)

    def _now(self) -> Time:
        now: Time = self._node.get_clock().now().to_msg()
        return now

    def _bridge_status(self) -> BridgeStatus:
        link = self._bridge.link.status
        outbox = self._bridge.outbox
        status = BridgeStatus(
            stamp=self._now(), version=__version__, source_id=self._source_id,
            config_file=self._config_file, gateway_url=self._gateway_url, link=self._link_state,
            link_detail=self._detail(link), link_since=self._link_since,
            connections=link.connections,
            last_acknowledged=_time(self._bridge.link.last_acknowledged_ms),
            clock_offset=_seconds(link.clock_offset_ms), clock_error=_seconds(link.clock_error_ms),
            session_id=self._bridge.session_id, run_id=self._bridge.run_id,
            journal_bytes=outbox.pending()[1], journal_limit_bytes=outbox.limit_bytes,
            lanes=lane_statuses(outbox, self._bridge.counters), rules=self._rules())
        uptime = time.monotonic() - self._started
        status.uptime.sec = int(uptime)
        status.uptime.nanosec = int(uptime % 1 * 1e9)
        return status

    def _detail(self, link: LinkStatus) -> str:
        hint = self._bridge.refusal_hint if link.key_refused else ''
        return f'{link.detail}; {hint}' if hint else link.detail

    def _rules(self) -> list[RuleStatus]:
        topics = self._bridge.topics
        present = {(topic.name, topic.topic) for topic in topics}
        self._seen = {key: seen for key, seen in self._seen.items() if key in present}
        return [self._rule(topic) for topic in topics]

    def _rule(self, topic: RuleIntake) -> RuleStatus:
        document = self._bridge.robot_map.document
        line, _ = document.places.get(topic.rule.place, (0, 0))
        publishers = topic.publishers
        section, index, *_ = topic.rule.place
        return RuleStatus(
            section=getattr(RuleStatus, f'SECTION_{str(section).upper()}'), index=index,
            location=f'{document.file}:{line}', pattern=topic.rule.topic, topic=topic.topic,
            type=topic.type, state=getattr(RuleStatus, f'STATE_{topic.state.name}'),
            reason=topic.reason, since=_time(topic.since_ms),
            publishers=publishers.count if publishers else 0,
            qos=_qos(topic), last_received=_time(topic.last_received_ms),
            rate_hz=self._rate(topic), messages=topic.messages,
            dropped=_dropped(topic))

    def _rate(self, topic: RuleIntake) -> float:
        now = _Seen(time.monotonic(), topic.messages)
        key = (topic.name, topic.topic)
        before = self._seen.get(key, now)
        self._seen[key] = now
        return (now.messages - before.messages) / (now.at - before.at) if now.at > before.at \
            else 0.0

    def _diagnostic(self) -> DiagnosticArray:
        counters = self._bridge.counters
        link = self._bridge.link.status
        bad = [topic for topic in self._bridge.topics if topic.state not in _HEALTHY]
        level, message = DiagnosticStatus.OK, 'connected'
        if self._link_state != BridgeStatus.LINK_ONLINE:
            level = DiagnosticStatus.WARN
            message = self._detail(link) or 'telemetry goes by HTTP'
        if bad:
            level = max(level, DiagnosticStatus.WARN)
            message += f'; {bad[0].topic or bad[0].rule.topic}: {bad[0].reason}'
        if self._link_state == BridgeStatus.LINK_REFUSED:
            level = DiagnosticStatus.ERROR
        values: dict[str, object] = {
            **counters.totals(), 'connections': link.connections,
            'clock_offset_ms': link.clock_offset_ms, 'clock_error_ms': link.clock_error_ms,
            **{f'dropped_{reason}': count for reason, count in counters.dropped().items()}}
        array = DiagnosticArray()
        array.header.stamp = self._now()
        name = self._node.get_name()
        array.status = [DiagnosticStatus(
            level=level, name=f'{name}: link', message=message,
            hardware_id=self._source_id, values=_key_values(values)),
            self._delivery.status(name, self._source_id)]
        return array


_HEALTHY = frozenset((RuleState.OK, RuleState.NO_PUBLISHER, RuleState.STARTING,
                      RuleState.NOTHING_PUBLISHED, RuleState.PAUSED))


def _key_values(values: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in sorted(values.items())]


def _link_state(link: LinkStatus) -> int:
    state: int = {
        Transport.SOCKET: BridgeStatus.LINK_ONLINE,
        Transport.HTTP: BridgeStatus.LINK_HTTP_ONLY,
        Transport.NONE: BridgeStatus.LINK_REFUSED if link.refused
        else BridgeStatus.LINK_BACKING_OFF if link.detail else BridgeStatus.LINK_CONNECTING,
    }[link.transport]
    return state


def _qos(topic: RuleIntake) -> str:
    if topic.subscription is None:
        return ''
    profile = topic.subscription.qos_profile
    return (f'{profile.reliability.name.lower()}, {profile.durability.name.lower()}, '
            f'keep last {profile.depth}')


def _dropped(topic: RuleIntake) -> list[DropCount]:
    dropped = topic.left_out.counters.dropped() if topic.left_out is not None else {}
    return [DropCount(reason=reason, count=count) for reason, count in sorted(
        {**dropped, 'unreadable': topic.unreadable}.items()) if count]


def _time(milliseconds: int) -> Time:
    return Time(sec=milliseconds // 1000, nanosec=milliseconds % 1000 * 1_000_000)


def _seconds(milliseconds: float | None) -> float:
    return math.nan if milliseconds is None else milliseconds / 1000

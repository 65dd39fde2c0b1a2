# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``~/status`` and ``/diagnostics``: how the bridge is, once a second (REP-107)."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
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
from plexus_bridge.ros.delivery_status import DeliveryWatch
from plexus_bridge.ros.delivery_status import lane_statuses
from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.rule_intake import RuleState
from plexus_bridge.ros.rule_status import LinkNow
from plexus_bridge.ros.rule_status import RuleReport
from plexus_bridge.ros.rule_status import time_of
from plexus_msgs.msg import BridgeStatus
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
        self._watch = DeliveryWatch(bridge.outbox, self._started)
        self._report = RuleReport(bridge.robot_map, self._watch)
        self._status = node.create_publisher(BridgeStatus, '~/status', 1)
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._next = self._started + PERIOD_S

    def poll(self, now: float) -> None:
        """Publish if it is time to; `now` is monotonic seconds, which no simulation stops."""
        if now < self._next:
            return
        self._next = now + PERIOD_S
        self._follow_link(now)
        # Made only where somebody reads it: with two hundred rules a status is the dearest thing
        # that an idle bridge does.
        if self._status.get_subscription_count():
            self._status.publish(self._bridge_status(now))
        if self._diagnostics.get_subscription_count():
            self._diagnostics.publish(self._diagnostic())

    def _follow_link(self, now: float) -> None:
        """Take note of how the link is, and since when."""
        link = self._bridge.link.status
        self._watch.look(now, self._bridge.link.last_acknowledged_ms,
                         connected=link.transport is not Transport.NONE)
        state = self._state_of(link)
        if state == self._link_state:
            return
        self._link_state = state
        self._link_since = self._now()
        if link.key_refused and self._bridge.refusal_hint:
            log.error('%s', self._bridge.refusal_hint)

    def _now(self) -> Time:
        now: Time = self._node.get_clock().now().to_msg()
        return now

    def _state_of(self, link: LinkStatus) -> int:
        state: int = BridgeStatus.LINK_SILENT
        if link.transport is Transport.NONE:
            state = BridgeStatus.LINK_REFUSED if link.refused \
                else BridgeStatus.LINK_BACKING_OFF if link.detail else BridgeStatus.LINK_CONNECTING
        elif not self._watch.silent:
            state = BridgeStatus.LINK_ONLINE if link.transport is Transport.SOCKET \
                else BridgeStatus.LINK_HTTP_ONLY
        return state

    def _bridge_status(self, now: float) -> BridgeStatus:
        link = self._bridge.link.status
        outbox = self._bridge.outbox
        status = BridgeStatus(
            stamp=self._now(), version=__version__, source_id=self._source_id,
            config_file=self._config_file, gateway_url=self._gateway_url, link=self._link_state,
            link_detail=self._detail(link), link_since=self._link_since,
            connections=link.connections,
            last_acknowledged=time_of(self._bridge.link.last_acknowledged_ms),
            clock_offset=_seconds(link.clock_offset_ms), clock_error=_seconds(link.clock_error_ms),
            session_id=self._bridge.session_id, run_id=self._bridge.run_id,
            journal_bytes=outbox.pending()[1], journal_limit_bytes=outbox.limit_bytes,
            lanes=lane_statuses(outbox, self._bridge.counters), rules=self._rules(now))
        uptime = now - self._started
        status.uptime.sec = int(uptime)
        status.uptime.nanosec = int(uptime % 1 * 1e9)
        return status

    def _detail(self, link: LinkStatus) -> str:
        if self._link_state == BridgeStatus.LINK_SILENT:
            return ('connected, and the gateway has acknowledged nothing for '
                    f'{self._watch.silent_s:.0f} s; it may hang')
        hint = self._bridge.refusal_hint if link.key_refused else ''
        return f'{link.detail}; {hint}' if hint else link.detail

    def _rules(self, now: float) -> list[RuleStatus]:
        link = self._bridge.link.status
        trouble = video_trouble = ''
        if self._link_state not in (BridgeStatus.LINK_ONLINE, BridgeStatus.LINK_HTTP_ONLY):
            trouble = video_trouble = self._detail(link) or 'it is being connected to'
        elif link.transport is Transport.HTTP:
            video_trouble = 'pictures need the device socket, and telemetry goes by HTTP alone'
        return self._report.statuses(
            self._bridge.topics, LinkNow(trouble, video_trouble, self._link_since), now)

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
                      RuleState.NOTHING_PUBLISHED, RuleState.STALE, RuleState.RATE_LIMITED,
                      RuleState.PAUSED))


def _key_values(values: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=str(value)) for key, value in sorted(values.items())]


def _seconds(milliseconds: float | None) -> float:
    return math.nan if milliseconds is None else milliseconds / 1000

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``~/status`` and ``/diagnostics`` of a bridge whose gateway does as the test says."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
from pathlib import Path
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
import pytest
from scripted_gateway import ScriptedSocket
from websockets.exceptions import ConnectionClosed

from plexus_bridge.client.link import Link
from plexus_bridge.config.map import load_map
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.durability import Durability
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.mapping.plan import plan
from plexus_bridge.protocol.device import Hello
from plexus_bridge.ros.delivery_status import LONGEST_WAIT_S
from plexus_bridge.ros.intake import Intake
from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.rule_intake import RuleState
from plexus_bridge.ros.status import StatusPublisher
from plexus_msgs.msg import BridgeStatus
from plexus_msgs.msg import RuleStatus


class Gateway:
    """Lets everybody in; acknowledges once `acknowledging` is set."""

    def __init__(self) -> None:
        self.acknowledging = threading.Event()
        self.frames = 0
        self.connections: list[Any] = []

    def serve(self, connection: Any) -> None:
        self.connections.append(connection)
        with contextlib.suppress(ConnectionClosed):
            connection.recv()
            connection.send(json.dumps({'type': 'authenticated', 'acks': True}))
            unanswered = []
            while True:
                with contextlib.suppress(TimeoutError):
                    unanswered.append(json.loads(connection.recv(timeout=0.02)))
                    self.frames += 1
                while unanswered and self.acknowledging.is_set():
                    connection.send(json.dumps(
                        {'type': 'telemetry_ack', 'seq': unanswered.pop(0).get('seq')}))


class Bridge:
    """Intake, delivery and status, polled by hand; `skipped_s` is time that passed."""

    refusal_hint = session_id = run_id = ''

    def __init__(self, graph: Any, url: str, folder: Path, text: str):
        file = folder / 'robot.yaml'
        file.write_text(f'version: 1\ngateway: {{url: "{url}"}}\n{text}')
        self.graph = graph
        self.robot_map = load_map(file, {})
        self.counters = Counters()
        self.lanes = Lanes(self.counters)
        self.journal = Journal(folder / 'robot.db', 1 << 20, self.counters)
        self.outbox = Outbox(self.lanes, self.journal, self.counters, Durability.ALWAYS)
        self.link = Link(url, Hello('plx_test', 'robot-1', 'test', '0'), self.outbox,
                         self.counters, user_agent='test',
                         max_bytes_per_s=self.robot_map.delivery.max_bytes_per_s)
        self.intake = Intake(graph.node, plan(
            self.robot_map.metrics, self.robot_map.events, self.lanes.sinks, self.counters),
            self.counters)
        self.cameras = [RuleIntake(rule, index, rule.topic)
                        for index, rule in enumerate(self.robot_map.video)]
        self.publisher = StatusPublisher(graph.node, self, 'robot-1', str(file), url)
        name = graph.node.get_name()
        self.statuses = graph.collect(BridgeStatus, f'/{name}/status')
        self.diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
        self.skipped_s = 0.0

    @property
    def topics(self) -> list[RuleIntake]:
        return [*self.intake.topics, *self.cameras]

    def until(self, condition: Any, what: str) -> None:
        """Publish a status again and again, as if a second had passed."""
        def so() -> bool:
            self.skipped_s += 1.0
            before = len(self.statuses)
            self.outbox.flush()
            self.publisher.poll(time.monotonic() + self.skipped_s)
            self.graph.spin_until(lambda: len(self.statuses) > before, 'a status')
            if condition():
                return True
            self.graph.spin_for(0.02)  # or the link's thread would have no time
            return False

        self.graph.spin_until(so, what)

    def add(self, lane: str = 'state', count: int = 1) -> None:
        for _ in range(count):
            self.lanes.sinks[lane].add({
                'class': 'metric', 'metric': 'm', 'value': 1.0, 'timestamp': 1_790_000_000_000})
        self.outbox.flush()

    def flows(self, index: int = 0) -> None:
        """Say of a rule what its messages would."""
        self.topics[index].tell(RuleState.OK, 'data flows (sensor_msgs/msg/Temperature)')

    @property
    def status(self) -> BridgeStatus:
        return self.statuses[-1]

    @property
    def rule(self) -> RuleStatus:
        rule: RuleStatus = self.status.rules[0]
        return rule


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def bridge(graph, tmp_path, gateway) -> Iterator[Any]:
    made: list[Bridge] = []
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(ScriptedSocket(gateway.serve)).url

        def make(text: str) -> Bridge:
            made.append(Bridge(graph, url, tmp_path, text))
            graph.spin_until(
                lambda: made[-1].publisher._status.get_subscription_count()
                and made[-1].publisher._diagnostics.get_subscription_count(), 'we are heard')
            return made[-1]

        yield make
        for it in made:
            it.link.stop(drain_s=0.0)
            it.intake.close()
            it.journal.close()


def test_a_gateway_that_hangs_is_told_and_so_is_one_that_is_well_again(bridge, gateway, graph):
    it = bridge('metrics: [{topic: /t}]\n')
    it.flows()
    it.until(lambda: it.status.link == BridgeStatus.LINK_CONNECTING, 'nothing is tried yet')
    assert (it.rule.state, it.rule.reason) == (
        RuleStatus.STATE_LINK_DOWN,
        'what is measured waits for the gateway: it is being connected to')
    it.link.start()
    graph.spin_until(lambda: it.link.status.connections, 'we are let in')
    it.until(lambda: it.status.link == BridgeStatus.LINK_ONLINE, 'online')
    assert it.rule.state == RuleStatus.STATE_OK
    # Nobody expects an answer while there is nothing to be answered.
    it.skipped_s += 100.0
    it.until(lambda: True, 'a status')
    assert it.status.link == BridgeStatus.LINK_ONLINE
    it.add()
    graph.spin_until(lambda: gateway.frames, 'the gateway has it')
    it.until(lambda: True, 'a status')
    assert it.status.link == BridgeStatus.LINK_ONLINE
    it.skipped_s += LONGEST_WAIT_S
    it.until(lambda: True, 'a status')
    assert it.status.link == BridgeStatus.LINK_SILENT
    assert it.status.link_detail.startswith('connected, and the gateway has acknowledged nothing ')
    assert it.rule.state == RuleStatus.STATE_LINK_DOWN
    assert it.status.link_detail in it.rule.reason
    graph.spin_until(
        lambda: it.diagnostics[-1].status[0].message == it.status.link_detail, 'diagnostics')
    assert it.diagnostics[-1].status[0].level == DiagnosticStatus.WARN
    gateway.acknowledging.set()
    graph.spin_until(lambda: it.link.last_acknowledged_ms, 'an acknowledgement')
    it.until(lambda: True, 'a status')
    assert it.status.link == BridgeStatus.LINK_ONLINE
    assert it.rule.state == RuleStatus.STATE_OK


def test_a_gateway_that_hangs_is_not_thought_well_because_it_lets_us_in_again(
        bridge, gateway, graph):
    it = bridge('metrics: [{topic: /t}]\n')
    it.link.start()
    it.add()
    graph.spin_until(lambda: gateway.frames, 'the gateway has it')
    it.skipped_s += LONGEST_WAIT_S
    it.until(lambda: it.status.link == BridgeStatus.LINK_SILENT, 'silent')
    gateway.connections[0].close()
    graph.spin_until(lambda: it.link.status.connections == 2, 'we are let in again')
    it.until(lambda: True, 'a status')
    assert it.status.link == BridgeStatus.LINK_SILENT
    gateway.acknowledging.set()
    it.until(lambda: it.status.link == BridgeStatus.LINK_ONLINE, 'well again')


def test_a_lane_that_the_byte_budget_leaves_nothing_for_is_told_by_its_rules(
        bridge, gateway, graph):
    it = bridge('delivery: {max_bytes_per_s: 1000}\n'
                'metrics: [{topic: /t, lane: bulk}, {topic: /u}]\n')
    gateway.acknowledging.set()
    it.link.start()
    graph.spin_until(lambda: it.link.status.connections, 'we are let in')
    it.flows(0)
    it.flows(1)
    it.until(lambda: it.rule.state == RuleStatus.STATE_OK, 'well')
    it.add('state', 2000)  # a hundred seconds' worth
    it.add('bulk')
    it.until(lambda: it.rule.state == RuleStatus.STATE_RATE_LIMITED, 'held back')
    assert 'more urgent lanes use up delivery.max_bytes_per_s (1000)' in it.rule.reason
    assert it.rule.since.sec <= time.time() - LONGEST_WAIT_S + 1


def test_a_camera_of_which_no_picture_can_leave_is_not_said_to_be_silent(bridge, graph):
    it = bridge('metrics: []\nvideo: [{topic: /camera, camera_id: front}]\n')
    camera, = it.cameras
    camera.tell(RuleState.NOTHING_PUBLISHED, 'subscribed, nothing published yet')
    it.until(lambda: True, 'a status')
    assert it.rule.state == RuleStatus.STATE_LINK_DOWN
    it.link.start()
    graph.spin_until(lambda: it.link.status.connections, 'we are let in')
    it.until(lambda: it.rule.state == RuleStatus.STATE_NOTHING_PUBLISHED, 'the link is there')
    camera.tell(RuleState.PAUSED, 'nobody watches, and no preview is asked for')
    it.link.stop(drain_s=0.0)
    it.until(lambda: it.status.link != BridgeStatus.LINK_ONLINE, 'the link is gone')
    assert it.rule.state == RuleStatus.STATE_PAUSED

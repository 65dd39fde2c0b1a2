# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The bridge as a process on a real graph: what it hears, what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import json
from pathlib import Path
import subprocess
import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from gateway_client import free_port
from gateway_client import GatewayClient
import pytest
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from scripted_gateway import ScriptedSocket
from sensor_msgs.msg import BatteryState
from sensor_msgs.msg import Temperature
from websockets.exceptions import ConnectionClosed

from plexus_msgs.msg import BridgeStatus
from plexus_msgs.msg import Metric
from plexus_msgs.msg import MetricArray
from plexus_msgs.msg import RuleStatus

RELIABLE = QoSProfile(depth=10)
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Road:
    """A gateway and a bridge with a map of the test's, and the test's own node."""

    def __init__(self, graph: Any, gateway: GatewayClient, bridge: Any):
        self.graph = graph
        self.gateway = gateway
        self.bridge = bridge
        self.status = graph.collect(BridgeStatus, '/plexus_bridge/status')

    def latest(self) -> dict[str, float]:
        return self.gateway.latest('robot-1') if self.gateway.knows('robot-1') else {}

    def rule(self, index: int = 0) -> RuleStatus | None:
        return self.status[-1].rules[index] if self.status else None

    def until_state(self, state: int, index: int = 0) -> RuleStatus:
        self.graph.spin_until(
            lambda: self.status and self.rule(index).state == state,
            f'state {state} of rule {index}; {self.rule(index)}')
        rule = self.rule(index)
        assert rule is not None
        return rule

    def publish_until(self, publisher: Any, message: Any, metric: str, value: float) -> None:
        """Publish again and again until the value has arrived: the bridge may join late."""
        def arrived() -> bool:
            publisher.publish(message)
            return self.latest().get(metric) == value

        self.graph.spin_until(arrived, f'{metric} = {value}; {self.bridge.output}')


@pytest.fixture
def road(graph, start, tmp_path, ros_environment, wait_until) -> Callable[..., Road]:
    def make(rules: str, *arguments: str) -> Road:
        port = free_port()
        gateway = GatewayClient(port, Path(ros_environment['PLEXUS_HOME']))
        start('plexus_bridge.gateway.serve', '--port', str(port))
        wait_until(gateway.is_up, 'the gateway answers')
        robot_map = tmp_path / 'robot.yaml'
        robot_map.write_text(
            f'version: 1\nsource_id: robot-1\ngateway: {{url: "{gateway.url}"}}\n'
            f'metrics:\n{rules}')
        return Road(graph, gateway, start(
            'plexus_bridge.nodes.bridge', '--ros-args', '-p', f'config_file:={robot_map}',
            *arguments))

    return make


def test_a_topic_that_comes_late_and_changes_its_qos_is_heard(road):
    it = road('  - {topic: /t, fields: [{path: temperature, metric: t}]}\n')
    rule = it.until_state(RuleStatus.STATE_NO_PUBLISHER)
    assert rule.location.endswith('robot.yaml:5')
    for round_number, qos in enumerate((BEST_EFFORT, RELIABLE, LATCHED), 1):
        publisher = it.graph.node.create_publisher(Temperature, '/t', qos)
        it.publish_until(
            publisher, Temperature(temperature=float(round_number)), 't', float(round_number))
        it.graph.node.destroy_publisher(publisher)
        it.until_state(RuleStatus.STATE_NO_PUBLISHER)


def test_a_latched_message_from_before_our_time_is_heard(road, graph):
    publisher = graph.node.create_publisher(Temperature, '/t', LATCHED)
    publisher.publish(Temperature(temperature=4.5))
    it = road('  - {topic: /t, fields: [{path: temperature, metric: t}]}\n')
    graph.spin_until(lambda: it.latest().get('t') == 4.5, 'the latched value')


def test_a_wrong_type_names_both(road):
    it = road('  - {topic: /t, type: sensor_msgs/msg/Imu}\n')
    it.graph.node.create_publisher(Temperature, '/t', RELIABLE)
    rule = it.until_state(RuleStatus.STATE_WRONG_TYPE)
    assert rule.reason == ('saw a publisher of sensor_msgs/msg/Temperature, '
                           'expected sensor_msgs/msg/Imu')


OTHER_PUBLISHER = '''
import rclpy, sys
from rclpy.node import Node
from sensor_msgs.msg import Imu
rclpy.init()
node = Node('other')
publisher = node.create_publisher(Imu, '/t', 10)
sys.stdin.read()
'''


def test_two_types_on_one_topic_are_both_named(road, ros_environment):
    it = road('  - {topic: /t}\n')
    it.graph.node.create_publisher(Temperature, '/t', RELIABLE)
    other = subprocess.Popen(
        [sys.executable, '-c', OTHER_PUBLISHER], stdin=subprocess.PIPE, env=ros_environment)
    try:
        rule = it.until_state(RuleStatus.STATE_WRONG_TYPE)
    finally:
        other.communicate()
    assert 'sensor_msgs/msg/Imu and of sensor_msgs/msg/Temperature' in rule.reason


def test_a_path_that_the_type_does_not_have_names_the_nearest(road):
    it = road('  - {topic: /t, fields: [{path: temperatur, metric: t}]}\n')
    it.graph.node.create_publisher(Temperature, '/t', RELIABLE)
    assert "did you mean 'temperature'?" in it.until_state(RuleStatus.STATE_PATH_MISSING).reason


def test_built_in_maps_names_and_nan(road):
    it = road('  - {topic: battery, prefix: power}\n')
    publisher = it.graph.node.create_publisher(BatteryState, '/battery', RELIABLE)
    it.publish_until(publisher, BatteryState(voltage=24.5, charge=float('nan')),
                     'power.voltage', 24.5)
    assert 'power.charge' not in it.latest()
    assert it.latest()['power.power_supply_status'] == 0


def test_relative_topics_follow_the_namespace_and_the_status_with_them(road, graph):
    it = road('  - {topic: t, fields: [{path: temperature, metric: t}]}\n', '-r', '__ns:=/r2')
    status = graph.collect(BridgeStatus, '/r2/plexus_bridge/status')
    publisher = graph.node.create_publisher(Temperature, '/r2/t', RELIABLE)
    it.publish_until(publisher, Temperature(temperature=1.5), 't', 1.5)
    graph.spin_until(lambda: status, 'status in the namespace')


def test_status_and_diagnostics_tell_how_it_goes(road, graph):
    it = road('  - topic: /t\n    fields: [{path: temperature, metric: t}, '
              '{path: variance, metric: v}, {path: header.frame_id, metric: frame}]\n')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    publisher = graph.node.create_publisher(Temperature, '/t', RELIABLE)
    it.publish_until(publisher, Temperature(temperature=1.5, variance=float('nan')), 't', 1.5)
    rule = it.until_state(RuleStatus.STATE_OK)
    assert (rule.publishers, rule.type) == (1, 'sensor_msgs/msg/Temperature')
    assert rule.messages > 0
    # Of texts only changes are sent.
    assert rule.points == rule.messages + 1
    dropped = {drop.reason: drop.count for drop in rule.dropped}
    assert dropped.pop('values_unchanged', 0) == rule.messages - 1
    assert dropped == {'not_finite': rule.messages}
    graph.spin_until(lambda: it.status[-1].link == BridgeStatus.LINK_ONLINE, 'online')
    status = it.status[-1]
    assert (status.source_id, status.connections) == ('robot-1', 1)
    assert abs(status.clock_offset) < 0.5
    graph.spin_until(lambda: diagnostics, 'diagnostics')
    assert diagnostics[-1].status[0].name == 'plexus_bridge: link'
    assert diagnostics[-1].status[0].hardware_id == 'robot-1'
    assert it.bridge.stop() == 0, it.bridge.output


def test_a_refusal_by_the_local_gateway_names_the_key_that_hides_its_own(
        road, graph, ros_environment):
    ros_environment['PLEXUS_API_KEY'] = 'plx_of_another_gateway'
    it = road('  - {topic: /t}\n')
    graph.spin_until(
        lambda: it.status and it.status[-1].link == BridgeStatus.LINK_REFUSED,
        f'refused; {it.bridge.output}')
    hint = 'that of PLEXUS_API_KEY; unset it to use that of the gateway on this machine'
    assert hint in it.status[-1].link_detail
    assert hint in it.bridge.output


def test_topics_that_fit_a_pattern_are_found_when_they_come(road, graph):
    it = road('  - topic: /robots/{robot}/t\n    tags: {robot: "{robot}"}\n'
              '    fields: [{path: temperature, metric: "{robot}.t"}]\n')
    waiting = it.until_state(RuleStatus.STATE_NO_PUBLISHER)
    assert (waiting.pattern, waiting.topic) == ('/robots/{robot}/t', '')
    for robot, value in (('r1', 1.5), ('r2', 2.5)):
        publisher = graph.node.create_publisher(Temperature, f'/robots/{robot}/t', RELIABLE)
        it.publish_until(publisher, Temperature(temperature=value), f'{robot}.t', value)
    graph.spin_until(lambda: len(it.status[-1].rules) == 2, 'a status for each topic')
    assert [rule.topic for rule in it.status[-1].rules] == ['/robots/r1/t', '/robots/r2/t']


def test_each_topic_of_a_wildcard_has_its_own_rate(road, graph):
    it = road('  - {topic: /r/*, sampling: {mode: every}}\n')
    busy = graph.node.create_publisher(Temperature, '/r/busy', RELIABLE)
    graph.node.create_publisher(Temperature, '/r/idle', RELIABLE)

    def told() -> bool:
        busy.publish(Temperature())
        rules = it.status[-1].rules if it.status else []
        return len(rules) == 2 and rules[0].rate_hz > 0 and rules[0].messages > 20

    graph.spin_until(told, 'a rate')
    # Both in one: what one topic has must not be taken from what the other has.
    assert [rule.topic for rule in it.status[-1].rules] == ['/r/busy', '/r/idle']
    assert all(status.rules[-1].rate_hz == 0 for status in it.status if len(status.rules) == 2)


def test_without_a_clock_the_simulated_bridge_still_tells_how_it_is(road, graph):
    it = road('  - {topic: /t}\n', '-p', 'use_sim_time:=true')
    graph.spin_until(lambda: it.status, 'a status')


def test_with_simulated_time_points_carry_real_time_and_say_so(road, graph):
    it = road('  - {topic: /t, fields: [{path: temperature, metric: t}]}\n',
              '-p', 'use_sim_time:=true')
    publisher = graph.node.create_publisher(Temperature, '/t', RELIABLE)
    message = Temperature(temperature=1.5)
    message.header.stamp.sec = 1_700_000_000  # plausible, but a simulator's
    before = time.time_ns() // 1_000_000
    it.publish_until(publisher, message, 't', 1.5)
    stamps = [stamp for stamp, _ in it.gateway.series('robot-1', 't', before, before + 60_000)]
    assert stamps
    assert all(before <= stamp <= time.time_ns() // 1_000_000 for stamp in stamps)
    assert it.gateway.series('robot-1', 't', 1_699_999_999_000, 1_700_000_001_000) == []


def test_metric_arrays_need_no_fields(road, graph):
    it = road('  - {topic: /arm/metrics}\n')
    publisher = graph.node.create_publisher(MetricArray, '/arm/metrics', RELIABLE)
    it.publish_until(publisher, MetricArray(metrics=[Metric(name='arm.load', value=0.25)]),
                     'arm.load', 0.25)


def test_every_state_of_a_rule_has_its_name_in_the_message_and_no_other_is_declared():
    from plexus_bridge.ros.rule_intake import RuleState
    assert {f'STATE_{state.name}' for state in RuleState} == {
        name for name in dir(RuleStatus) if name.startswith('STATE_')}


def test_stamps_of_receipt_are_in_the_gateways_time(graph, start, tmp_path):
    """A robot whose clock is twelve seconds behind: nothing of it may look old."""
    points: list[dict] = []

    def serve(connection) -> None:
        connection.recv()
        connection.send(json.dumps({
            'type': 'authenticated', 'acks': True,
            'server_time_ms': time.time_ns() // 1_000_000 + 12_000}))
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame = json.loads(connection.recv())
                points.extend(frame.get('points', ()))
                connection.send(json.dumps({'type': 'telemetry_ack', 'seq': frame.get('seq')}))

    robot_map = tmp_path / 'robot.yaml'
    with ScriptedSocket(serve) as gateway:
        robot_map.write_text(
            f'version: 1\nsource_id: robot-1\ngateway: {{url: "{gateway.url}"}}\n'
            'metrics: [{topic: /t, fields: [{path: temperature, metric: t}]}]\n')
        bridge = start('plexus_bridge.nodes.bridge', '--ros-args', '-p',
                       f'config_file:={robot_map}', PLEXUS_API_KEY='plx_test')
        publisher = graph.node.create_publisher(Temperature, '/t', RELIABLE)

        def corrected() -> bool:
            publisher.publish(Temperature(temperature=1.0))
            return bool(points) and abs(
                points[-1]['timestamp'] - time.time() * 1000 - 12_000) < 2000

        graph.spin_until(corrected, f'stamps in the time of the gateway; {bridge.output}')
        assert bridge.stop() == 0

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Events of a real graph: what the intake makes of it, lane by lane."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
import pytest
from rclpy.node import Node
from sensor_msgs.msg import Temperature
from std_msgs.msg import Bool

from plexus_bridge.config.map import load_map
from plexus_bridge.counters import Counters
from plexus_bridge.mapping.plan import plan
from plexus_bridge.mapping.sinks import PointSink
from plexus_bridge.ros.graph_events import GraphEvents
from plexus_bridge.ros.intake import Intake

BLACK_BOX = '''
events:
  - topic: /estop
    capture:
      before_s: 60
      after_s: 60
      rules: [{topic: /t, fields: [{path: temperature, metric: t}]}]
'''


class Heard:
    """An intake for a map, and what came out of it by lane."""

    def __init__(self, graph: Any, text: str, folder: Any):
        file = folder / 'robot.yaml'
        file.write_text(f'version: 1\n{text}')
        self.map = load_map(file, {})
        self.lanes: dict[str, list[dict[str, Any]]] = {'urgent': [], 'state': [], 'bulk': []}
        self.counters = Counters()
        self._graph = graph
        sinks = {lane: PointSink(points.append) for lane, points in self.lanes.items()}
        self.intake = Intake(
            graph.node, plan(self.map.metrics, self.map.events, sinks, self.counters),
            self.counters)
        self.graph_events = GraphEvents(graph.node, self.map.graph, sinks['urgent'])

    def poll(self) -> None:
        self.intake.poll(time.monotonic())
        self.graph_events.poll(time.monotonic(), time.time_ns() // 1_000_000)

    def until(self, condition: Callable[[], object], what: str) -> None:
        def holds() -> object:
            self.poll()
            return condition()

        self._graph.spin_until(holds, what)


@pytest.fixture
def robot(graph) -> Iterator[Node]:
    """Another node: what our own publishes is nobody's news."""
    node = Node('robot', context=graph.node.context)
    yield node
    node.destroy_node()


@pytest.fixture
def heard(graph, tmp_path) -> Callable[[str], Heard]:
    return lambda text: Heard(graph, text, tmp_path)


def test_a_storm_of_diagnostics_gives_an_event_for_each_change(robot, heard):
    it = heard('events: [{topic: /diagnostics}]')
    publisher = robot.create_publisher(DiagnosticArray, '/diagnostics', 100)
    it.until(lambda: it.intake.topics[0].subscription, 'subscribed')
    statuses = [DiagnosticStatus(name=f'part {index}', hardware_id=f'id-{index}', values=[
        KeyValue(key='load', value='0.5')]) for index in range(10)]
    changes = {200: (3, b'\x01'), 500: (3, b'\x02'), 900: (7, b'\x02')}
    for number in range(1000):
        if number in changes:
            index, level = changes[number]
            statuses[index].level = level
        publisher.publish(DiagnosticArray(status=statuses))
        if number % 50 == 49:
            it.until(lambda: it.intake.topics[0].messages > number,  # noqa: B023
                     'all of them are taken')
    assert it.intake.topics[0].messages == 1000
    assert [(point['metric'], point['value']['level'], point['value']['previous'],
             point['tags']['hardware_id']) for point in it.lanes['urgent']] == [
        ('diagnostics.part_3', 'WARN', 'OK', 'id-3'),
        ('diagnostics.part_3', 'ERROR', 'WARN', 'id-3'),
        ('diagnostics.part_7', 'ERROR', 'OK', 'id-7')]
    assert it.lanes['urgent'][0]['value']['values'] == {'load': '0.5'}


def test_log_lines_come_from_every_node_but_our_own(graph, robot, heard):
    it = heard('events: [{topic: /rosout}]')
    it.until(lambda: it.intake.topics[0].subscription, 'subscribed')
    for number in range(100):
        graph.node.get_logger().error('our own')
        robot.get_logger().warning(f'no path after {number} s')
    robot.get_logger().info('not grave enough')
    robot.get_logger().error('gave up')
    it.until(lambda: len(it.lanes['urgent']) >= 2, 'both lines')
    assert [(point['value'], point['tags']) for point in it.lanes['urgent']] == [
        ('no path after 0 s', {'severity': 'warn', 'node': 'robot'}),
        ('gave up', {'severity': 'error', 'node': 'robot'})]


def fill_black_box(robot: Node, heard: Callable[[str], Heard], count: int
                   ) -> tuple[Heard, Any, Any]:
    """Return an intake that keeps so many readings, and who publishes readings and its event."""
    it = heard(BLACK_BOX)
    warm = robot.create_publisher(Temperature, '/t', 100)
    estop = robot.create_publisher(Bool, '/estop', 10)
    it.until(lambda: all(topic.subscription for topic in it.intake.topics), 'subscribed')
    for number in range(count):
        warm.publish(Temperature(temperature=float(number)))
    it.until(lambda: it.intake.topics[1].messages == count, 'kept')
    return it, warm, estop


def test_the_black_box_sends_what_was_before_the_event(robot, heard):
    it, _, estop = fill_black_box(robot, heard, 50)
    assert not it.lanes['bulk']
    estop.publish(Bool(data=True))
    it.until(lambda: it.lanes['urgent'], 'the event')
    capture = it.lanes['urgent'][0]['tags']['capture']
    assert [point['value'] for point in it.lanes['bulk']] == list(range(50))
    assert {point['tags']['capture'] for point in it.lanes['bulk']} == {capture}


def test_when_the_bridge_ends_a_black_box_sends_what_it_has_of_its_span(robot, heard):
    it, warm, estop = fill_black_box(robot, heard, 30)
    estop.publish(Bool(data=True))
    it.until(lambda: it.lanes['urgent'], 'the event')
    for number in range(30, 50):
        warm.publish(Temperature(temperature=float(number)))
    it.until(lambda: it.intake.topics[1].messages == 50, 'what comes afterwards')
    it.intake.close()
    assert [point['value'] for point in it.lanes['bulk']] == list(range(50))
    assert {point['tags']['capture'] for point in it.lanes['bulk']} == {
        it.lanes['urgent'][0]['tags']['capture']}


def test_nodes_that_come_and_go_are_events(graph, heard):
    it = heard('events: [{graph: nodes, names: ["/plan*"]}]')
    it.until(lambda: it.graph_events._watches[0]._known is not None, 'a first look')
    Node('camera', context=graph.node.context).destroy_node()
    other = Node('planner', context=graph.node.context)
    it.until(lambda: it.lanes['urgent'], 'it appeared')
    other.destroy_node()
    it.until(lambda: len(it.lanes['urgent']) == 2, 'it vanished')
    assert [(point['metric'], point['value']) for point in it.lanes['urgent']] == [
        ('graph.node.appeared', '/planner'), ('graph.node.vanished', '/planner')]


def test_the_nodes_of_command_line_tools_are_no_news(graph, heard):
    it = heard('events: [{graph: nodes}]')
    it.until(lambda: it.graph_events._watches[0]._known is not None, 'a first look')
    hidden = Node('_ros2cli_4711', context=graph.node.context)
    seen = Node('planner', context=graph.node.context)
    it.until(lambda: it.lanes['urgent'], 'one of them appeared')
    for node in (hidden, seen):
        node.destroy_node()
    assert [point['value'] for point in it.lanes['urgent']] == ['/planner']


def test_a_rule_that_makes_no_event_says_so(robot, heard):
    it = heard('events: [{topic: /t}]')
    robot.create_publisher(Temperature, '/t', 100)
    it.until(lambda: 'says by itself of no event' in it.intake.topics[0].reason, 'told')
    assert it.intake.topics[0].name == 'events[0]'

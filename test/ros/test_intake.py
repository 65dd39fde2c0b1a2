# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a rule's place on the graph goes through: topics come, change, go, and cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
import json
import math
import subprocess
import sys
import time
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Imu
from sensor_msgs.msg import JointState
from sensor_msgs.msg import Temperature

from plexus_bridge.client.gateway_clock import ClockEstimate
from plexus_bridge.config.map import load_map
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.mapping.adjustments import Adjustments
from plexus_bridge.mapping.adjustments import Wish
from plexus_bridge.mapping.plan import plan
from plexus_bridge.ros.intake import EXPECTED_AT_MOST
from plexus_bridge.ros.intake import GONE_S
from plexus_bridge.ros.intake import Intake
from plexus_bridge.ros.intake import LONGEST_POLL_S
from plexus_bridge.ros.intake import SHORTEST_POLL_S
from plexus_bridge.ros.lonely import LONELY_AFTER_S
from plexus_bridge.ros.outcome import SILENT_S
from plexus_bridge.ros.outcome import USUAL_MESSAGES
from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.rule_intake import RuleState
from plexus_bridge.ros.stamping import Stamping


class Rules:
    """An intake with a map of the test's, polled by hand; `skipped_s` is time that passed."""

    def __init__(self, graph: Any, node: Node, rules: str, tmp_path: Any):
        file = tmp_path / 'robot.yaml'
        file.write_text(f'version: 1\nmetrics:\n{rules}')
        self.graph = graph
        self.counters = Counters()
        self.lanes = Lanes(self.counters)
        robot_map = load_map(file, {})
        self.intake = Intake(
            node, plan(robot_map.metrics, robot_map.events, self.lanes.sinks, self.counters),
            self.counters)
        self.skipped_s = 0.0

    def topics(self) -> list[str]:
        return [topic.topic for topic in self.intake.topics]

    def until(self, condition: Any, what: str) -> None:
        def so() -> Any:
            self.intake.poll(time.monotonic() + self.skipped_s)
            return condition()

        self.graph.spin_until(so, f'{what}; {self.intake.topics}', look_s=0.01)

    def until_state(self, state: RuleState) -> RuleIntake:
        self.until(lambda: self.intake.topics[0].state == state, f'{state}')
        return self.intake.topics[0]

    def publish_until_taken(self, publisher: Any, message: Any) -> None:
        before = self.intake.topics[0].messages

        def taken() -> bool:
            publisher.publish(message)
            return self.intake.topics[0].messages > before

        self.until(taken, 'a message is taken')


@pytest.fixture
def rules(graph, tmp_path) -> Iterator[Any]:
    # A participant of its own: within one, a topic has one type.
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node('intake', context=context)
    made: list[Rules] = []

    def make(text: str) -> Rules:
        made.append(Rules(graph, node, text, tmp_path))
        return made[-1]

    yield make
    for it in made:
        it.intake.close()
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_open_windows_are_kept_when_a_topic_changes_its_type(rules, graph):
    it = rules('  - topic: /t\n    sampling: {mode: window, window_s: 3600, stats: [count]}\n'
               '    fields: [{path: header.stamp.sec, metric: sec}]\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)
    it.publish_until_taken(publisher, Temperature())
    old = it.intake.topics[0].mapper
    ended = []
    finish = old.finish
    old.finish = lambda: (ended.append(True), finish())
    graph.node.destroy_publisher(publisher)
    it.until_state(RuleState.NO_PUBLISHER)
    graph.node.create_publisher(Imu, '/t', 10)
    it.until(lambda: it.intake.topics[0].type == 'sensor_msgs/msg/Imu', 'the new type')
    assert ended == [True]


def test_a_type_that_does_not_fit_leaves_the_old_one_whole(rules, graph):
    it = rules('  - {topic: /t, fields: [{path: temperature, metric: t}]}\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)
    it.publish_until_taken(publisher, Temperature())
    graph.node.destroy_publisher(publisher)
    it.until_state(RuleState.NO_PUBLISHER)
    graph.node.create_publisher(Imu, '/t', 10)
    topic = it.until_state(RuleState.PATH_MISSING)
    assert (topic.type, topic.message_class) == ('sensor_msgs/msg/Temperature', Temperature)


def test_a_wildcard_with_a_type_is_not_about_topics_of_other_types(rules, graph):
    it = rules('  - {topic: /r/*, type: sensor_msgs/msg/Temperature}\n')
    graph.node.create_publisher(Imu, '/r/imu', 10)
    graph.node.create_publisher(Temperature, '/r/t', 10)
    it.until(lambda: it.topics() == ['/r/t'], 'the topic of the right type')
    it.skipped_s += 10.0
    it.until_state(RuleState.NOTHING_PUBLISHED)
    assert it.topics() == ['/r/t']


def test_topics_of_a_wildcard_that_are_gone_for_long_are_let_go(rules, graph):
    it = rules('  - {topic: /r/*, sampling: {mode: every}}\n')
    publishers = [graph.node.create_publisher(Temperature, f'/r/{name}', 10) for name in 'ab']
    it.until(lambda: it.topics() == ['/r/a', '/r/b'], 'both topics')
    before = it.intake.topics
    graph.node.destroy_publisher(publishers[0])
    it.until_state(RuleState.NO_PUBLISHER)
    it.skipped_s += GONE_S - 60.0
    it.until(lambda: True, 'polled')
    assert it.topics() == ['/r/a', '/r/b']
    it.skipped_s += 60.0
    it.until(lambda: it.topics() == ['/r/b'], 'the gone one is let go')
    assert before[0].subscription is None
    assert len(before) == 2  # another thread may be walking through it
    graph.node.destroy_publisher(publishers[1])
    it.until_state(RuleState.NO_PUBLISHER)
    it.skipped_s += GONE_S
    it.until(lambda: it.topics() == [''], 'the rule waits again')
    graph.node.create_publisher(Temperature, '/r/a', 10)
    it.until(lambda: it.topics() == ['/r/a'], 'and finds again')


@pytest.mark.parametrize('sampling', ['{mode: every}', '{mode: latest, rate_hz: 1000}'])
def test_a_rule_whose_messages_cannot_be_read_is_not_called_well(rules, graph, sampling):
    it = rules(f'  - {{topic: /t, sampling: {sampling}, fields: [{{path: temperature, '
               'metric: t}]}\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)

    def publish(message: Any, state: RuleState) -> RuleIntake:
        def so() -> bool:
            publisher.publish(message)
            return it.intake.topics[0].state == state

        it.until(so, f'{state}')
        return it.intake.topics[0]

    topic = publish(b'\0\1\0\0abc', RuleState.MALFORMED)
    assert topic.reason.startswith('no message could be read so far: ')
    publish(Temperature(temperature=1.5), RuleState.OK)
    unreadable = topic.unreadable
    it.until(lambda: publisher.publish(b'\0\1\0\0abc') or topic.unreadable > unreadable,
             'another bad message')
    assert topic.state == RuleState.OK  # and the count of those left out says the rest


@pytest.mark.parametrize(('sampling', 'period_s'), [
    ('{mode: every}', LONGEST_POLL_S),
    ('{mode: window, window_s: 1, stats: [mean]}', LONGEST_POLL_S),
    ('{mode: latest, rate_hz: 25}', 0.04),
    ('{mode: latest, rate_hz: 1}', LONGEST_POLL_S),
    ('{mode: latest, rate_hz: 1000}', SHORTEST_POLL_S),
])
def test_a_topic_is_looked_at_no_more_often_than_it_is_of_use(rules, graph, sampling, period_s):
    it = rules(f'  - topic: /t\n    sampling: {sampling}\n'
               '    fields: [{path: temperature, metric: t}]\n')
    it.publish_until_taken(graph.node.create_publisher(Temperature, '/t', 10), Temperature())
    now = time.monotonic() + 10.0
    assert it.intake.poll(now) - now == pytest.approx(period_s)


def test_where_much_comes_it_is_looked_at_again_before_the_queue_is_full(rules, graph):
    it = rules('  - topic: /t\n    sampling: {mode: every}\n'
               '    fields: [{path: temperature, metric: t}]\n')
    it.publish_until_taken(graph.node.create_publisher(Temperature, '/t', 10), Temperature())
    topic = it.intake.topics[0]
    waiting = [(serialize_message(Temperature()), {'received_timestamp': 1})] * 400
    topic.take_message = lambda *_: waiting.pop() if waiting else None
    now = time.monotonic() + LONGEST_POLL_S
    topic.heard_at = now - 0.2
    before = topic.messages
    assert it.intake.poll(now) - now == pytest.approx(0.2 * EXPECTED_AT_MOST / 400)
    assert topic.messages - before == 400


class SteppedClock:
    """A system clock that can be stepped, for us and for the middleware's stamps of receipt."""

    def __init__(self, monkeypatch: Any):
        self._now_ns = time.time_ns
        self._step_ns, self._stepped_at = 0, 0
        monkeypatch.setattr(time, 'time_ns', lambda: self._seen(self._now_ns()))
        monkeypatch.setattr(time, 'time', lambda: self._seen(self._now_ns()) / 1e9)

    def step(self, seconds: float) -> None:
        self._step_ns, self._stepped_at = int(seconds * 1e9), self._now_ns()

    def real_ms(self) -> int:
        return self._now_ns() // 1_000_000

    def _seen(self, stamp_ns: int) -> int:
        return stamp_ns + self._step_ns if stamp_ns >= self._stepped_at else stamp_ns

    def middleware(self, take_message: Any) -> Any:
        def take(message_class: Any, raw: bool) -> Any:
            taken = take_message(message_class, raw)
            if taken is not None:
                stamp = self._seen(taken[1]['received_timestamp'])
                taken = (taken[0], {**taken[1], 'received_timestamp': stamp})
            return taken

        return take


@pytest.mark.parametrize('seconds', [-3600.0, 3600.0])
def test_what_was_received_before_a_step_of_the_clock_is_stamped_as_if_there_was_none(
        rules, graph, monkeypatch, seconds):
    it = rules('  - {topic: /t, timestamp: receive, sampling: {mode: every}, '
               'fields: [{path: temperature, metric: t}]}\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)
    it.publish_until_taken(publisher, Temperature())
    it.lanes.flush(0)
    clock = SteppedClock(monkeypatch)
    stamping = Stamping(it.intake, it.counters)
    gateway = ClockEstimate(clock.real_ms(), 5.0, time.monotonic())
    topic = it.intake.topics[0]
    topic.take_message = clock.middleware(topic.take_message)
    stamping.follow(time.monotonic(), gateway)
    sent: list[int] = []

    def send(number: int) -> None:
        sent.append(clock.real_ms())
        publisher.publish(Temperature(temperature=float(number)))
        graph.spin_for(0.2)

    def take_all() -> None:
        stamping.follow(time.monotonic(), gateway)
        it.intake.poll(time.monotonic())

    send(1)
    clock.step(seconds)  # with the first still waiting to be taken
    take_all()
    for number in (2, 3):
        send(number)
        take_all()
    points = [point for point in json.loads(b'[%b]' % b','.join(
        frame.points_json for frame in it.lanes.flush(0))) if point['value']]
    assert [point['value'] for point in points] == [1, 2, 3]
    stamps = [point['timestamp'] for point in points]
    assert stamps == sorted(stamps)
    assert all(abs(stamp - real) < 1000 for stamp, real in zip(stamps, sent, strict=True))
    assert it.counters['clock_steps'] == 1


def publish_until_state(it: Rules, publisher: Any, message: Any, state: RuleState,
                        topic: RuleIntake | None = None) -> RuleIntake:
    """Publish, with time that passes faster than it does."""
    watched = topic or it.intake.topics[0]

    def so() -> bool:
        publisher.publish(message)
        it.skipped_s += 0.1
        return watched.state is state

    it.until(so, f'{state}')
    return watched


def test_a_rule_all_of_whose_values_are_left_out_says_so_until_there_is_one(rules, graph):
    it = rules('  - {topic: /t, fields: [{path: temperature, metric: t}]}\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)
    nothing = Temperature(temperature=float('nan'))
    topic = publish_until_state(it, publisher, nothing, RuleState.NOT_FINITE)
    assert topic.reason == (
        'messages come and every value is left out: they are NaN or infinite')
    assert topic.outcome.counters.dropped()['not_finite'] > 0
    assert topic.points == 0
    publish_until_state(it, publisher, Temperature(temperature=1.0), RuleState.OK)


EVENT_RULES = (
    'events: [{topic: /t, fields: [{path: temperature, event: t}]}]',
    'events: [{topic: /t, event: hot, when: {path: temperature, above: 50}}]',
    'events: [{topic: /none, type: std_msgs/Bool, capture: {rules: [{topic: /t, fields: '
    '[{path: temperature, metric: t}]}]}}]')


@pytest.mark.parametrize('text', EVENT_RULES)
def test_event_rules_and_what_a_black_box_keeps_say_so_as_well(rules, graph, text):
    it = rules(f'  []\n{text}\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)
    topic = next(topic for topic in it.intake.topics if topic.topic == '/t')
    nothing = Temperature(temperature=float('nan'))
    publish_until_state(it, publisher, nothing, RuleState.NOT_FINITE, topic)
    assert topic.outcome is not None
    assert topic.outcome.counters.dropped()['not_finite'] > 0
    publish_until_state(it, publisher, Temperature(temperature=1.0), RuleState.OK, topic)
    end_s = it.skipped_s + 20

    def later() -> bool:  # the same value again is no event, and nothing is left out
        publisher.publish(Temperature(temperature=1.0))
        publisher.publish(nothing)
        it.skipped_s += 0.1
        return it.skipped_s > end_s or topic.state is not RuleState.OK

    it.until(later, 'time passes')
    assert topic.state is RuleState.OK


def test_an_element_that_is_never_there_is_told_and_one_that_is_missing_now_and_then_is_not(
        rules, graph):
    it = rules('  - {topic: /a, fields: [{path: "position[9]", metric: a}]}\n')
    publisher = graph.node.create_publisher(JointState, '/a', 10)
    topic = publish_until_state(
        it, publisher, JointState(position=[1.0]), RuleState.PATH_MISSING)
    assert 'do not have the element that a path asks for' in topic.reason
    other = rules('  - {topic: /b, fields: [{path: "position[9]", metric: a}, '
                  '{path: "position[0]", metric: b}]}\n')
    publisher = graph.node.create_publisher(JointState, '/b', 10)
    publish_until_state(other, publisher, JointState(position=[1.0]), RuleState.OK)
    end_s = other.skipped_s + 20
    states = set()

    def later() -> bool:
        publisher.publish(JointState(position=[1.0]))
        other.skipped_s += 0.3
        states.add(other.intake.topics[0].state)
        return other.skipped_s > end_s

    other.until(later, 'time passes')
    assert states == {RuleState.OK}
    assert other.counters.dropped()['element_absent'] > 10


def count_encoded(lanes: Lanes) -> int:
    return sum(frame.points for frame in lanes.flush(0))


@pytest.mark.parametrize(('sampling', 'fields'), [
    ('{mode: every}', '{path: temperature, metric: a}, {path: variance, metric: b}'),
    ('{mode: latest, rate_hz: 1000}', '{path: temperature, metric: a}'),
    ('{mode: every}', '{path: header.frame_id, metric: frame}, {path: temperature, metric: a}'),
    ('{mode: window, window_s: 0.1, stats: [mean, max]}', '{path: temperature, metric: a}'),
    ('{mode: every}', '{path: temperature, metric: a, lane: bulk}, {path: variance, metric: b}'),
])
def test_a_rule_knows_how_many_points_it_made(rules, graph, sampling, fields):
    it = rules(f'  - {{topic: /t, sampling: {sampling}, fields: [{fields}]}}\n'
               '  - {topic: /u, sampling: {mode: every}}\n')
    publishers = [graph.node.create_publisher(Temperature, f'/{name}', 10) for name in 'tu']
    one, other = it.intake.topics
    values = iter(range(1_000_000))
    encoded = [0]

    def enough() -> bool:
        for publisher in publishers:
            publisher.publish(Temperature(temperature=float(next(values)), variance=math.nan))
        if next(values) % 3 == 0:
            encoded[0] += count_encoded(it.lanes)
        return one.points > 20 and other.points > 20

    it.until(enough, 'points of both')
    it.intake.close()
    assert one.points + other.points == encoded[0] + count_encoded(it.lanes)
    # The built-in map has two values, one of which is no number here.
    assert other.points == other.messages


def test_what_a_rule_counted_outlives_a_change_of_what_people_want(rules, graph):
    it = rules('  - {topic: /t, sampling: {mode: every}, fields: [{path: temperature, metric: t},'
               ' {path: variance, metric: v}]}\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)
    it.publish_until_taken(publisher, Temperature(variance=math.nan))
    topic, = it.intake.topics
    mapper, before = topic.mapper, topic.points
    it.intake.adjust(Adjustments((Wish(session_id='s'),)))
    it.until(lambda: topic.mapper is not mapper, 'the rule is compiled anew')
    it.publish_until_taken(publisher, Temperature(variance=math.nan))
    assert topic.points > before
    assert topic.outcome.counters.dropped()['not_finite'] == topic.messages
    it.until(lambda: topic.state is RuleState.OK, 'data flows')


def test_a_deadband_that_holds_everything_back_says_so(rules, graph):
    it = rules('  - {topic: /t, fields: [{path: temperature, metric: t, deadband: 0.5}]}\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)
    topic = publish_until_state(it, publisher, Temperature(temperature=1.0),
                                RuleState.RATE_LIMITED)
    assert 'differs enough from the last one sent (deadband)' in topic.reason
    assert topic.points == 1
    assert topic.outcome.counters.left_out()['values_unchanged'] == topic.messages - 1
    publish_until_state(it, publisher, Temperature(temperature=2.0), RuleState.OK)
    assert topic.points == 2


def test_messages_without_any_value_are_no_trouble_and_are_told(rules, graph):
    it = rules('  - {topic: /t, fields: [{path: "position[*]", metric: "j.{name}", key: name}]}\n')
    publisher = graph.node.create_publisher(JointState, '/t', 10)

    def told() -> bool:
        publisher.publish(JointState())
        it.skipped_s += 0.1
        return 'no value in them' in it.intake.topics[0].reason

    it.until(told, 'that there is no value')
    assert it.intake.topics[0].state is RuleState.OK


def test_a_topic_that_falls_silent_is_told_until_it_speaks_again(rules, graph):
    it = rules('  - {topic: /t, sampling: {mode: every}, fields: [{path: temperature, '
               'metric: t}]}\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)
    for _ in range(USUAL_MESSAGES):
        it.publish_until_taken(publisher, Temperature())
    it.until_state(RuleState.OK)
    it.skipped_s += SILENT_S
    topic = it.until_state(RuleState.STALE)
    assert topic.reason == (
        'no message for much longer than usual; there is still a publisher')
    it.publish_until_taken(publisher, Temperature())
    it.until_state(RuleState.OK)
    graph.node.destroy_publisher(publisher)
    it.until_state(RuleState.NO_PUBLISHER)
    graph.node.create_publisher(Temperature, '/t', 10)
    it.until_state(RuleState.NOTHING_PUBLISHED)


def test_a_rule_none_of_whose_messages_can_be_read_any_more_is_told(rules, graph):
    it = rules('  - {topic: /t, fields: [{path: temperature, metric: t}]}\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)
    publish_until_state(it, publisher, Temperature(), RuleState.OK)
    topic = publish_until_state(it, publisher, b'\0\1\0\0abc', RuleState.MALFORMED)
    assert topic.reason.startswith('messages come and none of them can be read: ')


def test_an_event_whose_values_are_no_numbers_can_never_come_and_says_so(rules, graph):
    it = rules('  []\nevents:\n  - {topic: /t, fields: [{path: temperature, event: hot}]}\n')
    publisher = graph.node.create_publisher(Temperature, '/t', 10)
    publish_until_state(it, publisher, Temperature(temperature=math.nan), RuleState.NOT_FINITE)
    topic = publish_until_state(it, publisher, Temperature(temperature=1.0), RuleState.OK)
    end_s = it.skipped_s + 20

    def later() -> bool:
        publisher.publish(Temperature(temperature=1.0))
        it.skipped_s += 0.3
        return it.skipped_s > end_s or topic.state is not RuleState.OK

    it.until(later, 'time passes')
    assert (topic.state, topic.points) == (RuleState.OK, 1)


IN_A_PARTITION = '''
import sys, rclpy
from rclpy.node import Node
from sensor_msgs.msg import Temperature
rclpy.init()
node = Node('elsewhere')
publisher = node.create_publisher(Temperature, '/t', 10)
sys.stdin.read()
'''
PARTITION = '''<?xml version="1.0"?>
<dds xmlns="http://www.eprosima.com"><profiles><data_writer profile_name="/t"><qos>
<partition><names><name>elsewhere</name></names></partition>
</qos></data_writer></profiles></dds>
'''


def test_a_publisher_that_the_middleware_does_not_connect_is_told(
        rules, ros_environment, tmp_path):
    it = rules('  - {topic: /t}\n')
    profiles = tmp_path / 'fastdds.xml'
    profiles.write_text(PARTITION)
    other = subprocess.Popen(
        [sys.executable, '-c', IN_A_PARTITION], stdin=subprocess.PIPE,
        env={**ros_environment, 'FASTDDS_DEFAULT_PROFILES_FILE': str(profiles),
             'RMW_FASTRTPS_USE_QOS_FROM_XML': '1'})
    try:
        it.until_state(RuleState.NOTHING_PUBLISHED)
        it.skipped_s += 2.0
        topic = it.until_state(RuleState.QOS_MISMATCH)
    finally:
        other.communicate()
    assert topic.reason.startswith(
        'saw a publisher, none of which the middleware connects with the subscription')


def test_a_publisher_that_has_said_nothing_is_connected_for_all_that(rules, graph):
    it = rules('  - {topic: /t}\n')
    graph.node.create_publisher(Temperature, '/t', 10)
    topic = it.until_state(RuleState.NOTHING_PUBLISHED)
    # So long that it is asked whether the middleware connects them, which it has done by now.
    it.until(lambda: topic.subscription.handle.get_publisher_count(), 'they are connected')
    it.skipped_s += 2.0
    it.until(lambda: True, 'polled')
    assert topic.state is RuleState.NOTHING_PUBLISHED


def test_a_topic_that_nobody_publishes_is_told_once_with_what_may_be_meant(rules, graph, caplog):
    publisher = graph.node.create_publisher(Temperature, '/imu/data', 10)
    it = rules('  - {topic: /imu/dta}\n  - {topic: /imu/data, fields: [{path: temperature, '
               'metric: t}]}\n')
    it.until(lambda: it.intake.topics[1].state is RuleState.NOTHING_PUBLISHED, 'the good one')
    assert 'nobody has published here' not in caplog.text
    it.skipped_s += LONELY_AFTER_S
    it.until(lambda: 'nobody has published here' in caplog.text, 'told')
    for _ in range(3):
        it.skipped_s += LONELY_AFTER_S
        it.until(lambda: True, 'polled')
    line, = (record for record in caplog.records if 'nobody has' in record.getMessage())
    assert line.levelname == 'WARNING'
    assert line.getMessage().startswith('metrics[0] /imu/dta: ')
    assert line.getMessage().endswith('; did you mean /imu/data?')
    graph.node.destroy_publisher(publisher)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
import signal
import time
from typing import Any

from nav_msgs.msg import Odometry
import pytest
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosbags.interfaces import Qos
from rosbags.interfaces import QosDurability
from rosbags.interfaces import QosHistory
from rosbags.interfaces import QosLiveliness
from rosbags.interfaces import QosReliability
from rosbags.interfaces import QosTime
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu
from std_msgs.msg import String

MODULE = 'plexus_bridge.nodes.play'
DEEP = QoSProfile(depth=20000)
START_NS = 1_700_000_000_000_000_000


def offered(reliability: QosReliability, durability: QosDurability, depth: int) -> list[Qos]:
    ever = QosTime(9223372036, 854775807)
    return [Qos(QosHistory.KEEP_LAST, depth, reliability, durability, ever, ever,
                QosLiveliness.AUTOMATIC, ever, False)]


def write_bag(path: Path, topics: dict[str, tuple[str, list[tuple[float, bytes]]]],
              qos: dict[str, list[Qos]] | None = None) -> Path:
    """Write topic: (type, [(seconds, CDR)]), in the order of time."""
    types = get_typestore(Stores.ROS2_JAZZY)
    types.register(get_types_from_msg('float64 speed', 'moon_msgs/msg/Rover'))
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            topic: writer.add_connection(topic, kind, typestore=types,
                                         offered_qos_profiles=(qos or {}).get(topic, []))
            for topic, (kind, _) in topics.items()}
        everything = sorted((at, topic, data) for topic, (_, messages) in topics.items()
                            for at, data in messages)
        for at, topic, data in everything:
            writer.write(connections[topic], START_NS + round(at * 1e9), data)
    return path


def imu(number: int) -> bytes:
    message = Imu()
    message.header.frame_id = 'imu_link'
    message.header.stamp.sec = number
    message.linear_acceleration.x = number / 7
    return bytes(serialize_message(message))


def text(content: str) -> bytes:
    return bytes(serialize_message(String(data=content)))


def test_every_message_arrives_byte_for_byte_as_fast_as_it_goes(
        graph: Any, start: Any, tmp_path: Path) -> None:
    imus = [imu(k) for k in range(12_000)]
    odometry = [bytes(serialize_message(Odometry(child_frame_id=f'base_{k}')))
                for k in range(3_000)]
    bag = write_bag(tmp_path / 'bag', {
        '/robot/imu': ('sensor_msgs/msg/Imu', [(k / 400, data) for k, data in enumerate(imus)]),
        '/odom': ('nav_msgs/msg/Odometry', [(k / 100, d) for k, d in enumerate(odometry)])})
    got_imu = graph.collect(Imu, '/robot/imu', DEEP, raw=True)
    got_odometry = graph.collect(Odometry, '/odom', DEEP, raw=True)
    play = start(MODULE, str(bag), '--rate', '1000', '--wait-for-subscribers', '20')
    graph.spin_until(lambda: len(got_imu) >= 12_000 and len(got_odometry) >= 3_000,
                     'every message has arrived', 60.0)
    assert play.wait() == 0, play.output
    graph.spin_for(0.2)
    assert got_imu == imus
    assert got_odometry == odometry
    assert 'published    12000  /robot/imu' in play.output
    assert 'published    15000  in' in play.output


def test_messages_come_in_their_timing_times_the_rate(
        graph: Any, start: Any, tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.2, 1.0, 1.05, 2.0, 4.0]
    bag = write_bag(tmp_path / 'bag', {
        '/said': ('std_msgs/msg/String', [(at, text(str(at))) for at in times])})
    arrived: list[float] = []
    graph.node.create_subscription(
        String, '/said', lambda message: arrived.append(time.monotonic()), DEEP)
    play = start(MODULE, str(bag), '--rate', '2', '--wait-for-subscribers', '20')
    graph.spin_until(lambda: len(arrived) == len(times), 'all have arrived')
    assert [at - arrived[0] for at in arrived] == pytest.approx(
        [at / 2 for at in times], abs=0.08)
    assert play.wait() == 0


def test_it_begins_when_every_topic_has_a_subscriber(
        graph: Any, start: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', {
        '/a': ('std_msgs/msg/String', [(0.0, text('a'))]),
        '/b': ('std_msgs/msg/String', [(0.0, text('b'))])})
    lonely = start(MODULE, str(bag), '--wait-for-subscribers', '0.1')
    assert lonely.wait() == 1
    assert 'nobody subscribes to /a, /b' in lonely.output

    got_a = graph.collect(String, '/a')
    play = start(MODULE, str(bag), '--wait-for-subscribers', '30')
    graph.spin_until(lambda: graph.node.count_publishers('/b'), 'it is up')
    graph.spin_for(0.5)
    assert got_a == []
    got_b = graph.collect(String, '/b')
    graph.spin_until(lambda: got_a and got_b, 'both have arrived')
    assert play.wait() == 0


def test_it_offers_the_qos_that_was_recorded(graph: Any, start: Any, tmp_path: Path) -> None:
    names = ('/reliable', '/best_effort', '/latched', '/tf_static')
    bag = write_bag(
        tmp_path / 'bag',
        {name: ('std_msgs/msg/String', [(0.0, text('first')), (0.1, text('second'))])
         for name in names} | {'/end': ('std_msgs/msg/String', [(60.0, text('end'))])},
        {'/reliable': offered(QosReliability.RELIABLE, QosDurability.VOLATILE, 5),
         '/best_effort': offered(QosReliability.BEST_EFFORT, QosDurability.VOLATILE, 5),
         '/latched': offered(QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, 1)})
    play = start(MODULE, str(bag), '--wait-for-subscribers', '0')
    graph.spin_until(lambda: graph.node.count_publishers('/end') and all(
        graph.node.count_publishers(name) for name in names), 'it is up')
    seen = {name: graph.node.get_publishers_info_by_topic(name)[0].qos_profile for name in names}
    reliable, best_effort = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
    volatile, latched = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL
    assert {name: (qos.reliability, qos.durability) for name, qos in seen.items()} == {
        '/reliable': (reliable, volatile), '/best_effort': (best_effort, volatile),
        '/latched': (reliable, latched), '/tf_static': (reliable, latched)}
    # Who comes late gets what is latched: as many as were offered, or else all of them.
    graph.spin_for(0.3)
    late = {name: graph.collect(String, name, QoSProfile(depth=10, durability=latched))
            for name in ('/latched', '/tf_static')}
    graph.spin_until(lambda: late['/latched'] and len(late['/tf_static']) == 2, 'they have it')
    assert [message.data for message in late['/latched']] == ['second']
    assert play.stop() == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_it_loops_until_told_to_stop(
        number: signal.Signals, graph: Any, start: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', {
        '/said': ('std_msgs/msg/String', [(k / 10, text(str(k))) for k in range(5)])})
    got = graph.collect(String, '/said', DEEP)
    play = start(MODULE, str(bag), '--loop', '--rate', '10', '--wait-for-subscribers', '20')
    graph.spin_until(lambda: len(got) > 12, 'it has begun again twice')
    assert play.stop(number) == 0
    assert [m.data for m in got] == [str(k % 5) for k in range(len(got))]
    assert 'published' in play.output
    assert 'Traceback' not in play.output


def test_with_a_clock_it_tells_the_recordings_time(
        graph: Any, start: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', {
        '/said': ('std_msgs/msg/String', [(k / 2, text(str(k))) for k in range(5)])})
    clock = graph.collect(Clock, '/clock')
    got = graph.collect(String, '/said')
    play = start(MODULE, str(bag), '--clock', '--rate', '2', '--wait-for-subscribers', '20')
    graph.spin_until(lambda: len(got) == 5, 'it is over')
    assert play.wait() == 0
    times = [m.clock.sec + m.clock.nanosec / 1e9 - START_NS / 1e9 for m in clock]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(2.0, abs=0.05)
    assert len(times) > 50


def test_a_type_that_is_not_known_is_named_and_the_rest_is_played(
        graph: Any, start: Any, tmp_path: Path) -> None:
    rover = ('moon_msgs/msg/Rover', [(0.0, b'\0\1\0\0' + bytes(8))])
    bag = write_bag(tmp_path / 'both', {
        '/rover': rover, '/said': ('std_msgs/msg/String', [(0.0, text('hello'))])})
    got = graph.collect(String, '/said')
    play = start(MODULE, str(bag), '--wait-for-subscribers', '20')
    graph.spin_until(lambda: got, 'the rest is played')
    assert play.wait() == 0
    assert play.output.count('moon_msgs/msg/Rover') == 1
    assert '/rover is skipped: type moon_msgs/msg/Rover: package moon_msgs is not installed here' \
        in play.output

    play = start(MODULE, str(write_bag(tmp_path / 'only', {'/rover': rover})))
    assert play.wait() == 1
    assert 'nothing of it can be played' in play.output


@pytest.mark.parametrize(('arguments', 'code', 'told'), [
    (['nowhere'], 1, 'no such file'), (['BAG', '--topics', '/sad'], 1, 'did you mean /said'),
    (['BAG', '--rate', '0'], 2, 'not greater than 0'), ([], 2, 'BAG')])
def test_what_cannot_be_played_is_told_in_one_message(
        arguments: list[str], code: int, told: str, start: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', {'/said': ('std_msgs/msg/String', [(0.0, text('x'))])})
    play = start(MODULE, *(str(bag) if part == 'BAG' else part for part in arguments))
    assert play.wait() == code
    assert told in play.output
    assert 'Traceback' not in play.output


def test_a_damaged_recording_is_played_as_far_as_it_goes_and_told(
        graph: Any, start: Any, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'bag', {
        '/said': ('std_msgs/msg/String', [(k / 1000, text(str(k))) for k in range(200)])})
    metadata = bag / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('message_count: 200', 'message_count: 201'))
    got = graph.collect(String, '/said', DEEP)
    play = start(MODULE, str(bag), '--wait-for-subscribers', '20')
    graph.spin_until(lambda: len(got) == 200, 'what is there arrives')
    assert play.wait() == 1
    assert 'it is damaged' in play.output
    assert 'Traceback' not in play.output

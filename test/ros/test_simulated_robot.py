# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
import math
import os
from pathlib import Path
import signal
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Twist
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
import numpy as np
import pytest
from rcl_interfaces.msg import Log
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState
from sensor_msgs.msg import Image
from sensor_msgs.msg import Imu
from sensor_msgs.msg import JointState
from sensor_msgs.msg import LaserScan
from sensor_msgs.msg import NavSatFix
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger

from plexus_bridge.fast_dds import profile_environment

CONFIG = Path(__file__).parents[2] / 'config'
MODULE = 'plexus_bridge.nodes.simulated_robot'
RATES = {'imu/data': (Imu, 50), 'odom': (Odometry, 20), 'joint_states': (JointState, 20),
         'scan': (LaserScan, 10), 'camera/image_raw': (Image, 10),
         'battery_state': (BatteryState, 1), 'fix': (NavSatFix, 1),
         'diagnostics': (DiagnosticArray, 1)}


def stamp(message: Any) -> float:
    return message.header.stamp.sec + message.header.stamp.nanosec / 1e9


def parameters(**values: object) -> list[str]:
    return ['--ros-args', *(part for name, value in values.items()
                            for part in ('-p', f'{name}:={str(value).lower()}'))]


def drive(graph: Any, publisher: Any, message: Any, until: Callable[[], object], what: str,
          ) -> None:
    """Send a command twenty times a second until something holds."""
    timer = graph.node.create_timer(0.05, lambda: publisher.publish(message))
    graph.spin_until(until, what)
    graph.node.destroy_timer(timer)


def test_every_topic_arrives_with_its_type_at_its_rate(graph: Any, start: Any) -> None:
    arrived = {topic: graph.collect(kind, f'/{topic}') for topic, (kind, _) in RATES.items()}
    robot = start(MODULE)
    graph.spin_until(lambda: all(len(got) >= 4 for got in arrived.values()),
                     'four messages on every topic')
    for topic, (_, rate) in RATES.items():
        stamps = [stamp(message) for message in arrived[topic]]
        measured = (len(stamps) - 1) / (stamps[-1] - stamps[0])
        assert measured == pytest.approx(rate, rel=0.2), topic
        assert abs(stamps[-1] - time.time()) < 10.0, topic
    assert robot.stop(signal.SIGINT) == 0, robot.output


def test_messages_follow_the_conventions(graph: Any, start: Any) -> None:
    arrived = {topic: graph.collect(kind, f'/{topic}') for topic, (kind, _) in RATES.items()}
    log = graph.collect(Log, '/rosout')
    start(MODULE, *parameters(patrol=False))
    graph.spin_until(lambda: all(arrived.values()), 'a message on every topic')
    graph.call(SetBool, '/simulated_robot/lights', SetBool.Request(data=True))
    graph.spin_until(lambda: any(line.msg == 'lights: on' for line in log), 'it logs to /rosout')
    last = {topic: got[-1] for topic, got in arrived.items()}
    assert last['imu/data'].header.frame_id == 'imu_link'
    assert last['imu/data'].linear_acceleration.z == pytest.approx(9.81, abs=0.2)
    assert (last['odom'].header.frame_id, last['odom'].child_frame_id) == ('odom', 'base_link')
    assert len(last['joint_states'].name) == len(last['joint_states'].position) == 5
    scan = last['scan']
    ranges = np.array(scan.ranges)
    assert len(ranges) == 360
    assert np.isinf(ranges).any()
    assert (ranges[np.isfinite(ranges)] <= scan.range_max).all()
    assert (ranges[np.isfinite(ranges)] >= scan.range_min).all()
    assert scan.angle_min + 359 * scan.angle_increment == pytest.approx(scan.angle_max, abs=1e-4)
    image = last['camera/image_raw']
    assert (image.width, image.height, image.encoding, image.step) == (320, 240, 'rgb8', 960)
    assert image.header.frame_id == 'camera_optical_frame'
    assert len(np.unique(np.array(image.data))) > 20
    battery = last['battery_state']
    assert 0.5 < battery.percentage < 1.0
    assert battery.current < 0.0
    assert math.isclose(sum(battery.cell_voltage), battery.voltage, rel_tol=1e-4)
    assert last['fix'].latitude == pytest.approx(48.137, abs=0.001)
    assert {status.name for status in last['diagnostics'].status} >= {
        'simulated_robot: battery', 'simulated_robot: emergency stop'}
    assert {line.name for line in log} == {'simulated_robot'}


def test_everything_follows_cmd_vel_and_it_stops_by_itself(graph: Any, start: Any) -> None:
    odometry = graph.collect(Odometry, '/odom')
    imu = graph.collect(Imu, '/imu/data')
    joints = graph.collect(JointState, '/joint_states')
    scans = graph.collect(LaserScan, '/scan')
    images = graph.collect(Image, '/camera/image_raw')
    robot = start(MODULE, *parameters(patrol=False))
    graph.spin_until(lambda: all((odometry, imu, joints, scans, images)), 'a first message of all')
    assert odometry[-1].twist.twist.linear.x == 0.0
    first_scan, first_image = np.array(scans[0].ranges), np.array(images[0].data)

    command = Twist()
    command.linear.x, command.angular.z = 0.5, 0.3
    drive(graph, graph.node.create_publisher(Twist, '/cmd_vel', 10), command,
          lambda: odometry[-1].pose.pose.position.x > 0.8, 'it has driven 0.8 m')
    last_command = time.time()
    assert odometry[-1].twist.twist.linear.x == pytest.approx(0.5)
    assert odometry[-1].twist.twist.angular.z == pytest.approx(0.3)
    assert odometry[-1].pose.pose.position.y > 0.05
    assert np.mean([m.angular_velocity.z for m in imu[-10:]]) == pytest.approx(0.3, abs=0.01)
    assert max(m.linear_acceleration.x for m in imu) == pytest.approx(1.0, abs=0.15)
    left, right = joints[-1].velocity[:2]
    assert (left + right) / 2 * 0.1 == pytest.approx(0.5)
    assert (right - left) * 0.1 / 0.44 == pytest.approx(0.3)
    assert np.nanmean(np.abs(np.nan_to_num(scans[-1].ranges, posinf=9)
                             - np.nan_to_num(first_scan, posinf=9))) > 0.05
    assert (np.array(images[-1].data) != first_image).mean() > 0.05

    graph.spin_until(lambda: odometry[-1].twist.twist.linear.x == 0.0, 'it has stopped')
    # 0.5 s without a command, 0.5 s to brake from 0.5 m/s at 1 m/s².
    assert stamp(odometry[-1]) - last_command == pytest.approx(1.0, abs=0.3)
    assert 'mode: waiting for commands' in robot.output


@pytest.mark.parametrize(('width', 'height'), [(640, 480), (1920, 1080)])
def test_with_our_settings_of_fast_dds_images_reach_who_has_none(
        graph: Any, start: Any, width: int, height: int) -> None:
    images = graph.collect(Image, '/camera/image_raw', qos_profile_sensor_data, raw=True)
    start(MODULE, *parameters(image_width=width, image_height=height, camera_rate_hz=5.0),
          **profile_environment(os.environ, CONFIG / 'fastdds.xml'))
    graph.spin_until(lambda: images, 'a first image')
    first = len(images)
    graph.spin_for(3.0)
    assert len(images) - first >= 10
    assert all(len(image) > width * height * 3 for image in images)


def test_it_lives_in_a_namespace_and_takes_stamped_commands(graph: Any, start: Any) -> None:
    odometry = graph.collect(Odometry, '/robots/one/odom')
    start(MODULE, *parameters(patrol=False, stamped=True, frame_prefix='one/'),
          '-r', '__ns:=/robots/one')
    graph.spin_until(lambda: odometry, 'odometry arrives')
    assert odometry[0].header.frame_id == 'one/odom'
    command = TwistStamped()
    command.twist.angular.z = -0.5
    drive(graph, graph.node.create_publisher(TwistStamped, '/robots/one/cmd_vel', 10), command,
          lambda: odometry[-1].twist.twist.angular.z == pytest.approx(-0.5), 'it turns')
    # Asked of the robot alone: what another test left behind is not its business.
    names = {name for name, _ in graph.node.get_publisher_names_and_types_by_node(
        'simulated_robot', '/robots/one')}
    own = {'/rosout', '/parameter_events'}
    assert all(name.startswith('/robots/one/') for name in names - own), names


def test_services_change_its_state(graph: Any, start: Any) -> None:
    odometry = graph.collect(Odometry, '/odom')
    diagnostics = graph.collect(DiagnosticArray, '/diagnostics')
    battery = graph.collect(BatteryState, '/battery_state')
    images = graph.collect(Image, '/camera/image_raw', 1)

    def level(part: str) -> int:
        return next(ord(status.level) for status in diagnostics[-1].status
                    if status.name == f'simulated_robot: {part}')

    start(MODULE, *parameters(patrol=False))
    graph.spin_until(lambda: odometry and diagnostics and battery and images, 'it is up')
    command = Twist()
    command.linear.x = 0.5
    publisher = graph.node.create_publisher(Twist, '/cmd_vel', 10)
    drive(graph, publisher, command,
          lambda: odometry[-1].pose.pose.position.x > 0.1, 'it drives')
    assert graph.call(Trigger, '/simulated_robot/tare', Trigger.Request()).success
    count = len(odometry)
    graph.spin_until(lambda: len(odometry) > count + 1, 'odometry goes on')
    graph.spin_until(lambda: odometry[-1].twist.twist.linear.x == 0.0, 'it has stopped')
    dark = np.mean(images[-1].data)
    for service in ('emergency_stop', 'lights'):
        response = graph.call(
            SetBool, f'/simulated_robot/{service}', SetBool.Request(data=True))
        assert response.success, response.message
    before = odometry[-1].pose.pose.position.x
    count = len(odometry) + 20
    drive(graph, publisher, command, lambda: len(odometry) > count, 'a second has gone')
    assert odometry[-1].pose.pose.position.x == before
    graph.spin_until(lambda: level('emergency stop') == 2, 'diagnostics tell of the stop')
    graph.spin_until(lambda: np.mean(images[-1].data) > 1.2 * dark, 'it is brighter')
    assert graph.call(Trigger, '/simulated_robot/dock', Trigger.Request()).success
    assert not graph.call(Trigger, '/simulated_robot/dock', Trigger.Request()).success
    graph.spin_until(lambda: battery[-1].current > 0, 'it charges')


def test_with_simulated_time_it_lives_by_the_clock_topic(graph: Any, start: Any) -> None:
    imu = graph.collect(Imu, '/imu/data')
    clock = graph.node.create_publisher(Clock, '/clock', 10)
    start(MODULE, *parameters(use_sim_time=True))
    now = [1000.0]

    def tick() -> None:
        now[0] += 0.01  # five times slower than the wall clock
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(round(now[0] * 1e9), 10**9)
        clock.publish(message)

    graph.node.create_timer(0.05, tick)
    graph.spin_until(lambda: sum(stamp(m) > 1000 for m in imu) > 10, 'ten simulated stamps')
    stamps = [stamp(message) for message in imu if stamp(message) > 1000]
    assert stamps[-1] < now[0] + 0.001
    assert (len(stamps) - 1) / (stamps[-1] - stamps[0]) == pytest.approx(50, rel=0.25)


def test_a_parameter_that_cannot_be_used_is_told_and_ends_it(start: Any) -> None:
    robot = start(MODULE, *parameters(imu_rate_hz=-1.0))
    assert robot.wait() == 78
    assert 'imu_rate_hz' in robot.output
    assert 'Traceback' not in robot.output


def test_parameters_that_may_change_do(graph: Any, start: Any) -> None:
    from rcl_interfaces.msg import Parameter
    from rcl_interfaces.msg import ParameterType
    from rcl_interfaces.msg import ParameterValue
    from rcl_interfaces.srv import SetParameters

    odometry = graph.collect(Odometry, '/odom')
    start(MODULE, *parameters(patrol=False))
    graph.spin_until(lambda: odometry, 'it is up')
    assert odometry[-1].twist.twist.linear.x == 0.0

    def set_to(name: str, **value: Any) -> bool:
        request = SetParameters.Request(
            parameters=[Parameter(name=name, value=ParameterValue(**value))])
        answer = graph.call(SetParameters, '/simulated_robot/set_parameters', request)
        return bool(answer.results[0].successful)

    assert set_to('patrol', type=ParameterType.PARAMETER_BOOL, bool_value=True)
    graph.spin_until(lambda: odometry[-1].twist.twist.linear.x > 0.0, 'it is on patrol')
    assert not set_to('max_speed', type=ParameterType.PARAMETER_DOUBLE, double_value=-1.0)
    assert not set_to('imu_rate_hz', type=ParameterType.PARAMETER_DOUBLE, double_value=10.0)

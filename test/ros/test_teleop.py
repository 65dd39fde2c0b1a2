# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Driving by hand on a real graph: what arrives on the topic, and that it stops."""

from __future__ import annotations

from collections.abc import Iterator
import threading
import time
from typing import Any

from geometry_msgs.msg import Twist
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
import pytest
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from plexus_bridge.commands.emergency_record import EmergencyRecord
from plexus_bridge.config.map_teleop import StopConfirm
from plexus_bridge.config.map_teleop import TeleopRule
from plexus_bridge.ros.teleop import TeleopDriver
from plexus_bridge.teleop.orders import Accepted
from plexus_bridge.teleop.orders import Granted
from plexus_bridge.teleop.orders import Order
from plexus_bridge.teleop.orders import Refused
from plexus_bridge.teleop.orders import Why
from plexus_bridge.teleop.teleop import TeleopSettings
from plexus_bridge.teleop.velocity import AxisLimit
from plexus_bridge.teleop.velocity import Limits

LIMITS = Limits({'linear.x': AxisLimit(-0.5, 1.0), 'angular.z': AxisLimit(-1.5, 1.5)})
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def make(graph: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    # Tests whose robot is never seen to stand need not wait for it at the end.
    monkeypatch.setattr('plexus_bridge.ros.teleop.LONGEST_CLOSE_S', 0.5)
    drivers: list[TeleopDriver] = []

    def make_driver(record: EmergencyRecord | None = None, *,
                    confirm: StopConfirm | None = None, **rule: Any) -> TeleopDriver:
        settings = TeleopSettings(LIMITS, stop_confirmed=confirm is not None, zero_s=0.3)
        drivers.append(TeleopDriver(
            graph.node, TeleopRule('/cmd_vel', settings, stop_confirm=confirm, **rule), record))
        return drivers[-1].__enter__()

    yield make_driver
    for driver in drivers:
        driver.close()


class Operator:
    """Asks for a lease and sends orders as often as told."""

    def __init__(self, driver: TeleopDriver):
        self._driver = driver
        answer = driver.drive(Order('operator'))
        assert isinstance(answer, Granted), answer
        self._lease = answer.lease
        self._seq = 0

    def drive(self, **velocity: float) -> Any:
        self._seq += 1
        return self._driver.drive(Order(
            'operator', {name.replace('_', '.'): value for name, value in velocity.items()},
            self._lease, self._seq, time.monotonic() * 1000))

    def release(self) -> Refused | None:
        return self._driver.release('operator', self._lease)


def speeds(arrived: list[Any]) -> list[float]:
    return [message.linear.x for message in arrived]


def test_an_order_is_published_at_once_and_repeated_until_the_dead_mans_time_is_over(graph, make):
    arrived = graph.collect(Twist, '/cmd_vel')
    driver = make()
    graph.spin_until(lambda: graph.node.count_publishers('/cmd_vel'), 'publisher found')
    operator = Operator(driver)
    assert isinstance(operator.drive(linear_x=0.8, angular_z=0.2), Accepted)
    graph.spin_until(lambda: 0.8 in speeds(arrived), 'velocity arrives')
    assert arrived[-1].angular.z == 0.2
    graph.spin_until(lambda: arrived[-1].linear.x == 0.0, 'stopped')
    moving = [speed for speed in speeds(arrived) if speed]
    assert 4 <= len(moving) <= 9  # at 20 Hz for 300 ms, and at once
    count = len(arrived)
    graph.spin_until(lambda: len(arrived) >= count + 3, 'zero is repeated')
    assert [event.name for event in driver.take_events()] == [
        'teleop.started', 'teleop.stopped']


def test_events_of_a_burst_are_stamped_when_and_in_the_order_in_which_they_happened(make):
    driver = make()
    operator = Operator(driver)
    operator.drive(linear_x=0.8)
    before_ms = time.time_ns() // 1_000_000
    driver.stop('Ada')
    driver.emergency_stop('Ada')
    operator.drive(linear_x=0.8)
    happened_ms = time.time_ns() // 1_000_000 - before_ms
    told = driver.stamped_events(10_000 + before_ms)
    assert [event.name for _, event in told] == [
        'teleop.started', 'teleop.stopped', 'teleop.ended', 'teleop.emergency_stop',
        'teleop.refused']
    stamps = [stamp for stamp, _ in told]
    assert stamps == sorted(set(stamps))
    assert all(-50 - happened_ms < stamp - before_ms - 10_000 <= 5 for stamp in stamps[1:])


def test_a_release_is_published_before_it_is_answered(graph, make):
    arrived = graph.collect(Twist, '/cmd_vel')
    operator = Operator(make())
    operator.drive(linear_x=0.8)
    graph.spin_until(lambda: 0.8 in speeds(arrived), 'moving')
    assert operator.release() is None
    graph.spin_until(lambda: arrived[-1].linear.x == 0.0, 'stopped')
    refused = operator.drive(linear_x=0.8)
    assert isinstance(refused, Refused)
    assert refused.why is Why.OUT_OF_LEASE


def test_stamped_velocities_carry_frame_and_time(graph, make):
    arrived = graph.collect(TwistStamped, '/cmd_vel')
    operator = Operator(make(stamped=True, frame_id='base_footprint'))
    operator.drive(linear_x=0.8)
    graph.spin_until(lambda: arrived, 'velocity arrives')
    assert arrived[0].header.frame_id == 'base_footprint'
    assert abs(arrived[0].header.stamp.sec - time.time()) < 5


def test_the_service_stops_and_only_it_releases(graph, make):
    locks = graph.collect(Bool, '/test/teleop_lock', LATCHED)
    driver = make()
    operator = Operator(driver)
    answer = graph.call(SetBool, '/test/emergency_stop', SetBool.Request(data=True))
    assert answer.success
    refused = operator.drive(linear_x=0.8)
    assert refused.why is Why.EMERGENCY_STOP
    graph.spin_until(lambda: locks and locks[-1].data, 'the lock says so')
    assert graph.call(SetBool, '/test/emergency_stop', SetBool.Request(data=False)).success
    assert not graph.call(SetBool, '/test/emergency_stop', SetBool.Request(data=False)).success
    graph.spin_until(lambda: not locks[-1].data, 'the lock is open')
    assert isinstance(driver.drive(Order('operator')), Granted)


def pressing(graph, topic='/button'):
    """Return what publishes a button's state to a driver."""
    button = graph.node.create_publisher(Bool, topic, 10)
    graph.spin_until(button.get_subscription_count, 'button connected')
    return lambda pressed: button.publish(Bool(data=pressed))


def why(driver: TeleopDriver) -> Why | None:
    answer = driver.drive(Order('operator'))
    return answer.why if isinstance(answer, Refused) else None


def test_a_button_releases_what_it_stopped_and_nothing_else(graph, make, wait_until):
    driver = make(emergency_stop_topic='/button')
    press = pressing(graph)
    driver.emergency_stop('operator')
    press(False)
    press(True)
    wait_until(lambda: 'teleop.emergency_stop' in str(driver.take_events()), 'heard')
    press(False)
    wait_until(lambda: 'released' in str(driver.take_events()), 'let go')
    assert why(driver) is Why.EMERGENCY_STOP
    assert graph.call(SetBool, '/test/emergency_stop', SetBool.Request(data=False)).success
    assert why(driver) is None


def test_a_button_that_is_held_down_cannot_be_released_by_call(graph, make, wait_until):
    driver = make(emergency_stop_topic='/button')
    press = pressing(graph)
    press(True)
    wait_until(lambda: why(driver) is Why.EMERGENCY_STOP, 'stopped')
    answer = graph.call(SetBool, '/test/emergency_stop', SetBool.Request(data=False))
    assert not answer.success
    assert '/button' in answer.message
    assert why(driver) is Why.EMERGENCY_STOP
    press(False)
    wait_until(lambda: why(driver) is None, 'let go, released')


def test_a_button_stops_the_robot_although_the_executor_is_held_up(graph, make, wait_until):
    # Nothing spins the node here, as if one of its callbacks never returned.
    driver = make(emergency_stop_topic='/button')
    press = pressing(graph)
    operator = Operator(driver)
    assert isinstance(operator.drive(linear_x=0.8), Accepted)
    press(True)
    wait_until(lambda: isinstance(operator.drive(linear_x=0.8), Refused), 'stopped', 1.0)


def test_an_emergency_stop_outlives_the_bridge(graph, make, tmp_path):
    path = tmp_path / 'robot.emergency'
    driver = make(EmergencyRecord(path))
    driver.emergency_stop('Ada')
    driver.close()
    another = make(EmergencyRecord(path))
    assert why(another) is Why.EMERGENCY_STOP
    assert graph.call(SetBool, '/test/emergency_stop', SetBool.Request(data=False)).success
    assert why(another) is None
    assert EmergencyRecord(path).load() == ('', '')


def test_a_button_of_an_earlier_map_has_to_be_released_by_call(make, tmp_path):
    record = EmergencyRecord(tmp_path / 'robot.emergency')
    record.save('', '/old_button')
    assert why(make(record, emergency_stop_topic='/button')) is Why.EMERGENCY_STOP


def close_while_moving(graph, make):
    """Return what arrives, a driver whose end has begun, its operator, and the end's thread."""
    arrived = graph.collect(Twist, '/cmd_vel')
    driver = make()
    operator = Operator(driver)
    operator.drive(linear_x=0.8)
    graph.spin_until(lambda: 0.8 in speeds(arrived), 'moving')
    closing = threading.Thread(target=driver.close)
    closing.start()
    return arrived, driver, operator, closing


def test_orders_are_refused_while_the_bridge_ends(graph, make):
    arrived, driver, operator, closing = close_while_moving(graph, make)
    # An operator who holds the stick and asks for the robot again and again.
    graph.spin_until(lambda: arrived[-1].linear.x == 0.0, 'stopped')
    count = len(arrived)
    while closing.is_alive():
        assert why(driver) is Why.UNATTENDED
        assert isinstance(operator.drive(linear_x=0.8), Refused)
        graph.spin_for(0.02)
    assert why(driver) is Why.UNATTENDED
    assert not any(speeds(arrived[count:]))


def test_the_dead_mans_time_holds_although_nothing_can_be_read(graph, make, monkeypatch, caplog):
    arrived = graph.collect(Twist, '/cmd_vel')
    operator = Operator(make(confirm=StopConfirm('/odom')))

    def broken(self: object) -> bool:
        raise ValueError('cannot be read')

    monkeypatch.setattr('plexus_bridge.ros.teleop._Standstill.standing', broken)
    for _ in range(2):
        assert isinstance(operator.drive(linear_x=0.8), Accepted)
        graph.spin_until(lambda: arrived and arrived[-1].linear.x == 0.8, 'moving')
        graph.spin_until(lambda: arrived[-1].linear.x == 0.0, 'stopped', 1.0)
    told = [record for record in caplog.records if record.levelname == 'ERROR']
    assert len(told) == 1, 'a fault that lasts fills no log'


def frozen() -> Odometry:
    message = Odometry()
    message.header.stamp.sec = 7
    return message


def unknown() -> Odometry:
    message = Odometry()
    message.twist.twist.linear.y = float('nan')
    return message


@pytest.mark.parametrize('message', [frozen(), unknown()], ids=['frozen', 'not a number'])
def test_odometry_that_says_nothing_of_the_stop_does_not_confirm_it(graph, make, message):
    arrived = graph.collect(Twist, '/cmd_vel')
    odometry = graph.node.create_publisher(Odometry, '/odom', 10)
    timer = graph.node.create_timer(0.02, lambda: odometry.publish(message))
    driver = make(confirm=StopConfirm('/odom'))
    operator = Operator(driver)
    graph.spin_until(odometry.get_subscription_count, 'odometry connected')
    operator.drive(linear_x=0.8)
    graph.spin_until(lambda: 0.8 in speeds(arrived), 'moving')
    operator.release()
    graph.spin_for(0.6)
    count = len(arrived)
    graph.spin_until(lambda: len(arrived) > count + 2, 'zero is repeated still', 1.0)
    graph.node.destroy_timer(timer)


def test_zero_is_repeated_until_the_odometry_shows_standstill(graph, make):
    arrived = graph.collect(Twist, '/cmd_vel')
    odometry = graph.node.create_publisher(Odometry, '/odom', 10)
    rolling = Odometry()
    rolling.twist.twist.linear.x = 0.4
    state = {'message': rolling}
    graph.node.create_timer(0.02, lambda: odometry.publish(state['message']))
    operator = Operator(make(confirm=StopConfirm('/odom')))
    operator.drive(linear_x=0.8)
    graph.spin_until(lambda: 0.8 in speeds(arrived), 'moving')
    operator.release()
    released = time.monotonic()
    graph.spin_for(0.8)
    assert arrived[-1].linear.x == 0.0
    state['message'] = Odometry()
    graph.spin_for(0.3)
    count = len(arrived)
    graph.spin_for(0.3)
    assert len(arrived) == count, 'the robot stands: nothing more is to be said'
    zeros = [speed for speed in speeds(arrived) if not speed]
    assert len(zeros) >= 14  # 0.8 s at 20 Hz at least
    assert time.monotonic() - released < 5


def test_the_end_of_the_bridge_stops_the_robot(graph, make):
    arrived, driver, _, closing = close_while_moving(graph, make)
    graph.spin_until(lambda: arrived[-1].linear.x == 0.0 and not closing.is_alive(), 'stopped')
    assert [event.name for event in driver.take_events()][-1] == 'teleop.ended'

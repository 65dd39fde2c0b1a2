# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What it costs to read a few mapped values out of one serialised message.

Compared in one run: the compiled reader, rclpy's `deserialize_message` with attribute access, and
rosbags' deserialisation with attribute access. Ratios hold between machines, microseconds do not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
from sensor_msgs.msg import Imu
from sensor_msgs.msg import JointState
from sensor_msgs.msg import LaserScan
from sensor_msgs.msg import PointCloud2
from sensor_msgs.msg import PointField

from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.reader import compile_reader
from plexus_bridge.ros.layouts import message_layout

IMU_PATHS = [f'{part}.{axis}' for part in ('angular_velocity', 'linear_acceleration')
             for axis in 'xyz']
ODOMETRY_PATHS = ['pose.pose.position.x', 'pose.pose.position.y', 'twist.twist.linear.x',
                  'twist.twist.angular.z']


def joint_state(joints: int) -> JointState:
    """Return a state of so many joints."""
    return JointState(
        name=[f'joint_{index}' for index in range(joints)], position=[0.1] * joints,
        velocity=[0.2] * joints, effort=[0.3] * joints)


def diagnostics(statuses: int) -> DiagnosticArray:
    """Return an array of so many statuses with three values each."""
    return DiagnosticArray(status=[
        DiagnosticStatus(
            level=b'\1', name=f'base: motor {index}', message='warm', hardware_id='m',
            values=[KeyValue(key=f'key{key}', value='12.5') for key in range(3)])
        for index in range(statuses)])


def cloud(points: int) -> PointCloud2:
    """Return a cloud of so many points of 16 bytes."""
    return PointCloud2(
        width=points, height=1, point_step=16, row_step=16 * points, data=bytes(16 * points),
        fields=[PointField(name=name, offset=4 * index, datatype=7, count=1)
                for index, name in enumerate(('x', 'y', 'z', 'i'))])


CASES: list[tuple[str, Any, list[str]]] = [
    ('Imu', Imu(), IMU_PATHS),
    ('Odometry', Odometry(child_frame_id='base_link'), ODOMETRY_PATHS),
    ('JointState 12', joint_state(12), ['position']),
    ('LaserScan 1080', LaserScan(ranges=[1.5] * 1080, intensities=[0.5] * 1080),
     ['range_min', 'range_max']),
    ('LaserScan 1080, all ranges', LaserScan(ranges=[1.5] * 1080), ['ranges']),
    ('DiagnosticArray 10', diagnostics(10), ['status[name=base: motor 7].level']),
    ('PointCloud2 0.5 MB', cloud(32_768), ['width', 'is_dense']),
    ('PointCloud2 5 kB', cloud(327), ['width', 'is_dense']),
]


def microseconds(call: Callable[[], object], budget_s: float = 0.3) -> float:
    """Return the best time of one call, in µs, of rounds within the budget."""
    call()
    rounds = 1
    while True:
        started = time.perf_counter()
        for _ in range(rounds):
            call()
        took = time.perf_counter() - started
        if took > 0.02:
            break
        rounds *= 2
    best = took
    deadline = time.perf_counter() + budget_s
    while time.perf_counter() < deadline:
        started = time.perf_counter()
        for _ in range(rounds):
            call()
        best = min(best, time.perf_counter() - started)
    return best / rounds * 1e6


def attribute_getter(path: str) -> Callable[[Any], Any]:
    """Return what walks through a message object; for the selected status, what finds it."""
    if path.startswith('status[name='):
        name = path.partition('=')[2].partition(']')[0]
        return lambda message: next(s.level for s in message.status if s.name == name)
    names = path.split('.')
    return lambda message: reduce(getattr, names, message)


def main() -> None:
    """Print a row for each message."""
    store = get_typestore(Stores.LATEST)
    print(f'{"message":28}{"reader us":>11}{"rclpy us":>11}{"rosbags us":>12}'
          f'{"rclpy/reader":>14}{"rosbags/reader":>16}')
    for title, message, paths in CASES:
        kind = type(message)
        name = f'{kind.__module__.partition(".")[0]}/msg/{kind.__name__}'
        data = serialize_message(message)
        read = compile_reader(message_layout(name), [parse_path(path) for path in paths])
        getters = [attribute_getter(path) for path in paths]

        def by_rclpy(data: bytes = data, kind: Any = kind, getters: Any = getters) -> None:
            found = deserialize_message(data, kind)
            for get in getters:
                get(found)

        def by_rosbags(data: bytes = data, name: str = name, getters: Any = getters) -> None:
            found = store.deserialize_cdr(data, name)
            for get in getters:
                get(found)

        ours, rclpy, rosbags = (microseconds(call) for call in (
            lambda read=read, data=data: read(data), by_rclpy, by_rosbags))
        print(f'{title:28}{ours:11.2f}{rclpy:11.2f}{rosbags:12.2f}{rclpy / ours:14.1f}'
              f'{rosbags / ours:16.1f}')


if __name__ == '__main__':
    main()

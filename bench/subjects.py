# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the bridge is compared with, each a process of its own: the limit, and the obvious bridge.

``limit``: takes every message raw by polling, as often as the bridge does, and does nothing with
it: no bridge in Python can need less. ``limit50`` does so fifty times a second.
``sdk``: what a user would write today: an rclpy callback for each topic that hands the values to
the official SDK's `batch()`, in one call for each message, as its documentation advises.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Imu

from plexus_bridge.ros.intake import EVERY_DEPTH
from plexus_bridge.ros.intake import LONGEST_POLL_S
from plexus_bridge.ros.polling import polled_subscription
from plexus_bridge.ros.polling import PolledGroup


def limit(topics: int, period_s: float = LONGEST_POLL_S) -> None:
    """Take and forget, once in each period, until the process is ended."""
    node = Node('bench_limit')
    group = PolledGroup()
    qos = QoSProfile(depth=EVERY_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
    takes = [polled_subscription(node, Imu, f'/bench/imu{index}', qos, group).handle.take_message
             for index in range(topics)]
    while True:
        for take in takes:
            while take(Imu, True) is not None:
                pass
        time.sleep(period_s)


def limit50(topics: int) -> None:
    """Take and forget fifty times a second."""
    limit(topics, 0.02)


def sdk(topics: int) -> None:
    """Bridge by callbacks and the official SDK, until the process is ended."""
    from plexus import Plexus

    node = Node('bench_sdk')
    client = Plexus(api_key=os.environ['PLEXUS_API_KEY'], source_id='bench-sdk')
    with client.batch() as batch:
        for index in range(topics):
            def callback(message: Any, prefix: str = f'imu{index}') -> None:
                stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
                turn, push = message.angular_velocity, message.linear_acceleration
                batch.send_batch([
                    (f'{prefix}.angular_velocity.x', turn.x),
                    (f'{prefix}.angular_velocity.y', turn.y),
                    (f'{prefix}.angular_velocity.z', turn.z),
                    (f'{prefix}.linear_acceleration.x', push.x),
                    (f'{prefix}.linear_acceleration.y', push.y),
                    (f'{prefix}.linear_acceleration.z', push.z)], timestamp=stamp)

            node.create_subscription(Imu, f'/bench/imu{index}', callback, qos_profile_sensor_data)
        rclpy.spin(node)


if __name__ == '__main__':
    rclpy.init()
    {'limit': limit, 'limit50': limit50, 'sdk': sdk}[sys.argv[1]](int(sys.argv[2]))

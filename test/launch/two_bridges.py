# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""For launch_testing: bridge.launch.py twice, in two namespaces, with one gateway between them."""

from __future__ import annotations

import os
from pathlib import Path
import time
from typing import Any
import unittest

from ament_index_python.packages import get_package_share_directory
from launch.actions import GroupAction
from launch.actions import IncludeLaunchDescription
from launch.actions import RegisterEventHandler
from launch.event_handlers import OnProcessIO
from launch.launch_description_sources import PythonLaunchDescriptionSource
import launch_testing.actions
import launch_testing.asserts
import rclpy
from rclpy.node import Node

from launch import LaunchDescription
from plexus_msgs.msg import BridgeStatus

ROBOTS = ('a', 'b')
SECONDS = 30.0


def launched(robot: str, local_gateway: str) -> GroupAction:
    """Launch one bridge; the test gives map and gateway by the environment."""
    path = Path(get_package_share_directory('plexus_bridge'), 'launch', 'bridge.launch.py')
    return GroupAction([IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(path)),
        launch_arguments={
            'config_file': os.environ['TEST_MAP'],
            'gateway_url': os.environ['TEST_GATEWAY_URL'],
            'namespace': robot,
            'source_id': f'robot-{robot}',
            'local_gateway': local_gateway,
        }.items())])


def generate_test_description() -> LaunchDescription:
    """Launch both, the second when the gateway has told where it is and so has made its key."""
    waiting = [launched('b', 'false')]
    second = RegisterEventHandler(OnProcessIO(
        on_stdout=lambda event: [waiting.pop()] if waiting else []))
    return LaunchDescription([
        second, launched('a', 'true'), launch_testing.actions.ReadyToTest()])


class TestTwoBridges(unittest.TestCase):
    """While everything runs."""

    def test_both_reach_the_gateway(self) -> None:
        rclpy.init()
        node = Node('test_two_bridges')
        status: dict[str, BridgeStatus] = {}
        for robot in ROBOTS:
            node.create_subscription(
                BridgeStatus, f'/{robot}/plexus_bridge/status',
                lambda message, robot=robot: status.update({robot: message}), 10)
        deadline = time.monotonic() + SECONDS
        while not all(robot in status and status[robot].link == BridgeStatus.LINK_ONLINE
                      for robot in ROBOTS):
            assert time.monotonic() < deadline, f'not both are online: {status}'
            rclpy.spin_once(node, timeout_sec=0.1)
        sources = {robot: message.source_id for robot, message in status.items()}
        assert sources == {robot: f'robot-{robot}' for robot in ROBOTS}
        node.destroy_node()
        rclpy.shutdown()


@launch_testing.post_shutdown_test()
class TestTheEnd(unittest.TestCase):
    """After everything was told to stop."""

    def test_everything_ended_cleanly(self, proc_info: Any) -> None:
        launch_testing.asserts.assertExitCodes(proc_info)

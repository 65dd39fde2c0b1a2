# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Start a local gateway, a simulated robot and a bridge between the two.

    ros2 launch plexus_bridge demo.launch.py
"""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchDescription
from plexus_bridge.fast_dds import profile_environment


def generate_launch_description() -> LaunchDescription:
    """Describe what is started."""
    share = Path(get_package_share_directory('plexus_bridge'))
    robot = Node(
        package='plexus_bridge', executable='simulated_robot', output='screen',
        additional_env=profile_environment(os.environ, share / 'config' / 'fastdds.xml'))
    bridge = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share / 'launch' / 'bridge.launch.py')),
        launch_arguments={
            'config_file': LaunchConfiguration('config_file'),
            'local_gateway': 'true',
        }.items())
    return LaunchDescription([
        DeclareLaunchArgument(
            'config_file', default_value=str(share / 'config' / 'demo.yaml'),
            description='Map of the simulated robot (YAML).'),
        robot, bridge])

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


def generate_launch_description() -> LaunchDescription:
    """Describe what is started."""
    share = Path(get_package_share_directory('plexus_bridge'))
    profile = str(share / 'config' / 'fastdds.xml')
    # The same settings as the bridge has; see there for the two names of the variable.
    old, new = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'
    variable = old if os.environ.get('ROS_DISTRO') in ('humble', 'iron', 'jazzy') else new
    chosen = old in os.environ or new in os.environ
    robot = Node(
        package='plexus_bridge', executable='simulated_robot', output='screen',
        additional_env={} if chosen else {variable: profile})
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

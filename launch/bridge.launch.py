# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Start the bridge, and a local gateway if asked to.

    ros2 launch plexus_bridge bridge.launch.py config_file:=my_robot.yaml

The API key is never an argument, because everybody on the ROS graph can read parameters: set
PLEXUS_API_KEY or put it into ~/.plexus/config.json.
"""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument
from launch.actions import ExecuteProcess
from launch.actions import OpaqueFunction
from launch.actions import RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.event_handlers import OnProcessIO
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage

from launch import Action
from launch import LaunchContext
from launch import LaunchDescription
from plexus_bridge.fast_dds import profile_environment

YES_OR_NO = ['true', 'false']
LOCAL_GATEWAY_URL = 'http://127.0.0.1:8787'
RESPAWN_DELAY_S = 2.0

ARGUMENTS = [
    DeclareLaunchArgument(
        'config_file', description='Map of the robot (YAML): which topics become which metrics.'),
    DeclareLaunchArgument(
        'source_id', default_value='',
        description='Name of this robot on the platform. Empty: the one in the map.'),
    DeclareLaunchArgument(
        'gateway_url', default_value='',
        description='Address of the gateway, http(s)://HOST[:PORT]. Empty: the one in the map, '
                    f'or, with local_gateway, {LOCAL_GATEWAY_URL}.'),
    DeclareLaunchArgument(
        'namespace', default_value='',
        description='Namespace of the bridge, so that several can run on one graph.'),
    DeclareLaunchArgument(
        'use_sim_time', default_value='false', choices=YES_OR_NO,
        description='Take the time from /clock.'),
    DeclareLaunchArgument(
        'log_level', default_value='info', choices=['debug', 'info', 'warn', 'error', 'fatal'],
        description='How much the bridge writes to the log.'),
    DeclareLaunchArgument(
        'respawn', default_value='false', choices=YES_OR_NO,
        description=f'Start the bridge again, after {RESPAWN_DELAY_S:.0f} s, whenever it ends.'),
    DeclareLaunchArgument(
        'local_gateway', default_value='false', choices=YES_OR_NO,
        description=f'Start a gateway on this machine, too ({LOCAL_GATEWAY_URL}).'),
]


def generate_launch_description() -> LaunchDescription:
    """Describe the arguments and what is started with them."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])


def start(context: LaunchContext) -> list[Action]:
    """Start the bridge; if there is to be a gateway, after that, because it makes the key."""
    bridge = bridge_node(context)
    if LaunchConfiguration('local_gateway').perform(context) != 'true':
        return [bridge]
    gateway = ExecuteProcess(
        cmd=[ExecutableInPackage(package='plexus_bridge', executable='gateway')],
        name='plexus_gateway', output='screen')
    waiting: list[Action] = [bridge]

    def start_bridge(*_: object) -> list[Action]:
        # At the first sign of life, or at its end: then another one may have its port.
        return [waiting.pop()] if waiting else []

    return [
        RegisterEventHandler(OnProcessIO(target_action=gateway, on_stdout=start_bridge)),
        RegisterEventHandler(OnProcessExit(target_action=gateway, on_exit=start_bridge)),
        gateway]


def bridge_node(context: LaunchContext) -> Node:
    """Return the node with the arguments given; what is empty stays as the map has it."""
    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    gateway_url = given('gateway_url')
    if not gateway_url and given('local_gateway') == 'true':
        gateway_url = LOCAL_GATEWAY_URL
    texts = {
        'config_file': str(Path(given('config_file')).expanduser().absolute()),
        'source_id': given('source_id'),
        'gateway_url': gateway_url,
    }
    # Told to be text, because launch would make a number of a source_id such as 007.
    parameters = {
        name: ParameterValue(text, value_type=str) for name, text in texts.items() if text}
    share = Path(get_package_share_directory('plexus_bridge'))
    return Node(
        package='plexus_bridge', executable='bridge', name='plexus_bridge',
        namespace=given('namespace'), output='screen',
        parameters=[{**parameters, 'use_sim_time': given('use_sim_time') == 'true'}],
        ros_arguments=['--log-level', given('log_level')],
        additional_env=profile_environment(os.environ, share / 'config' / 'fastdds_bridge.xml'),
        respawn=given('respawn') == 'true', respawn_delay=RESPAWN_DELAY_S)

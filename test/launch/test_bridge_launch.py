# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch files: read and built where launch is installed, run where launch_testing is, too."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def installed(name: str) -> bool:
    """Tell whether a package is there; our own folder launch/ looks like one, but has no file."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


needs_launch = pytest.mark.skipif(
    not (installed('launch') and installed('launch_ros')),
    reason='launch and launch_ros are not installed: they come with ROS 2, not with its wheels')
needs_launch_testing = pytest.mark.skipif(
    not (installed('launch_testing') and installed('launch_ros')),
    reason='launch_testing is not installed: it comes with ROS 2, not with its wheels')


def described(file: str) -> Any:
    """Return the launch description of one of our files."""
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchContext
    source = PythonLaunchDescriptionSource(str(ROOT / 'launch' / file))
    return source.get_launch_description(LaunchContext())


def bridge_node(**arguments: str) -> tuple[Any, Any]:
    """Return the node that bridge.launch.py starts with these arguments, and its context."""
    from launch.actions import DeclareLaunchArgument
    from launch.actions import OpaqueFunction

    from launch import LaunchContext
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    entities = described('bridge.launch.py').entities
    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.visit(context)
    [start] = [entity for entity in entities if isinstance(entity, OpaqueFunction)]
    *_, last = start.execute(context)
    return last, context


def parameters(node: Any, context: Any) -> dict[str, Any]:
    """Return the parameters that a node action sets."""
    from launch_ros.utilities import evaluate_parameters
    [values] = evaluate_parameters(context, node._Node__parameters)
    return dict(values)


@needs_launch
def test_every_argument_is_described_and_none_is_a_secret():
    described_arguments = described('bridge.launch.py').get_launch_arguments()
    names = {argument.name for argument in described_arguments}
    assert names == {
        'config_file', 'source_id', 'gateway_url', 'namespace', 'use_sim_time', 'log_level',
        'respawn', 'local_gateway'}
    for argument in described_arguments:
        assert argument.description != 'no description given', argument.name
        assert argument.description[0].isupper(), argument.name
    assert not [name for name in names if 'key' in name or 'token' in name]


@needs_launch
@pytest.mark.usefixtures('in_prefix')
def test_what_is_not_given_is_left_to_the_map(tmp_path):
    node, context = bridge_node(config_file=str(tmp_path / 'map.yaml'))
    assert parameters(node, context) == {
        'config_file': str(tmp_path / 'map.yaml'), 'use_sim_time': False}


@needs_launch
@pytest.mark.usefixtures('in_prefix')
def test_texts_stay_texts_and_paths_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    node, context = bridge_node(config_file='map.yaml', source_id='007', use_sim_time='true')
    assert parameters(node, context) == {
        'config_file': str(tmp_path / 'map.yaml'), 'source_id': '007', 'use_sim_time': True}


@needs_launch
@pytest.mark.usefixtures('in_prefix')
@pytest.mark.parametrize(('distribution', 'variable'), [
    ('humble', 'FASTRTPS_DEFAULT_PROFILES_FILE'), ('jazzy', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
    ('kilted', 'FASTDDS_DEFAULT_PROFILES_FILE'), (None, 'FASTDDS_DEFAULT_PROFILES_FILE')])
def test_fast_dds_gets_our_settings_unless_the_user_has_some(
        monkeypatch, prefix, distribution, variable):
    if distribution:
        monkeypatch.setenv('ROS_DISTRO', distribution)
    else:
        monkeypatch.delenv('ROS_DISTRO', raising=False)
    node, context = bridge_node(config_file='/map.yaml')
    expected = prefix / 'share' / 'plexus_bridge' / 'config' / 'fastdds_bridge.xml'
    assert environment(node, context) == {variable: str(expected)}
    assert expected.exists()
    monkeypatch.setenv(variable, '/of/the/user.xml')
    node, context = bridge_node(config_file='/map.yaml')
    assert environment(node, context) == {}


def environment(node: Any, context: Any) -> dict[str, str]:
    """Return what a node action adds to the environment."""
    from launch.utilities import perform_substitutions
    return {perform_substitutions(context, name): perform_substitutions(context, value)
            for name, value in node.additional_env or []}


@pytest.fixture
def in_prefix(monkeypatch: pytest.MonkeyPatch, prefix: Path) -> None:
    """Let this process find plexus_bridge as if colcon had installed it."""
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix))
    for name in ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name, raising=False)


@needs_launch
@pytest.mark.usefixtures('in_prefix')
def test_the_demo_includes_the_bridge_with_its_map():
    arguments = {each.name: each for each in described('demo.launch.py').get_launch_arguments()}
    default = ''.join(part.text for part in arguments['config_file'].default_value)
    assert Path(default).exists(), default


@needs_launch
@pytest.mark.usefixtures('in_prefix')
def test_the_simulated_robot_gets_the_settings_for_images(monkeypatch, prefix):
    from launch_ros.actions import Node

    from launch import LaunchContext

    def added() -> dict[str, str]:
        [robot] = [each for each in described('demo.launch.py').entities if isinstance(each, Node)]
        return environment(robot, LaunchContext())

    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    expected = prefix / 'share' / 'plexus_bridge' / 'config' / 'fastdds.xml'
    assert added() == {'FASTRTPS_DEFAULT_PROFILES_FILE': str(expected)}
    monkeypatch.setenv('FASTDDS_DEFAULT_PROFILES_FILE', '/of/the/user.xml')
    assert added() == {}


@needs_launch_testing
def test_two_bridges_in_two_namespaces(launch_environment, gateway_port, tmp_path):
    # In a process of its own: launch wants the main thread, and its plug-in not every pytest.
    robot = tmp_path / 'map.yaml'
    robot.write_text('version: 1\nsource_id: robot\nmetrics: [{topic: imu/data}]\n')
    done = subprocess.run(
        [sys.executable, '-m', 'launch_testing.launch_test', str(HERE / 'two_bridges.py')],
        env={**launch_environment, 'TEST_MAP': str(robot),
             'TEST_GATEWAY_URL': f'http://127.0.0.1:{gateway_port}',
             'PATH': os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']])},
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Ran 1 test' in done.stderr + done.stdout

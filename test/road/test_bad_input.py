# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a user gets wrong is told in one clear message, with an exit code, and nothing hangs."""

from __future__ import annotations

from collections.abc import Callable
import socket
import subprocess
import sys
from typing import Any

import pytest

EXIT_CONFIGURATION = 78


@pytest.fixture
def bridge(start, tmp_path) -> Callable[..., Any]:
    def run(text: str | None, *arguments: str, **environment: str) -> Any:
        parameters = []
        if text is not None:
            (tmp_path / 'robot.yaml').write_text(text)
            parameters = ['-p', 'config_file:=robot.yaml']
        return start('plexus_bridge.nodes.bridge', '--ros-args', *parameters, *arguments,
                     **environment)

    return run


GOOD = 'version: 1\nsource_id: robot-1\nmetrics: [{topic: /t}]\n'


@pytest.mark.parametrize(('text', 'expected'), [
    ('metrics: [', 'robot.yaml:1:11: is not YAML: '),
    ('version: 1\nmetrcs: []', "robot.yaml:2:1: metrcs: unknown key 'metrcs'; did you mean "
     "'metrics'?"),
    ('version: 1\nmetrics: [{topic: /t, type: sensor_msgs/msg/Imo}]',
     'robot.yaml:2:23: metrics[0].type: type sensor_msgs/msg/Imo: package sensor_msgs has no msg '
     'Imo'),
    ('version: 1\nmetrics: [{topic: /t, type: nav2_msgs/msg/Costmap}]',
     'package nav2_msgs is not installed here'),
    ('version: 1\nmetrics:\n  - topic: /t\n    type: sensor_msgs/msg/Imu\n    fields:\n'
     '      - {path: angular_velocity.w, metric: a}\n'
     '      - {path: linear_acceleration.x, metric: b}\n'
     '      - {path: header.frame_id, metric: c, scale: 2}\n',
     "robot.yaml:6:10: metrics[0].fields[0].path: path angular_velocity.w: "
     "geometry_msgs/msg/Vector3 has no field 'w'; it has x, y, z\n"
     'robot.yaml:8:10: metrics[0].fields[2].path: path header.frame_id: leads to a text, which '
     'has no scale or offset'),
])
def test_a_wrong_map_is_told_with_its_line(bridge, text, expected):
    program = bridge(text, PLEXUS_API_KEY='plx_test')
    assert program.wait() == EXIT_CONFIGURATION
    assert expected in program.output
    assert 'Traceback' not in program.output


@pytest.mark.parametrize(('arguments', 'expected'), [
    ([], 'no map was given: set the parameter config_file'),
    (['-p', 'config_file:=nowhere.yaml'], 'nowhere.yaml: no such file; the working directory is'),
])
def test_a_missing_map_is_told(bridge, arguments, expected):
    program = bridge(None, *arguments)
    assert program.wait() == EXIT_CONFIGURATION
    assert expected in program.output
    assert 'Traceback' not in program.output


def test_a_missing_key_is_told_with_both_ways_to_get_one(bridge):
    program = bridge(GOOD)
    assert program.wait() == EXIT_CONFIGURATION
    assert 'no API key for http://127.0.0.1:8787: set PLEXUS_API_KEY' in program.output
    assert 'start the local gateway' in program.output


def test_a_wrong_source_id_is_told(bridge):
    program = bridge(GOOD, '-p', 'source_id:=Robot 1', PLEXUS_API_KEY='plx_test')
    assert program.wait() == EXIT_CONFIGURATION
    assert "source_id: saw 'Robot 1', expected lower-case letters" in program.output


@pytest.mark.parametrize(('arguments', 'expected'), [
    (['-p', 'gateway_url:=localhost:8787'], "saw 'localhost:8787': it does not begin"),
    (['-p', "gateway_url:='http://[::1'"], "gateway url: saw 'http://[::1': Invalid IPv6 URL"),
    (['-p', 'gateway_url:=http://h:99999'], "saw 'http://h:99999': Port out of range"),
    (['-p', 'source_id:=007'], "Trying to set parameter 'source_id' to '7' of type 'INTEGER'"),
    (['-p', 'use_sim_time:=maybe'], "'use_sim_time' to 'maybe'"),
    (['--nonsense'], "the arguments after --ros-args cannot be used: ['--nonsense']"),
    (['-r', '__ns:=/1'], 'the arguments after --ros-args cannot be used: '),
    (['-p', f'source_id:={"a" * 257}'], 'source_id: saw 257 characters, expected at most 256'),
])
def test_wrong_arguments_are_told(bridge, arguments, expected):
    program = bridge(GOOD, *arguments, PLEXUS_API_KEY='plx_test')
    assert program.wait() == EXIT_CONFIGURATION
    assert expected in program.output
    assert 'Traceback' not in program.output


@pytest.mark.parametrize('module', ['bridge', 'simulated_robot'])
def test_arguments_that_ros_does_not_know_are_told_by_all_programs(start, module):
    program = start(f'plexus_bridge.nodes.{module}', '--ros-args', '--nonsense')
    assert program.wait() == EXIT_CONFIGURATION
    assert "cannot be used: ['--nonsense']" in program.output
    assert 'Traceback' not in program.output


@pytest.mark.parametrize('key', ['', 'plx_test'])
def test_a_state_folder_that_cannot_be_is_told(bridge, tmp_path, key):
    (tmp_path / 'file').touch()
    program = bridge(GOOD, PLEXUS_API_KEY=key, PLEXUS_HOME=str(tmp_path / 'file' / 'home'))
    assert program.wait() == EXIT_CONFIGURATION
    assert 'Not a directory' in program.output
    assert 'Traceback' not in program.output


def test_texts_of_the_command_line_stay_what_they_are(start, tmp_path, wait_until):
    (tmp_path / 'a: b.yaml').write_text(GOOD)
    program = start('plexus_bridge.cli', 'run', 'a: b.yaml', '--source-id', '007',
                    PLEXUS_API_KEY='plx_test')
    wait_until(lambda: 'source 007: 1 metric rule of a: b.yaml' in program.output,
               'the bridge runs')
    assert program.stop() == 0


def test_the_longest_source_id_has_a_journal(bridge, wait_until):
    program = bridge(GOOD, '-p', f'source_id:={"a" * 256}', PLEXUS_API_KEY='plx_test')
    wait_until(lambda: f'source {"a" * 256}' in program.output, 'the bridge runs')
    assert program.stop() == 0
    assert 'Traceback' not in program.output


def test_two_bridges_of_one_source_are_refused(bridge, wait_until):
    first = bridge(GOOD, PLEXUS_API_KEY='plx_test')
    wait_until(lambda: 'source robot-1' in first.output, 'the first bridge runs')
    second = bridge(GOOD, PLEXUS_API_KEY='plx_test')
    assert second.wait() == 1
    assert 'is in use by another process (pid ' in second.output
    assert first.stop() == 0


def test_a_gateway_that_is_not_there_is_told_and_the_bridge_stops_at_once(bridge, wait_until):
    with socket.create_server(('127.0.0.1', 0)) as probe:
        port = probe.getsockname()[1]
    program = bridge(GOOD, '-p', f'gateway_url:=http://127.0.0.1:{port}',
                     PLEXUS_API_KEY='plx_test')
    wait_until(lambda: 'nobody listens there' in program.output, 'told')
    assert program.stop(seconds=5) == 0
    assert 'Traceback' not in program.output


def test_without_ros_the_message_says_what_to_do(tmp_path):
    hide = ('import sys, runpy; sys.modules["rclpy"] = None; '
            'sys.argv = ["plexus-bridge", "run", "map.yaml"]; '
            'runpy.run_module("plexus_bridge.cli", run_name="__main__")')
    program = subprocess.run([sys.executable, '-c', hide], capture_output=True, text=True,
                             check=False)
    assert program.returncode == 1
    assert 'Traceback' not in program.stderr
    assert 'Source ROS 2' in program.stderr
    assert 'make env' in program.stderr
    assert len(program.stderr.strip().splitlines()) <= 4

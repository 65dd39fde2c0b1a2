# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge demo` as a user starts it: real processes, and none left afterwards."""

from __future__ import annotations

import os
from pathlib import Path
import re
import signal
import subprocess
from typing import Any

from gateway_client import free_port
from gateway_client import GatewayClient
import pytest

PROGRAMS = ('plexus_bridge.cli gateway', 'plexus_bridge.nodes.simulated_robot',
            'plexus_bridge.cli run')


def running(home: str) -> dict[int, str]:
    """Return the command lines, by process id, of all processes with this PLEXUS_HOME."""
    found = {}
    for process in Path('/proc').iterdir():
        try:
            if f'PLEXUS_HOME={home}'.encode() in (process / 'environ').read_bytes().split(b'\0'):
                found[int(process.name)] = (
                    (process / 'cmdline').read_bytes().replace(b'\0', b' ').decode())
        except (OSError, ValueError):
            continue
    return found


def start_demo(start: Any, port: int, *arguments: str, **environment: str) -> Any:
    return start('plexus_bridge.cli', 'demo', '--port', str(port), *arguments, **environment)


def process_of(home: str, program: str) -> int:
    return next(pid for pid, line in running(home).items() if program in line)


def profiles(pid: int) -> list[str]:
    """Return which settings of Fast DDS a process was given, without their folder."""
    variables = Path(f'/proc/{pid}/environ').read_text().split('\0')
    return [re.sub(r'=.*/', '=', each) for each in variables if '_PROFILES_FILE=' in each]


def resident_mb(pid: int) -> float:
    status = Path(f'/proc/{pid}/status').read_text()
    found = re.search(r'VmRSS:\s*(\d+) kB', status)
    assert found is not None, status
    return int(found[1]) / 1000


@pytest.fixture
def running_demo(start: Any, wait_until: Any) -> tuple[Any, int]:
    """A demo that reports, and the port of its gateway."""
    port = free_port()
    demo = start_demo(start, port)
    wait_until(lambda: 'points stored' in demo.output, 'data come', 60.0)
    return demo, port


@pytest.mark.road
def test_it_runs_for_the_time_asked_for_and_leaves_nothing(
        start: Any, ros_environment: dict[str, str]) -> None:
    port = free_port()
    # A key for another gateway must not get in the way.
    demo = start_demo(start, port, '--seconds', '12', PLEXUS_API_KEY='plx_of_another_gateway')
    assert demo.wait(90) == 0, demo.output
    assert running(ros_environment['PLEXUS_HOME']) == {}
    reports = re.findall(
        r'(\d+) points stored \((\d+)/s\) of (\d+) metrics: battery.percent [\d.]+ %', demo.output)
    assert len(reports) >= 3, demo.output
    stored = [int(points) for points, _, _ in reports]
    assert stored == sorted(set(stored))
    # 200 points/s of the IMU, 80 of odometry, 50 of the joints, 12 of the rest and at most 15 of
    # the laser, whose beams through the window have no value; less on a machine that is busy.
    assert 150 < int(reports[-1][1]) < 400
    # 36 to 39 of the robot, 6 to 10 about the delivery itself.
    assert 42 <= int(reports[-1][2]) <= 49
    assert f'http://127.0.0.1:{port}' in demo.output
    key = (Path(ros_environment['PLEXUS_HOME']) / 'gateway' / 'key').read_text().strip()
    assert f'API key   {key} ' in demo.output


@pytest.mark.road
def test_its_curl_line_works_and_ctrl_c_ends_all_of_it(
        running_demo: Any, ros_environment: dict[str, str], wait_until: Any) -> None:
    home = ros_environment['PLEXUS_HOME']
    demo, port = running_demo
    curl = re.search(r'curl .*', demo.output)
    assert curl is not None
    answer = subprocess.run(['sh', '-c', curl[0]], capture_output=True, text=True, check=True,
                            env=ros_environment)
    assert '"speed":' in answer.stdout
    assert all(any(program in line for line in running(home).values()) for program in PROGRAMS)
    gateway = GatewayClient(port, Path(home))
    first = gateway.latest('sim-01')
    wait_until(lambda: gateway.latest('sim-01')['position.x'] != first['position.x'], 'it moves')
    assert demo.stop(signal.SIGINT) == 0, demo.output
    assert running(home) == {}
    assert 'Traceback' not in demo.output


@pytest.mark.road
def test_only_the_robot_has_the_memory_for_images(
        running_demo: Any, ros_environment: dict[str, str]) -> None:
    home = ros_environment['PLEXUS_HOME']
    demo, _ = running_demo
    robot, bridge = (process_of(home, program) for program in PROGRAMS[1:])
    assert profiles(robot) == ['FASTDDS_DEFAULT_PROFILES_FILE=fastdds.xml']
    assert profiles(bridge) == ['FASTDDS_DEFAULT_PROFILES_FILE=fastdds_bridge.xml']
    assert resident_mb(bridge) < 150.0
    assert 'deprecated' not in demo.output


@pytest.mark.road
def test_sigterm_while_it_starts_ends_all_of_it(
        start: Any, ros_environment: dict[str, str], wait_until: Any) -> None:
    demo = start_demo(start, free_port())
    wait_until(lambda: len(running(ros_environment['PLEXUS_HOME'])) >= 3, 'two have started')
    assert demo.stop(signal.SIGTERM) == 0, demo.output
    assert running(ros_environment['PLEXUS_HOME']) == {}


@pytest.mark.road
def test_when_one_of_them_dies_all_end_and_it_is_told(
        running_demo: Any, ros_environment: dict[str, str]) -> None:
    home = ros_environment['PLEXUS_HOME']
    demo, _ = running_demo
    os.kill(process_of(home, 'plexus_bridge.nodes.simulated_robot'), signal.SIGKILL)
    assert demo.wait() == 1
    assert 'the simulated robot was ended by SIGKILL; its last lines:' in demo.output
    assert '[simulated_robot]: ready' in demo.output
    assert running(home) == {}


@pytest.mark.road
def test_killed_itself_it_leaves_nothing(
        running_demo: Any, ros_environment: dict[str, str], wait_until: Any) -> None:
    home = ros_environment['PLEXUS_HOME']
    demo, _ = running_demo
    demo.stop(signal.SIGKILL)
    wait_until(lambda: running(home) == {}, 'the others have ended')


@pytest.mark.road
def test_a_port_that_is_taken_is_told_at_once(start: Any, wait_until: Any) -> None:
    port = free_port()
    first = start('plexus_bridge.gateway.serve', '--port', str(port))
    wait_until(lambda: 'Plexus gateway' in first.output, 'the first one is up')
    demo = start_demo(start, port)
    assert demo.wait() == 1
    assert f'127.0.0.1:{port} cannot be used: Address already in use' in demo.output
    assert '--port' in demo.output
    assert 'Traceback' not in demo.output


@pytest.mark.road
def test_a_state_folder_in_use_is_told_in_the_gateways_words(start: Any, wait_until: Any) -> None:
    first = start('plexus_bridge.gateway.serve', '--port', str(free_port()))
    wait_until(lambda: 'Plexus gateway' in first.output, 'the first one is up')
    demo = start_demo(start, free_port())
    assert demo.wait() == 1
    assert 'the gateway ended with exit code 1' in demo.output
    assert 'in use by another gateway' in demo.output

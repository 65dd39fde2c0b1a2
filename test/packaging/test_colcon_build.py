# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The road of ROS users: colcon builds both packages, and what it installs works once sourced."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

ROOT = Path(__file__).parents[2]
NOT_SOURCE = ('.*', 'build', 'install', 'log', '__pycache__', '*.egg-info')
BUILD_SECONDS = 300
RUN_SECONDS = 60


def environment() -> dict[str, str]:
    """What a shell has that has sourced ROS 2. With the wheels, the python environment is it."""
    prefixes = os.environ.get('AMENT_PREFIX_PATH') or sys.prefix
    return {
        **os.environ,
        'AMENT_PREFIX_PATH': prefixes,
        'CMAKE_PREFIX_PATH': prefixes,
        'PATH': os.pathsep.join([str(Path(sys.executable).parent), os.environ['PATH']]),
    }


def cmake_arguments() -> list[str]:
    # The include is for the wheels, but it also halves the time that the compiler takes.
    return ['-DBUILD_TESTING=OFF', f'-DPython3_EXECUTABLE={sys.executable}',
            f'-DCMAKE_PROJECT_INCLUDE={ROOT / "scripts" / "plexus_msgs.cmake"}']


@pytest.fixture(scope='module')
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source folder, built."""
    if importlib.util.find_spec('colcon_ros') is None:
        pytest.skip('colcon is not installed (the extra "dev", or apt install python3-colcon-ros)')
    folder = tmp_path_factory.mktemp('workspace') / 'plexus_bridge'
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    done = subprocess.run(
        [sys.executable, '-m', 'colcon', 'build', '--base-paths', '.', 'plexus_msgs',
         '--cmake-args', *cmake_arguments()],
        cwd=folder, env={**environment(), 'COLCON_HOME': str(folder / 'colcon')},
        capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def in_workspace(workspace: Path, command: str) -> str:
    """Run a command in a shell that has sourced the result; return its output."""
    done = subprocess.run(
        ['bash', '-c', f'. install/setup.bash && cd install && {command}'], cwd=workspace,
        env=environment(), capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_messages_can_be_imported(workspace):
    told = in_workspace(workspace, (
        'python3 -c "from plexus_msgs.msg import MetricArray; import plexus_msgs; '
        'print(plexus_msgs.__file__, MetricArray())"'))
    assert told.startswith(str(workspace / 'install' / 'plexus_msgs'))
    assert 'metrics=[]' in told


def test_the_command_line_runs(workspace):
    # Where `ros2 run` and launch find it.
    program = 'plexus_bridge/lib/plexus_bridge/plexus-bridge'
    assert 'usage: plexus-bridge' in in_workspace(workspace, f'{program} --help')
    told = in_workspace(workspace, (
        'python3 -c "import plexus_bridge; print(plexus_bridge.__file__)"'))
    assert told.startswith(str(workspace / 'install' / 'plexus_bridge'))


def test_what_is_not_code_is_installed_too(workspace):
    share = workspace / 'install' / 'plexus_bridge' / 'share' / 'plexus_bridge'
    for folder in ('launch', 'config'):
        shipped = {path.name for path in (ROOT / folder).iterdir() if path.suffix != '.pyc'}
        assert {path.name for path in (share / folder).iterdir()} >= shipped - {'__pycache__'}
    code = next((workspace / 'install' / 'plexus_bridge').rglob('map.schema.json'))
    assert code.read_bytes() == (ROOT / 'plexus_bridge/config/map.schema.json').read_bytes()
    index = share.parent / 'ament_index' / 'resource_index' / 'packages' / 'plexus_bridge'
    assert index.exists()

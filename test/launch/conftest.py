# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""plexus_bridge as an installed ROS package, so that launch finds its files and executables."""

from __future__ import annotations

import os
from pathlib import Path
import sys

from gateway_client import free_port
import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    'bridge': 'plexus_bridge.nodes.bridge',
    'gateway': 'plexus_bridge.gateway.serve',
    'simulated_robot': 'plexus_bridge.nodes.simulated_robot',
}


@pytest.fixture
def gateway_port() -> int:
    """A port that is free."""
    return free_port()


@pytest.fixture
def prefix(tmp_path: Path, gateway_port: int) -> Path:
    """A ROS prefix as colcon makes it, of this source folder; its gateway is at `gateway_port`."""
    prefix = tmp_path / 'prefix'
    share = prefix / 'share' / 'plexus_bridge'
    share.mkdir(parents=True)
    for folder in ('launch', 'config'):
        (share / folder).symlink_to(ROOT / folder)
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    index.mkdir(parents=True)
    (index / 'plexus_bridge').touch()
    programs = prefix / 'lib' / 'plexus_bridge'
    programs.mkdir(parents=True)
    for name, module in PROGRAMS.items():
        program = programs / name
        more = f' --port {gateway_port}' if name == 'gateway' else ''
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"{more}\n')
        program.chmod(0o755)
    return prefix


@pytest.fixture
def launch_environment(ros_environment: dict[str, str], prefix: Path) -> dict[str, str]:
    """Environment of a process that launches from `prefix`."""
    prefixes = [str(prefix), os.environ.get('AMENT_PREFIX_PATH') or sys.prefix]
    return {**ros_environment, 'AMENT_PREFIX_PATH': os.pathsep.join(prefixes)}

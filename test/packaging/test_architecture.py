# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Who may import whom. The architecture is the list of folders; these rules keep it so."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = 'plexus_bridge'
# What everybody may use, and what therefore uses nothing but each other.
BASE = {'points', 'errors', 'counters', 'encoding'}
ROS = {'rclpy', 'rosidl_parser', 'rosidl_runtime_py', 'ament_index_python', 'builtin_interfaces',
       'std_srvs', 'launch', 'launch_ros', 'tf2_ros', 'cv_bridge'}
OUTSIDE = {'asyncio', 'http', 'io', 'multiprocessing', 'os', 'pathlib', 'requests', 'select',
           'socket', 'sqlite3', 'subprocess', 'tempfile', 'threading', 'time', 'urllib',
           'websocket'}
MODULES = sorted((ROOT / PACKAGE).rglob('*.py'))


def imports(path: Path) -> set[str]:
    """Full names of the modules (or names in modules) that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}:{node.lineno}: relative import'
            found.update(f'{node.module}.{alias.name}' for alias in node.names)
    return found


def problems(part: str, imported: set[str]) -> list[str]:
    """Return what a module of a part (`mapping`, `points` …) must not import."""
    tops = {name.partition('.')[0] for name in imported}
    ours = {name.split('.')[1] for name in imported if name.startswith(f'{PACKAGE}.')}
    wrong = []
    if part in BASE:
        wrong += sorted(ours - BASE)
    if part in {'mapping', 'protocol', 'teleop'}:
        wrong += sorted(tops & OUTSIDE) + sorted(
            name for name in imported if name.startswith('datetime.datetime.now'))
    if part == 'gateway':
        wrong += sorted(ours & {'ros', 'mapping', 'client'})
    if part not in {'ros', 'nodes'}:
        wrong += sorted(top for top in tops if top in ROS or top.endswith('_msgs'))
        wrong += sorted(ours & {'ros'})
    if part not in {'nodes'}:
        wrong += sorted(ours & {'nodes'})
    wrong += sorted(ours & {'cli'})
    return wrong


@pytest.mark.parametrize(
    'path', MODULES, ids=[str(path.relative_to(ROOT / PACKAGE)) for path in MODULES])
def test_a_module_imports_only_what_its_part_may(path):
    part = path.relative_to(ROOT / PACKAGE).parts[0].removesuffix('.py')
    assert problems(part, imports(path)) == []


@pytest.mark.parametrize(('part', 'imported', 'wrong'), [
    ('points', 'plexus_bridge.protocol.device.Session', ['protocol']),
    ('mapping', 'time', ['time']),
    ('protocol', 'socket.socket', ['socket']),
    ('delivery', 'sensor_msgs.msg.Imu', ['sensor_msgs']),
    ('client', 'rclpy', ['rclpy']),
    ('gateway', 'plexus_bridge.client.link', ['client']),
    ('ros', 'plexus_bridge.nodes.bridge', ['nodes']),
    ('nodes', 'plexus_bridge.cli.main', ['cli']),
    ('client', 'plexus_bridge.ros.bridge', ['ros']),
    ('nodes', 'plexus_bridge.ros.bridge', []),
    ('mapping', 'plexus_bridge.points.Point', []),
])
def test_the_rules_find_what_they_should(part, imported, wrong):
    assert problems(part, {imported}) == wrong

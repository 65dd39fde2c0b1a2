# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The examples of doc/commands.md and the demo's map, tried as they stand."""

from __future__ import annotations

import os
from pathlib import Path
import re
import shutil
import subprocess

from gateway_client import free_port
from gateway_client import GatewayClient
import pytest
import requests

from plexus_bridge.config.map import load_map
from plexus_bridge.ros.command_check import check_commands

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'doc' / 'commands.md').read_text()
MAPS = re.findall(r'```yaml\n(.*?)```', TEXT, re.DOTALL)


@pytest.mark.parametrize('number', range(len(MAPS)))
def test_every_map_is_right(tmp_path, number):
    text = MAPS[number] if 'version:' in MAPS[number] else f'version: 1\n{MAPS[number]}'
    (tmp_path / 'robot.yaml').write_text(text)
    robot_map = load_map(tmp_path / 'robot.yaml')
    assert check_commands(robot_map) == []
    assert robot_map.document.problems == []


def test_the_demos_commands_fit_their_types():
    robot_map = load_map(ROOT / 'config' / 'demo.yaml')
    assert len(robot_map.commands) == 5
    assert robot_map.teleop is not None
    assert check_commands(robot_map) == []
    assert robot_map.document.problems == []


@pytest.mark.skipif(shutil.which('curl') is None or shutil.which('bash') is None,
                    reason='curl or bash is not installed')
def test_the_requests_work_in_order(start, tmp_path, ros_environment, wait_until):
    port = free_port()
    gateway = GatewayClient(port, Path(ros_environment['PLEXUS_HOME']))
    start('plexus_bridge.gateway.serve', '--port', str(port))
    wait_until(gateway.is_up, 'the gateway answers')
    start('plexus_bridge.nodes.simulated_robot')
    (tmp_path / 'robot.yaml').write_text(MAPS[0].replace(':8787', f':{port}'))
    bridge = start('plexus_bridge.cli', 'run', str(tmp_path / 'robot.yaml'))

    def is_declared() -> bool:
        answer = requests.get(f'{gateway.url}/v1/sources/sim-01/commands',
                              headers={'x-api-key': gateway.key}, timeout=10)
        return answer.ok and len(answer.json()['commands']) == 3

    wait_until(is_declared, f'the bridge is connected; {bridge.output}')
    section = TEXT[TEXT.index('### With curl'):TEXT.index('## Driving by hand')]
    script = '\n'.join(line[4:] for line in section.splitlines() if line.startswith('    '))
    result = subprocess.run(
        ['bash', '-c', f'set -eu; curl() {{ command curl -sS --fail-with-body "$@"; echo; }}\n'
         f'{script.replace(":8787", f":{port}")}'], capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, 'HOME': ros_environment['HOME']})
    assert result.returncode == 0, result.stdout + result.stderr
    lights, speed, show = result.stdout.splitlines()
    assert '"message":"lights: yes"' in lights
    assert '"result":{"max_speed":0.8,"patrol":true}' in speed
    assert '"state":"succeeded"' in show

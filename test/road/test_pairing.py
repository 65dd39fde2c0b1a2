# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A robot that has nothing is paired with a gateway, and then sends with what it was given."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import re
from typing import Any
import urllib.request

import pytest

SENDER = '''
from plexus import Plexus
px = Plexus()
assert px.send('zone1.temp_c', 812.5)
assert px._ws.wait_for_acks(10)
print('sent as', px.source_id)
px.close()
'''


@pytest.fixture
def call(start: Callable[..., Any], tmp_path: Path) -> Callable[..., str]:
    """Call `plexus-bridge …` or another module to its end with a home; returns its output."""

    def run(home: str, *arguments: str, module: str = 'plexus_bridge.cli') -> str:
        program = start(module, *arguments, HOME=str(tmp_path / home),
                        PLEXUS_HOME=str(tmp_path / home / '.plexus'))
        assert program.wait() == 0, program.output
        return str(program.output)

    return run


@pytest.mark.parametrize('way', ['code', 'approval'])
def test_a_robot_is_paired_and_sends(
        start: Callable[..., Any], call: Callable[..., str], wait_until: Callable[..., None],
        tmp_path: Path, way: str):
    (tmp_path / 'lab').mkdir()
    (tmp_path / 'robot').mkdir()
    data = tmp_path / 'lab' / '.plexus' / 'gateway'
    gateway = start('plexus_bridge.gateway.serve', '--port', '0', '--data', str(data))
    wait_until(lambda: 'Ctrl+C' in gateway.output, 'the gateway serves')
    url = re.findall(r'http://\S+', gateway.output)[0]

    if way == 'code':
        code = call('lab', 'gateway', 'pair', '--source-id', 'arm-1').splitlines()[0]
        printed = call('robot', 'pair', '--code', code.lower(), '--gateway', url)
    else:
        robot = start('plexus_bridge.cli', 'pair', '--gateway', url, HOME=str(tmp_path / 'robot'),
                      PLEXUS_HOME=str(tmp_path / 'robot' / '.plexus'))
        wait_until(lambda: '--approve' in robot.output, 'the robot shows its code')
        code = re.findall(r'--approve (\S+)', robot.output)[0]
        call('lab', 'gateway', 'pair', '--approve', code, '--source-id', 'arm-1')
        assert robot.wait() == 0, robot.output
        printed = robot.output
    assert f'paired with {url}' in printed
    config = tmp_path / 'robot' / '.plexus' / 'config.json'
    assert config.stat().st_mode & 0o777 == 0o600

    (tmp_path / 'sender.py').write_text(SENDER)
    assert 'sent as arm-1' in call('robot', module='sender')
    request = urllib.request.Request(
        f'{url}/v1/sources/arm-1/metrics/latest',
        headers={'x-api-key': (data / 'key').read_text().strip()})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer) == {'metrics': {'zone1.temp_c': 812.5}}

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Every example of doc/python.md, one after the other as one program."""

from __future__ import annotations

import os
from pathlib import Path
import re
import subprocess
import sys

from local_gateway import serving

GUIDE = Path(__file__).parents[2] / 'doc' / 'python.md'
CAMERA = '''
import numpy as np
class camera:
    read = staticmethod(lambda: np.zeros((48, 64, 3), np.uint8))
'''


def test_the_guides_examples_run_and_what_they_send_arrives(tmp_path):
    examples = re.findall(r'```python\n(.*?)```', GUIDE.read_text(), re.DOTALL)
    assert len(examples) == 7
    tools = tmp_path / 'bin'
    tools.mkdir()
    (tools / 'ffmpeg').write_text(f'#!{sys.executable}\nimport time\ntime.sleep(60)\n')
    (tools / 'ffmpeg').chmod(0o755)
    with serving(tmp_path) as gateway:
        done = subprocess.run(
            [sys.executable, '-c', CAMERA + ''.join(examples)], capture_output=True, text=True,
            timeout=60, check=False, cwd=tmp_path, env={
                **os.environ, **gateway.environment(tmp_path / 'program'),
                'PATH': f'{tools}{os.pathsep}{os.environ["PATH"]}'})
        assert done.returncode == 0, done.stderr
        assert gateway.get('/v1/sources/bench-07/metrics') == [
            'arm.angle', 'battery.voltage', 'gps.altitude', 'imu.x', 'imu.y', 'imu.z',
            'motor.rpm', 'motor.temp_c', 'pressure']
        assert gateway.samples('bench-07', 'gps.altitude') == [(1_790_000_000_250, 312.5)]
        assert {name for name, _ in gateway.events('bench-07')} == {'fault', 'state_change'}
        runs = gateway.get('/api/runs', source_id='bench-07')['runs']
        assert {run['name']: run['status'] for run in runs} == {
            'hotfire-03': 'completed', 'endurance': 'completed'}

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The examples of doc/gateway.md, run as they stand but for the port, against a real gateway."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = ('Keys', 'Pairing a robot', 'Commands', 'Agents of old', 'Runs', 'Sessions')
# A request that is refused ends the script.
PROLOGUE = '''
set -eu -o pipefail
curl() { command curl --silent --show-error --fail-with-body "$@"; }
python() { exec "$PYTHON" "$@"; }
plexus-bridge() { "$PYTHON" -m plexus_bridge.cli "$@"; }
'''


def examples() -> str:
    """Return the indented lines of the sections, in order."""
    text = (ROOT / 'doc' / 'gateway.md').read_text()
    found = dict(re.findall(r'^## (.+)\n((?:(?!## ).*\n)*)', text, re.MULTILINE))
    lines = [line for name in SECTIONS for line in found[name].splitlines()]
    return '\n'.join(line[4:] for line in lines if line.startswith('    ')) + '\n'


@pytest.mark.skipif(shutil.which('curl') is None or shutil.which('bash') is None,
                    reason='curl or bash is not installed')
def test_the_examples_work_in_order(processes: Callable[..., Any], tmp_path: Path):
    home = tmp_path / '.plexus'
    home.mkdir()
    gateway = processes('.plexus/gateway').start()
    address = f'http://127.0.0.1:{gateway.port}'
    script = examples().replace('://127.0.0.1:8787', f'://127.0.0.1:{gateway.port}')
    assert script.count(address) >= 14
    environment = {
        **{name: value for name, value in os.environ.items()
           if not name.lower().endswith('_proxy')},
        'HOME': str(tmp_path), 'PLEXUS_HOME': str(home), 'PLEXUS_GATEWAY_URL': address,
        'PYTHON': sys.executable, 'PYTHONPATH': str(ROOT)}
    result = subprocess.run(
        ['bash', '-c', PROLOGUE + script], capture_output=True, text=True, timeout=60,
        check=False, env=environment, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    for text in ('"scopes":["write"]', f'paired with {address} as arm-2', '"device_token":"plxd_',
                 '"result":{"reached_c":900.0}', '"queued":false',
                 'force_n < 900 holds for all 1 points', '"bucket_ms":',
                 '"ended_at":"2032-01-15T10:30:00.000Z"'):
        assert text in result.stdout
    assert (home / 'config.json').stat().st_mode & 0o777 == 0o600

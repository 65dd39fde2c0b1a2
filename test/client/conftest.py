# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A real gateway process for all tests of the Python API, and clients of it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import os
from pathlib import Path
import re
import subprocess
import sys
import time
from typing import Any

import pytest
import requests

from plexus_bridge import Plexus

ROOT = Path(__file__).parents[2]
SECONDS = 20.0


class LocalGateway:
    """What tests ask the gateway for through its data API."""

    def __init__(self, url: str, key: str):
        self.url = url
        self.key = key

    def environment(self, home: Path) -> dict[str, str]:
        """Return what a program needs to find it, with a home of its own."""
        home.mkdir(exist_ok=True)
        return {
            'HOME': str(home), 'PLEXUS_HOME': str(home / '.plexus'), 'PLEXUS_API_KEY': self.key,
            'PLEXUS_GATEWAY_URL': self.url, 'PLEXUS_ENDPOINT': self.url,
            'PLEXUS_GATEWAY_WS_URL': self.url.replace('http', 'ws', 1)}

    def get(self, path: str, **query: Any) -> Any:
        answer = requests.get(
            f'{self.url}{path}', params=query, headers={'x-api-key': self.key}, timeout=SECONDS)
        assert answer.status_code == 200, f'{path}: {answer.status_code} {answer.text[:300]}'
        return answer.json()

    def samples(self, source: str, metric: str) -> list[tuple[int, float]]:
        """Return all (Unix ms, value) of a metric, as long as they are no more than 10,000."""
        answer = self.get(f'/v1/sources/{source}/metrics/query', metrics=metric, interval='raw',
                          start=1, end=9 * 10**15)
        assert not answer['truncated']
        columns = answer['series'].get(metric, {'timestamp_ms': [], 'value': []})
        return list(zip(columns['timestamp_ms'], columns['value'], strict=True))

    def events(self, source: str) -> list[tuple[str, Any]]:
        return [(event['metric'], event['value']) for event in self.get(
            f'/v1/sources/{source}/events', start=1, end=9 * 10**15)]


@pytest.fixture(scope='session')
def local_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    """A gateway process; each test sends for sources of its own."""
    folder = tmp_path_factory.mktemp('gateway')
    log = folder / 'log'
    environment = {**os.environ, 'HOME': str(folder), 'PLEXUS_HOME': str(folder / 'home'),
                   'PYTHONPATH': str(ROOT), 'PYTHONUNBUFFERED': '1'}
    with log.open('wb') as output:
        process = subprocess.Popen(
            [sys.executable, '-m', 'plexus_bridge.gateway.serve', '--port', '0', '--data',
             str(folder / 'data')], stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, env=environment, cwd=folder)
    try:
        deadline = time.monotonic() + SECONDS
        while 'Ctrl+C' not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        found = re.search(r'http://127\.0\.0\.1:\d+', log.read_text())
        assert found
        yield LocalGateway(found[0], (folder / 'data' / 'key').read_text().strip())
    finally:
        process.terminate()
        process.wait(SECONDS)


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Plexus]]:
    """Make clients with a key and a home of the test's own; they are closed at its end."""
    for name in ('PLEXUS_API_KEY', 'PLEXUS_ENDPOINT', 'PLEXUS_GATEWAY_URL',
                 'PLEXUS_GATEWAY_WS_URL', 'PLEXUS_QUIET'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PLEXUS_HOME', str(tmp_path / 'home'))
    made: list[Plexus] = []

    def make(url: str, key: str = 'plx_k', source_id: str = 'kiln-7', **more: Any) -> Plexus:
        more.setdefault('timeout', 5.0)
        made.append(Plexus(key, source_id=source_id, gateway_url=url, **more))
        return made[-1]

    yield make
    for client in made:
        client.close()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A real gateway process for programs of the Python API, and what it tells of what it stored."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import re
import subprocess
import sys
import time
from typing import Any

import requests

ROOT = Path(__file__).parents[2]
SECONDS = 20.0


class LocalGateway:
    """What tests ask the gateway for through its public API."""

    def __init__(self, url: str, key: str, pid: int):
        self.url = url
        self.key = key
        self.pid = pid

    def environment(self, home: Path) -> dict[str, str]:
        """Return what a program needs to find it, with a home of its own."""
        home.mkdir(exist_ok=True)
        return {
            'HOME': str(home), 'PLEXUS_HOME': str(home / '.plexus'), 'PLEXUS_API_KEY': self.key,
            'PLEXUS_GATEWAY_URL': self.url, 'PLEXUS_ENDPOINT': self.url,
            'PLEXUS_GATEWAY_WS_URL': self.url.replace('http', 'ws', 1),
            'PYTHONPATH': str(ROOT)}

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method, self.url + path, headers={'x-api-key': self.key}, timeout=SECONDS, **options)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.request('GET', path, params=query)
        assert answer.status_code == 200, f'{path}: {answer.status_code} {answer.text[:300]}'
        return answer.json()

    def columns(self, source: str, metric: str) -> dict[str, list[Any]]:
        """Return all stamps (Unix ms) and values of a metric, if they are at most 10,000."""
        answer = self.get(f'/v1/sources/{source}/metrics/query', metrics=metric, interval='raw',
                          start=1, end=9 * 10**15)
        assert not answer['truncated']
        columns: dict[str, list[Any]] = answer['series'].get(
            metric, {'timestamp_ms': [], 'value': []})
        return columns

    def samples(self, source: str, metric: str) -> list[tuple[int, float]]:
        columns = self.columns(source, metric)
        return list(zip(columns['timestamp_ms'], columns['value'], strict=True))

    def events(self, source: str) -> list[tuple[str, Any]]:
        return [(event['metric'], event['value']) for event in self.raw_events(source)]

    def raw_events(self, source: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.get(
            f'/v1/sources/{source}/events', start=1, end=9 * 10**15)
        return events


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[LocalGateway]:
    """Have a gateway process serve on a free port, with its data in a folder."""
    log = folder / 'log'
    with log.open('wb') as output:
        process = subprocess.Popen(
            [sys.executable, '-m', 'plexus_bridge.gateway.serve', '--port', '0', '--data',
             str(folder / 'data')], stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, cwd=folder, env={
                **os.environ, 'HOME': str(folder), 'PLEXUS_HOME': str(folder / 'home'),
                'PYTHONPATH': str(ROOT), 'PYTHONUNBUFFERED': '1'})
    try:
        deadline = time.monotonic() + SECONDS
        while 'Ctrl+C' not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        found = re.search(r'http://127\.0\.0\.1:\d+', log.read_text())
        assert found, log.read_text()
        yield LocalGateway(found[0], (folder / 'data' / 'key').read_text().strip(),
                           process.pid)
    finally:
        process.terminate()
        process.wait(SECONDS)

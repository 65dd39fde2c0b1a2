# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests ask a running gateway through its public data API."""

from __future__ import annotations

from datetime import datetime
from datetime import timezone
from pathlib import Path
import socket
from typing import Any

import requests


def free_port() -> int:
    """Return a port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port: int = probe.getsockname()[1]
        return port


class GatewayClient:
    """Reads one gateway with the key that it keeps in `home`."""

    def __init__(self, port: int, home: Path):
        self.url = f'http://127.0.0.1:{port}'
        self._home = home

    @property
    def key(self) -> str:
        return (self._home / 'gateway' / 'key').read_text().strip()

    def is_up(self) -> bool:
        try:
            return requests.get(f'{self.url}/health', timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def get(self, path: str, **query: Any) -> Any:
        answer = requests.get(
            f'{self.url}{path}', params=query, headers={'x-api-key': self.key}, timeout=20)
        assert answer.status_code == 200, f'{path}: {answer.status_code} {answer.text[:300]}'
        return answer.json()

    def knows(self, source: str) -> bool:
        """Tell whether anything of a source has been stored."""
        return source in [one['source_id'] for one in self.get('/v1/sources')['devices']]

    def latest(self, source: str) -> dict[str, float]:
        latest: dict[str, float] = self.get(f'/v1/sources/{source}/metrics/latest')['metrics']
        return latest

    def series(self, source: str, metric: str, start_ms: int, end_ms: int,
               window_ms: int = 200_000) -> list[tuple[int, float]]:
        """Return every (stamp in ms, value) of a metric in [start, end), raw."""
        samples: list[tuple[int, float]] = []
        for start in range(start_ms, end_ms, window_ms):
            answer = self.get(
                f'/v1/sources/{source}/metrics/query', metrics=metric, interval='raw',
                start=_iso(start), end=_iso(min(start + window_ms, end_ms)))
            assert not answer['truncated']
            found = answer['series'].get(metric, {'timestamp_ms': [], 'value': []})
            samples += zip(found['timestamp_ms'], found['value'], strict=True)
        return samples


def _iso(stamp_ms: int) -> str:
    return datetime.fromtimestamp(stamp_ms / 1000, timezone.utc).isoformat()

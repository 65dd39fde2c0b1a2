# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a gateway on this machine tells about its data, read through its data API (section 12)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
import urllib.request


class GatewayReader:
    """
    Reads one gateway. Nothing here raises for a gateway that does not answer: it returns None.

    `key_file` is read for each question, because the gateway makes it when it starts.
    """

    def __init__(self, url: str, key_file: Path, timeout_s: float = 5.0):
        self.url = url
        self.key_file = key_file
        self._timeout_s = timeout_s
        # Loopback: a proxy from the environment would only be in the way.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    @property
    def key(self) -> str:
        """The gateway's first key; empty while there is none."""
        try:
            return self.key_file.read_text(encoding='ascii').strip()
        except OSError:
            return ''

    def get(self, path: str) -> Any:
        """Return the JSON that a path answers with, or None."""
        request = urllib.request.Request(self.url + path, headers={'x-api-key': self.key})
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return json.load(answer)
        except (OSError, ValueError):  # URLError and HTTPError are OSErrors
            return None

    def points_stored(self) -> int | None:
        """Return how many points were stored since the gateway started."""
        answer = self.get('/v1/gateway')
        return None if answer is None else int(answer['counters'].get('points_stored', 0))

    def latest(self, source_id: str) -> dict[str, float]:
        """Return the newest value of each metric of a source."""
        answer = self.get(f'/v1/sources/{source_id}/metrics/latest')
        return {} if answer is None else dict(answer['metrics'])

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A real gateway process for all tests of the Python API, and clients of it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_gateway import LocalGateway
from local_gateway import serving
import pytest

from plexus_bridge import Plexus


@pytest.fixture(scope='session')
def local_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGateway]:
    """A gateway process; each test sends for sources of its own."""
    with serving(tmp_path_factory.mktemp('gateway')) as gateway:
        yield gateway


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

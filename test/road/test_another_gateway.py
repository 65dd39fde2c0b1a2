# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Where one machine is outgrown: the same map, another address over TLS, another key.

The other gateway stands for the cloud or a self-hosted platform: it is behind a TLS proxy, has a
folder of its own, and the robot knows a send-only key of it and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Iterator
from pathlib import Path
import shutil
import ssl
import subprocess
import sys
import threading
from typing import Any

from gateway_client import free_port
from gateway_client import GatewayClient
import pytest
import requests

MAP = '''version: 1
source_id: robot-1
gateway: {url: http://127.0.0.1:8787}
metrics:
  - {topic: imu/data, fields: [{path: linear_acceleration.z, metric: imu.up}]}
'''


class TlsProxy:
    """Takes TLS on a port of localhost and hands what comes in plain to another port."""

    def __init__(self, certificate: Path, key: Path, target: int):
        self.accepted = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = self._call(asyncio.start_server(
            self._serve, '127.0.0.1', 0, ssl=self._context))
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20.0)

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        inside, to_inside = await asyncio.open_connection('127.0.0.1', self._target)
        try:
            await asyncio.gather(pump(reader, to_inside), pump(inside, writer))
        except (OSError, asyncio.CancelledError):
            return  # one side has gone, or the test is over
        finally:
            writer.transport.abort()
            to_inside.transport.abort()


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Hand on what comes until one side ends."""
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    target.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost that nobody else trusts, and its key."""
    if shutil.which('openssl') is None:
        pytest.skip('openssl is missing: apt install openssl')
    paths = tmp_path / 'certificate.pem', tmp_path / 'certificate.key'
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
         '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext',
         'subjectAltName=DNS:localhost', '-out', paths[0], '-keyout', paths[1]],
        check=True, capture_output=True)
    return paths


@pytest.fixture
def elsewhere(
        start: Callable[..., Any], wait_until: Callable[..., None],
        tmp_path: Path) -> GatewayClient:
    """A gateway that shares no folder with the robot."""
    gateway = GatewayClient(free_port(), tmp_path / 'elsewhere')
    start('plexus_bridge.gateway.serve', '--port', gateway.url.rpartition(':')[2],
          PLEXUS_HOME=str(tmp_path / 'elsewhere'))
    wait_until(gateway.is_up, 'the gateway answers')
    return gateway


@pytest.fixture
def proxy(certificate: tuple[Path, Path], elsewhere: GatewayClient) -> Iterator[TlsProxy]:
    proxy = TlsProxy(*certificate, int(elsewhere.url.rpartition(':')[2]))
    yield proxy
    proxy.close()


def test_the_same_map_goes_to_another_gateway_by_address_and_key_alone(
        proxy: TlsProxy, elsewhere: GatewayClient, certificate: tuple[Path, Path],
        start: Callable[..., Any], wait_until: Callable[..., None], tmp_path: Path):
    made = subprocess.run(
        [sys.executable, '-m', 'plexus_bridge.cli', 'gateway', 'keys', 'create',
         '--scope', 'write', '--data', tmp_path / 'elsewhere' / 'gateway'],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    # A running gateway looks for new keys every other second.
    wait_until(lambda: requests.post(
        f'{elsewhere.url}/ingest', json={'points': []}, timeout=20,
        headers={'x-api-key': key}).status_code == 200, 'the key is taken')
    robot_map = tmp_path / 'robot.yaml'
    robot_map.write_text(MAP)
    start('plexus_bridge.nodes.simulated_robot')
    bridge = start(
        'plexus_bridge.nodes.bridge', '--ros-args', '-p', f'config_file:={robot_map}',
        '-p', f'gateway_url:=https://localhost:{proxy.port}',
        PLEXUS_API_KEY=key, SSL_CERT_FILE=str(certificate[0]),
        REQUESTS_CA_BUNDLE=str(certificate[0]))
    wait_until(lambda: elsewhere.knows('robot-1') and 'imu.up' in elsewhere.latest('robot-1'),
               'the robot has sent')
    assert elsewhere.get('/v1/sources/robot-1')['online']
    assert proxy.accepted >= 1
    assert key not in bridge.output

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A gateway in this process for its HTTP side, and real gateway processes for everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import requests
import websocket

from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.serve import bound_socket
from plexus_bridge.gateway.serve import open_folder
from plexus_bridge.gateway.server import GatewayServer
from plexus_bridge.gateway.server import server_config
from plexus_bridge.gateway.storage.schema import open_writer

ROOT = Path(__file__).parents[2]
SECONDS = 20.0


class Client:
    """HTTP to a gateway with its key on every request; a redirect would be seen as such."""

    def __init__(self, port: int, key: str):
        self.port = port
        self.key = key
        self.url = f'http://127.0.0.1:{port}'
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy of this machine
        self._session.headers['x-api-key'] = key

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(
            method, self.url + path, timeout=SECONDS, allow_redirects=False, **options)

    def post(self, path: str, body: object, **headers: str) -> requests.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request('POST', path, data=data, headers=headers)

    def get(self, path: str, **parameters: object) -> Any:
        answer = self.request('GET', path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def samples(self, source: str, metric: str) -> list[tuple[int, float]]:
        """Every stored sample of a metric, past the cap on one answer."""
        found: list[tuple[int, float]] = []
        start = 1
        while True:
            body = self.get(f'/v1/sources/{source}/metrics/query', metrics=metric, interval='raw',
                            start=start, end=9 * 10**15)
            columns = body['series'].get(metric, {'timestamp_ms': [], 'value': []})
            found += zip(columns['timestamp_ms'], columns['value'], strict=True)
            if not body['truncated']:
                return found
            start = found[-1][0] + 1

    def stranger(self, path: str = '/ws/device') -> Device:
        """Return a socket that has said nothing yet."""
        return Device(self.port, path)

    def stream(self, path: str, *, auth: object = None) -> Device:
        """Return an open live stream, which has sent its key or what `auth` says."""
        stream = Device(self.port, path)
        stream.send({'type': 'auth', 'api_key': self.key} if auth is None else auth)
        return stream

    def device(self, source_id: str = 'kiln-7', **hello: object) -> Device:
        """Return an open device socket that was let in."""
        device = self.stranger()
        device.send({'type': 'device_auth', 'api_key': self.key, 'source_id': source_id,
                     'acks': True, 'hears_goodbye': True, **hello})
        device.authenticated = device.receive()
        assert device.authenticated['type'] == 'authenticated', device.authenticated
        return device

    def close(self) -> None:
        self._session.close()


class GatewayProcess:
    """`python -m plexus_bridge.gateway.serve` on a free port; may be started again."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        self.folder = folder
        self.port = 0
        self._environment = environment
        self.log = folder.with_name(f'{folder.name}.log')
        self.process: subprocess.Popen[bytes]

    def start(self, *options: str) -> GatewayProcess:
        with self.log.open('wb') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-W', 'error', '-m', 'plexus_bridge.gateway.serve', '--data',
                 self.folder, '--port', str(self.port), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=self._environment, cwd=self.folder.parent)
        wait_for(lambda: 'Ctrl+C' in self.output or self.process.poll() is not None,
                 'the gateway has started or given up')
        found = re.search(r'http://127\.0\.0\.1:(\d+)', self.output)
        if found:
            self.port = int(found[1])
        return self

    @property
    def output(self) -> str:
        return self.log.read_text(errors='replace')

    def client(self) -> Client:
        return Client(self.port, (self.folder / 'key').read_text().strip())

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


class Device:
    """A socket of websocket-client, as the official SDK opens it."""

    def __init__(self, port: int, path: str = '/ws/device'):
        self.socket = websocket.create_connection(
            f'ws://127.0.0.1:{port}{path}', timeout=SECONDS)
        self.authenticated: dict[str, Any] = {}

    def send(self, body: object) -> None:
        self.socket.send(body if isinstance(body, str) else json.dumps(body))

    def telemetry(self, seq: int | None, *points: tuple[str, Any, int]) -> None:
        self.send({'type': 'telemetry', 'seq': seq, 'points': [
            {'metric': metric, 'value': value, 'timestamp': stamp}
            for metric, value, stamp in points]})

    def receive(self) -> dict[str, Any]:
        """Return the next message; a close frame is `{'close': code}`, the bare end None."""
        opcode, data = self.socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return {'close': int.from_bytes(data[:2], 'big')}
        message: dict[str, Any] = json.loads(data)
        return message

    def ends(self) -> bool:
        """Tell that the connection ends without a close frame."""
        try:
            self.receive()
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            return True
        return False

    def close(self) -> None:
        """End the TCP connection; unlike websocket-client's close, whatever came before."""
        self.socket.shutdown()


class ThreadServer(GatewayServer):
    """The server on a thread of the tests, where nobody can catch signals."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something on the server's loop."""
        asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(SECONDS)


@pytest.fixture(scope='session')
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ThreadServer, int]]:
    """One server and its port for all tests; each has it serve a gateway of its own."""
    with bound_socket('127.0.0.1', 0) as listener:
        ready = threading.Event()
        gateway = open_gateway(tmp_path_factory.mktemp('idle'))
        server = ThreadServer(server_config(gateway), gateway, ready.set)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        assert ready.wait(SECONDS), 'the server did not start'
        yield server, listener.getsockname()[1]
        server.loop.call_soon_threadsafe(server.stop)
        thread.join(SECONDS)
        assert not thread.is_alive(), 'the server did not stop'


def open_gateway(folder: Path) -> Gateway:
    _, keys, store = open_folder(folder)
    return Gateway(store, keys)


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return open_gateway(tmp_path)


@pytest.fixture
def client(
        gateway: Gateway, server: tuple[ThreadServer, int], tmp_path: Path) -> Iterator[Client]:
    """A client of `gateway`, which is served on a thread of this process."""

    async def enter() -> None:
        gateway.start()
        state.gateway = gateway

    async def leave() -> None:
        await gateway.say_goodbye('the test is over')
        await gateway.close()

    running, port = server
    state = running.config.app.state
    running.call(enter())
    client = Client(port, (tmp_path / 'key').read_text().strip())
    yield client
    client.close()
    running.call(leave())


@pytest.fixture
def device(client: Client) -> Iterator[Callable[..., Device]]:
    """Open device sockets; closed at the end of the test."""
    opened: list[Device] = []

    def open_device(*arguments: Any, **hello: object) -> Device:
        opened.append(client.device(*arguments, **hello))
        return opened[-1]

    yield open_device
    for each in opened:
        each.close()


@pytest.fixture
def stream(client: Client) -> Iterator[Callable[..., Device]]:
    """Open live streams; closed at the end of the test."""
    opened: list[Device] = []

    def open_stream(path: str, **options: object) -> Device:
        opened.append(client.stream(path, **options))
        return opened[-1]

    yield open_stream
    for each in opened:
        each.close()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Callable[..., GatewayProcess]]:
    """Make gateways with folders of their own; whatever still runs at the end is killed."""
    made: list[GatewayProcess] = []
    environment = {
        **os.environ, 'HOME': str(tmp_path), 'PLEXUS_HOME': str(tmp_path / 'plexus'),
        'PYTHONUNBUFFERED': '1',
        'PYTHONPATH': os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))}

    def make(name: str = 'data') -> GatewayProcess:
        made.append(GatewayProcess(tmp_path / name, environment))
        return made[-1]

    yield make
    for gateway in made:
        if gateway.process.poll() is None:
            gateway.process.kill()
            gateway.process.wait()


@pytest.fixture
def running(processes: Callable[..., GatewayProcess]) -> GatewayProcess:
    """A gateway process that serves."""
    gateway = processes().start()
    assert gateway.process.poll() is None, gateway.output
    return gateway


def wait_for(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f'after {seconds} s still not so: {what}')
        time.sleep(0.005)


@pytest.fixture(name='wait_for')
def waiting() -> Callable[..., None]:
    """Wait for a condition, never for a time."""
    return wait_for


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The writing connection of an empty database."""
    connection = open_writer(tmp_path / 'gateway.db')
    yield connection
    connection.close()

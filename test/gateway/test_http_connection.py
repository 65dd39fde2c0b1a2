# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Clients that hold connections: byte by byte, or a thousand at once and in silence."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import resource
import socket
import time
from typing import Any

import pytest
import websocket

IDLE_SOCKETS = 1_000


@pytest.fixture
def connection(client: Any) -> Iterator[socket.socket]:
    with socket.create_connection(('127.0.0.1', client.port), timeout=20) as found:
        yield found


def test_headers_that_never_end_are_not_waited_for(
        client: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('plexus_bridge.gateway.http_connection.HEADERS_TIMEOUT_S', 0.3)
    with socket.create_connection(('127.0.0.1', client.port), timeout=0.02) as slow:
        begin = time.monotonic()
        slow.sendall(b'GET / HTTP/1.1\r\n')
        ended = False
        while not ended and time.monotonic() < begin + 10:
            try:
                ended = slow.recv(1) == b''
            except TimeoutError:
                slow.sendall(b'x: y\r\n')
            except ConnectionError:
                ended = True
        assert 0.2 < time.monotonic() - begin < 5, 'each byte must not buy time'


def test_the_second_request_of_a_connection_is_not_waited_for_either(
        client: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('plexus_bridge.gateway.http_connection.HEADERS_TIMEOUT_S', 0.3)
    with socket.create_connection(('127.0.0.1', client.port), timeout=20) as slow:
        slow.sendall(b'GET /health HTTP/1.1\r\nHost: x\r\n\r\n')
        answer = b''
        while not answer.endswith(b'}'):
            answer += slow.recv(4096)
        assert answer.startswith(b'HTTP/1.1 200')
        slow.sendall(b'GET /health HTTP/1.1\r\nHos')
        assert slow.recv(4096) == b''


def test_a_body_that_never_ends_is_answered(
        connection: socket.socket, client: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('plexus_bridge.gateway.fields.BODY_TIMEOUT_S', 0.2)
    connection.sendall(
        b'POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nx-api-key: '
        + client.key.encode() + b'\r\n\r\n{"points":')
    answer = connection.recv(65_536)
    assert answer.startswith(b'HTTP/1.1 408')


def test_a_body_that_no_route_reads_is_cut_off(
        client: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('plexus_bridge.gateway.http_connection.BODY_TIMEOUT_S', 0.2)
    with socket.create_connection(('127.0.0.1', client.port), timeout=20) as slow:
        slow.sendall(b'POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n'
                     b'x-api-key: ' + client.key.encode() + b'\r\n\r\n{')
        while slow.recv(65_536):
            pass


def test_a_socket_stays_open_for_longer_than_a_body_may_take(
        device: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    for timeout in ('HEADERS_TIMEOUT_S', 'BODY_TIMEOUT_S'):
        monkeypatch.setattr(f'plexus_bridge.gateway.http_connection.{timeout}', 0.2)
    kiln = device('kiln-7')
    begin = time.monotonic()
    seq = 0
    while time.monotonic() < begin + 0.6:  # three times as long
        seq += 1
        kiln.telemetry(seq, ('t', seq, 1_790_000_000_000 + seq))
        assert kiln.receive() == {'type': 'telemetry_ack', 'seq': seq}


def test_a_slow_client_holds_nobody_up(connection: socket.socket, client: Any):
    connection.sendall(b'POST /ingest HTTP/1.1\r\n')
    assert client.post('/ingest', {'source_id': 'kiln-7', 'points': [
        {'metric': 't', 'value': 1}]}).status_code == 200


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow this process both ends of all the sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3 * IDLE_SOCKETS:
        pytest.skip(f'this process may open {hard} files only, {3 * IDLE_SOCKETS} are needed')
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_sockets_that_say_nothing_hold_nobody_up(
        many_files: None, client: Any, device: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('plexus_bridge.protocol.gateway.AUTH_TIMEOUT_S', 3.0)
    idle = [client.stranger() for _ in range(IDLE_SOCKETS)]
    kiln = device('kiln-7')
    for seq in range(1, 11):
        kiln.telemetry(seq, ('t', seq, 1_790_000_000_000 + seq))
        assert kiln.receive() == {'type': 'telemetry_ack', 'seq': seq}
    assert client.request('GET', '/health').json()['devices'] == 1
    for socket_ in idle:
        assert 'device_auth' in socket_.receive()['detail']
        assert socket_.receive() == {'close': 1008}
        socket_.close()
    with contextlib.closing(websocket.create_connection(
            f'ws://127.0.0.1:{client.port}/ws/device', timeout=20)) as late:
        assert late.connected

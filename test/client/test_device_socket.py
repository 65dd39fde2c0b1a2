# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The device socket against peers that are no gateways, or do not behave like one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import hashlib
import socket
import threading
import time

import pytest

from plexus_bridge.client import device_socket
from plexus_bridge.client.device_socket import DeviceSocket
from plexus_bridge.client.device_socket import wait
from plexus_bridge.errors import LinkError
from plexus_bridge.errors import NotAuthorised
from plexus_bridge.protocol.messages import Text

Peer = Callable[[socket.socket], None]


@pytest.fixture
def peer() -> Iterator[Callable[[Peer], int]]:
    """Return a function that has `act` do with each connection as it likes; it gives the port."""
    listeners = []
    threads = []

    def start(act: Peer) -> int:
        listener = socket.create_server(('127.0.0.1', 0))
        listeners.append(listener)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    with connection, contextlib.suppress(OSError):
                        act(connection)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        port: int = listener.getsockname()[1]
        return port

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join()


def upgrade(connection: socket.socket) -> None:
    """Answer a request for a socket as a gateway does."""
    request = connection.recv(4000)
    key = next(line.split(b': ')[1] for line in request.split(b'\r\n')
               if line.lower().startswith(b'sec-websocket-key'))
    digest = hashlib.sha1(key + b'258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest()
    connection.sendall(
        b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
        b'Sec-WebSocket-Accept: ' + base64.b64encode(digest) + b'\r\n\r\n')


def answering(answer: bytes) -> Peer:
    def act(connection: socket.socket) -> None:
        connection.recv(4000)
        connection.sendall(answer)
    return act


@pytest.mark.parametrize('status', ['301 Moved', '302 Found', '303 See Other', '307 X', '308 X'])
def test_a_redirect_is_not_followed(peer, status):
    reached = []
    other = peer(lambda connection: (reached.append(1), upgrade(connection)))
    port = peer(answering(
        f'HTTP/1.1 {status}\r\nLocation: ws://127.0.0.1:{other}/x\r\n\r\n'.encode()))
    with pytest.raises(LinkError, match=r'a redirect to .*set it as the gateway url'):
        DeviceSocket(f'ws://127.0.0.1:{port}/ws/device')
    assert reached == []


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost', '127.0.0.2'])
def test_a_gateway_on_this_machine_is_reached_without_the_environments_proxy(
        peer, monkeypatch, host):
    seen = []
    proxy = peer(lambda connection: seen.append(connection.recv(4000)))
    for name in ('http_proxy', 'HTTP_PROXY'):
        monkeypatch.setenv(name, f'http://127.0.0.1:{proxy}')
    for name in ('no_proxy', 'NO_PROXY'):
        monkeypatch.setenv(name, 'intranet.example.com')
    with socket.create_server(('127.0.0.1', 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(LinkError, match='nobody listens there'):
        DeviceSocket(f'ws://{host}:{port}/ws/device')
    assert seen == []


@pytest.mark.parametrize('answer', [
    b'SSH-2.0-OpenSSH_9.6\r\n\r\n', b'\r\n\r\n', b'HTTP/1.1 101 x\r\nbroken header\r\n\r\n',
    b'\xff\xfe\x00\x01\r\n\r\n', b'HTTP/1.1 302 F\r\n\r\n', b'HTTP/1.1 abc\r\n\r\n',
    b'HTTP/1.1 101 x\r\nset-cookie: \xc3\xa4;;=\r\n\r\n', b''])
def test_whatever_answers_the_failure_is_a_link_error(peer, answer):
    with pytest.raises(LinkError, match=r'ws://127\.0\.0\.1'):
        DeviceSocket(f'ws://127.0.0.1:{peer(answering(answer))}/ws/device')


@pytest.mark.parametrize('error', [IndexError('x'), TypeError('x'), KeyError('location')])
def test_old_websocket_clients_errors_are_link_errors(peer, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(device_socket.websocket.WebSocket, 'connect', fail)
    with pytest.raises(LinkError, match=f'no Plexus gateway .{type(error).__name__}'):
        DeviceSocket('ws://127.0.0.1:1/ws/device')


@pytest.mark.parametrize('status', [401, 403])
def test_a_refusal_of_the_upgrade_is_one_of_the_key(peer, status):
    port = peer(answering(f'HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n'.encode()))
    with pytest.raises(NotAuthorised, match=f'refuses the key with HTTP status {status}'):
        DeviceSocket(f'ws://127.0.0.1:{port}/ws/device')


def test_503_says_not_ready(peer):
    port = peer(answering(b'HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'))
    with pytest.raises(LinkError, match='not ready') as caught:
        DeviceSocket(f'ws://127.0.0.1:{port}/ws/device')
    assert not isinstance(caught.value, NotAuthorised)


def test_the_whole_handshake_has_a_deadline(peer):
    def drip(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 101 x\r\n')
        for _ in range(100):
            connection.sendall(b'x: y\r\n')
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(LinkError, match=r'no whole answer within 0\.3 s'):
        DeviceSocket(f'ws://127.0.0.1:{peer(drip)}/ws/device', timeout_s=0.3)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize('flood', [
    b'\x81\x02{}' * 5000, b'\x89\x01x' * 5000, b'\x00\x00' * 5000, b'\x8a\x00' * 5000])
def test_a_peer_that_never_stops_does_not_keep_read_from_returning(peer, flood):
    def act(connection: socket.socket) -> None:
        upgrade(connection)
        while True:
            connection.sendall(flood)

    port = peer(act)
    connection = DeviceSocket(f'ws://127.0.0.1:{port}/ws/device')
    calls = threading.Event()

    def read() -> None:
        for _ in range(200):
            assert len(connection.read()) <= device_socket.MAX_READ_FRAMES
            assert connection.unsent_bytes < 100_000
        calls.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    returned = calls.wait(10)
    connection.close()
    reader.join(1)
    assert returned


def test_a_message_that_never_ends_is_refused_while_it_still_comes(peer):
    def act(connection: socket.socket) -> None:
        upgrade(connection)
        connection.sendall(b'\x81\x7f' + (1 << 40).to_bytes(8, 'big'))
        while True:
            connection.sendall(b'x' * 65536)

    connection = DeviceSocket(f'ws://127.0.0.1:{peer(act)}/ws/device')
    waker, other = socket.socketpair()

    def read_on() -> None:
        while wait(connection, waker, 5.0)[0]:
            connection.read()

    with waker, other, pytest.raises(LinkError, match='began a message of 1099511627776 bytes'):
        read_on()
    connection.close()


def test_what_read_has_left_is_read_next_without_a_new_arrival(peer):
    done = threading.Event()
    count = device_socket.MAX_READ_FRAMES * 3

    def act(connection: socket.socket) -> None:
        upgrade(connection)
        connection.sendall(b'\x81\x02{}' * count)
        done.wait(10)

    connection = DeviceSocket(f'ws://127.0.0.1:{peer(act)}/ws/device')
    waker, other = socket.socketpair()
    got: list = []
    with waker, other:
        while len(got) < count:
            readable, *_ = wait(connection, waker, 5.0)
            assert readable
            got += connection.read()
    done.set()
    connection.close()
    assert got == [Text(b'{}')] * count

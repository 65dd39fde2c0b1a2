# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Encrypted connections are verified, by the certificates that the environment names."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
from pathlib import Path
import queue
import socket
import ssl
import subprocess
import threading

import pytest
from scripted_gateway import ScriptedIngest

from plexus_bridge.client.device_socket import DeviceSocket
from plexus_bridge.client.ingest import HttpIngest
from plexus_bridge.client.ingest import Outcome
from plexus_bridge.client.ingest import Result
from plexus_bridge.client.tls import CA_VARIABLES
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.errors import LinkError

HOST = 'gateway.test'
FRAME = Frame(1, Lane.STATE, 1, 0, b'{"class":"metric","metric":"m","value":1,"timestamp":5}')


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in (*CA_VARIABLES, 'http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY',
                 'all_proxy', 'ALL_PROXY', 'no_proxy', 'NO_PROXY'):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def certificate(tmp_path) -> Path:
    """A key and a certificate for HOST that nobody has signed but itself."""
    file = tmp_path / 'gateway.pem'
    subprocess.run(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
         '-nodes', '-keyout', tmp_path / 'key.pem', '-out', file, '-days', '2', '-subj',
         f'/CN={HOST}', '-addext', f'subjectAltName=DNS:{HOST}'],
        check=True, capture_output=True)
    return file


@pytest.fixture
def gateway(certificate, monkeypatch) -> Iterator[ScriptedIngest]:
    """A gateway behind TLS, under a name that leads to this machine."""
    resolve = socket.getaddrinfo

    def resolve_here(host: str, *rest: object, **named: object):
        return resolve('127.0.0.1' if host == HOST else host, *rest, **named)

    monkeypatch.setattr(socket, 'getaddrinfo', resolve_here)
    scripted = ScriptedIngest(
        lambda body: (200, {'success': True, 'count': len(body['points'])}, {}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name('key.pem'))
    server = scripted._server
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # a client that does not trust us hangs up
    with scripted:
        yield scripted


def post(url: str) -> Outcome:
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    ingest = HttpIngest(url, 'plx_key', 'kiln-7', 'test/0', outcomes.put, Counters())
    ingest.send(FRAME)
    outcome = outcomes.get(timeout=10)
    ingest.close(1)
    return outcome


def test_a_certificate_that_nobody_vouches_for_is_refused_on_both_roads(gateway):
    url = f'https://{HOST}:{gateway.port}'
    outcome = post(url)
    assert outcome.result is Result.RETRY
    assert 'no trusted connection' in outcome.detail
    with pytest.raises(LinkError, match='its certificate cannot be trusted'):
        DeviceSocket(f'wss://{HOST}:{gateway.port}/ws/device')
    assert gateway.bodies == []
    assert gateway.upgrades == 0


@pytest.mark.parametrize('variable', CA_VARIABLES)
def test_a_certificate_that_the_environment_names_is_trusted_on_both_roads(
        gateway, certificate, monkeypatch, variable):
    monkeypatch.setenv(variable, str(certificate))
    assert post(f'https://{HOST}:{gateway.port}').result is Result.STORED
    with pytest.raises(LinkError, match='HTTP status 503'):
        DeviceSocket(f'wss://{HOST}:{gateway.port}/ws/device')
    assert gateway.upgrades == 1


def test_a_certificate_for_another_name_is_refused_though_it_is_trusted(
        gateway, certificate, monkeypatch):
    monkeypatch.setenv('SSL_CERT_FILE', str(certificate))
    assert post(f'https://127.0.0.1:{gateway.port}').result is Result.RETRY
    with pytest.raises(LinkError, match='its certificate cannot be trusted'):
        DeviceSocket(f'wss://127.0.0.1:{gateway.port}/ws/device')


class ConnectProxy:
    """A proxy that opens tunnels (CONNECT) to one port, and notes whereto it was asked."""

    def __init__(self, port: int):
        self._target = port
        self.asked: list[str] = []
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self._listener.getsockname()[1]}'
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            self.asked.append(client.recv(4096).decode().splitlines()[0])
            with socket.create_connection(('127.0.0.1', self._target)) as server:
                client.sendall(b'HTTP/1.1 200 OK\r\n\r\n')
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join(5)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_both_roads_go_through_the_environments_proxy_and_are_verified_to_their_end(
        gateway, certificate, monkeypatch):
    proxy = ConnectProxy(gateway.port)
    monkeypatch.setenv('https_proxy', proxy.url)
    monkeypatch.setenv('SSL_CERT_FILE', str(certificate))
    try:
        assert post(f'https://{HOST}').result is Result.STORED
        with pytest.raises(LinkError, match='HTTP status 503'):
            DeviceSocket(f'wss://{HOST}/ws/device')
        monkeypatch.delenv('SSL_CERT_FILE')
        assert post(f'https://{HOST}').result is Result.RETRY
    finally:
        proxy.close()
    assert len(gateway.bodies) == 1
    assert json.dumps(gateway.bodies).count('"metric"') == 2
    assert {line.split()[1] for line in proxy.asked} == {f'{HOST}:443'}
    assert len(proxy.asked) == 3

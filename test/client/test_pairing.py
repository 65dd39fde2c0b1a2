# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge pair` against scripted answers; the real gateway is in test/road."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
import json
from pathlib import Path
import threading
from typing import Any

import pytest

from plexus_bridge.client import pairing
from plexus_bridge.errors import LinkError


class Gateway(ThreadingHTTPServer):
    """Answers one after the other from a list, the last one for ever; keeps what was asked."""

    def __init__(self, *answers: tuple[int, object]):
        super().__init__(('127.0.0.1', 0), Handler)
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []
        self.url = f'http://127.0.0.1:{self.server_port}'


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        length = int(self.headers.get('Content-Length') or 0)
        body = json.loads(self.rfile.read(length) or b'null')
        self.server.asked.append((self.command, self.path, body))
        answers = self.server.answers
        status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(data)))
        self.send_header('Location', 'http://127.0.0.1:9/elsewhere')
        if status == 429:
            self.send_header('Retry-After', '42')
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST  # noqa: N815 - http.server's name

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Callable[..., Gateway]]:
    opened: list[tuple[Gateway, threading.Thread]] = []

    def open_gateway(*answers: tuple[int, object]) -> Gateway:
        server = Gateway(*answers)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        opened.append((server, thread))
        return server

    yield open_gateway
    for server, thread in opened:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv('PLEXUS_HOME', str(tmp_path / 'plexus'))
    monkeypatch.delenv('PLEXUS_GATEWAY_URL', raising=False)
    return tmp_path / 'plexus'


def pair(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    pairing.add_arguments(parser)
    return pairing.run(parser.parse_args(argv))


def test_a_code_becomes_a_config_that_only_its_owner_reads(
        gateway: Callable[..., Gateway], folder: Path, capsys: pytest.CaptureFixture[str]):
    folder.mkdir(mode=0o755)
    (folder / 'config.json').write_text('{"sensors": ["imu"], "source_id": "old"}')
    (folder / 'config.json').chmod(0o644)
    server = gateway((200, {'api_key': 'plx_new', 'source_id': 'arm-1', 'source_name': 'Arm',
                            'org_id': 'local', 'endpoint': 'http://evil'}))
    assert pair('--code', ' abc123 ', '--gateway', server.url + '/') == 0
    assert server.asked == [('POST', '/api/sources/pair/complete',
                             {'code': 'abc123', 'credential': 'api_key'})]
    assert json.loads((folder / 'config.json').read_text()) == {
        'sensors': ['imu'], 'source_id': 'arm-1', 'api_key': 'plx_new', 'source_name': 'Arm',
        'org_id': 'local', 'gateway_url': server.url, 'endpoint': server.url,
        'gateway_ws_url': server.url.replace('http', 'ws')}
    assert (folder / 'config.json').stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ['config.json']
    out = capsys.readouterr().out
    assert 'as arm-1' in out
    assert 'plx_new' not in out
    assert 'WARNING' not in out


def test_a_key_that_is_there_is_kept_without_force(
        gateway: Callable[..., Gateway], folder: Path, capsys: pytest.CaptureFixture[str]):
    folder.mkdir()
    (folder / 'config.json').write_text('{"api_key": "plx_cloud", "device_token": "plxd_old"}')
    server = gateway((200, {'api_key': 'plx_new'}))
    assert pair('--code', 'A', '--gateway', server.url) == 78
    assert server.asked == [], 'the code is not used up'
    assert '--force' in capsys.readouterr().err
    assert pair('--code', 'A', '--gateway', server.url, '--force') == 0
    config = json.loads((folder / 'config.json').read_text())
    assert config['api_key'] == 'plx_new'
    assert 'device_token' not in config


@pytest.mark.parametrize(('status', 'body', 'text'), [
    (404, {'error': 'NOT_FOUND'}, "knows no code 'XYZ'"),
    (410, {'error': 'X', 'message': 'this pairing code was used'}, 'code was used'),
    (429, {'error': 'RATE_LIMITED', 'message': 'too many tries'}, 'try again in 42 s'),
    (302, {}, 'saw status 302'), (500, b'<html>', 'saw status 500'),
    (200, b'<html>', 'saw status 200'), (200, [], 'saw status 200'),
    (200, {}, 'without a key'), (200, {'api_key': 7}, 'without a key'),
    (200, {'api_key': 'a\r\nb'}, 'without a key'),
    (200, {'api_key': 'plx_x', 'source_id': '../etc'}, 'a name that is none')])
def test_what_a_gateway_may_answer_instead(
        gateway: Callable[..., Gateway], folder: Path, status: int, body: object, text: str,
        capsys: pytest.CaptureFixture[str]):
    assert pair('--code', 'XYZ', '--gateway', gateway((status, body)).url) == 1
    error = capsys.readouterr().err
    assert error.startswith('plexus-bridge pair: ')
    assert text in error
    assert not (folder / 'config.json').exists()


def test_a_gateway_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert pair('--code', 'A', '--gateway', 'http://127.0.0.1:9') == 1
    assert 'cannot be reached' in capsys.readouterr().err
    assert pair('--code', 'A', '--gateway', 'ftp://x') == 78


def test_a_code_is_shown_until_somebody_approves_it(gateway: Callable[..., Gateway]):
    server = gateway(
        (200, {'device_code': 'd', 'user_code': 'AB-CD', 'interval': 2, 'expires_in': 60,
               'verification_uri_complete': 'http://gw/device?user_code=AB-CD'}),
        (202, {}), (429, {}), (200, {'api_key': 'plx_new'}))
    said: list[str] = []
    slept: list[float] = []
    assert pairing.by_approval(server.url, 'arm', said.append, slept.append) == {
        'api_key': 'plx_new'}
    assert slept == [2.0, 2.0, 2.0]
    assert server.asked[0] == ('POST', '/api/auth/device', {'name': 'arm'})
    assert server.asked[1][:2] == ('GET', '/api/auth/device?device_code=d')
    assert 'AB-CD' in said[0]
    assert 'http://gw/device?user_code=AB-CD' in said[1]


@pytest.mark.parametrize(('begun', 'polled', 'text'), [
    ({'device_code': 'd', 'user_code': 'u'}, (403, {}), 'turned this machine away'),
    ({'device_code': 'd', 'user_code': 'u', 'expires_in': 10}, (202, {}), 'nobody approved'),
    ({'device_code': 'd', 'user_code': 'u'}, (400, {'error': 'expired_token'}), 'expired_token'),
    ({'user_code': 'u'}, (202, {}), 'without what pairing needs'),
    ({'device_code': 'd', 'user_code': 'u', 'interval': 'x'}, (202, {}), 'without what'),
    ({'device_code': 'd', 'user_code': 'u', 'expires_in': []}, (202, {}), 'without what')])
def test_nobody_approves(
        gateway: Callable[..., Gateway], begun: object, polled: tuple[int, object], text: str):
    server = gateway((200, begun), polled)
    with pytest.raises(LinkError, match=text):
        pairing.by_approval(server.url, '', lambda _: None, lambda _: None)

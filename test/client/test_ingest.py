# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a request carries and where it goes; what follows from each answer."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import queue
import socket
import threading

import pytest
from scripted_gateway import ScriptedIngest

from plexus_bridge.client.ingest import HttpIngest
from plexus_bridge.client.ingest import MAX_ANSWER_BYTES
from plexus_bridge.client.ingest import MAX_RETRY_AFTER_S
from plexus_bridge.client.ingest import MIN_RETRY_AFTER_S
from plexus_bridge.client.ingest import Outcome
from plexus_bridge.client.ingest import Result
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane

FRAME = Frame(1, Lane.STATE, 1, 0, b'{"class":"metric","metric":"m","value":1,"timestamp":5}')


@pytest.fixture
def post() -> Callable[[str], Outcome]:
    def one(url: str) -> Outcome:
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        ingest = HttpIngest(url, 'plx_key', 'kiln-7', 'test/0', outcomes.put, Counters())
        ingest.send(FRAME)
        outcome = outcomes.get(timeout=10)
        ingest.close(1)
        return outcome
    return one


@pytest.fixture
def proxy(monkeypatch) -> Iterator[list[bytes]]:
    """Have the environment name a proxy, and return what it hears."""
    heard: list[bytes] = []
    listener = socket.create_server(('127.0.0.1', 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as connection:
                    heard.append(connection.recv(4000))

    thread = threading.Thread(target=serve)
    thread.start()
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.setenv(name, f'http://127.0.0.1:{listener.getsockname()[1]}')
    for name in ('no_proxy', 'NO_PROXY'):
        monkeypatch.delenv(name, raising=False)
    yield heard
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def good(body: dict) -> tuple:
    return 200, {'success': True, 'count': len(body['points'])}, {}


def test_the_key_for_a_gateway_on_this_machine_is_not_given_to_a_proxy(post, proxy):
    with ScriptedIngest(good) as gateway:
        assert post(gateway.url).result is Result.STORED
    assert proxy == []


def test_a_gateway_elsewhere_is_reached_through_the_environments_proxy(post, proxy):
    post('http://gateway.invalid')
    assert proxy[0].startswith(b'POST http://gateway.invalid/ingest ')


def test_a_netrc_adds_nothing(post, tmp_path, monkeypatch):
    netrc = tmp_path / 'netrc'
    netrc.write_text('machine 127.0.0.1 login me password secret\n')
    netrc.chmod(0o600)
    monkeypatch.setenv('NETRC', str(netrc))
    with ScriptedIngest(good) as gateway:
        post(gateway.url)
        assert 'Authorization' not in gateway.headers[0]


@pytest.mark.parametrize(('value', 'expected'), [
    ('7', 7.0), ('0.001', MIN_RETRY_AFTER_S), ('-3', MIN_RETRY_AFTER_S),
    ('1e9', MAX_RETRY_AFTER_S), ('nan', None), ('inf', None), ('-inf', None),
    ('Wed, 21 Oct 2026 07:28:00 GMT', None), ('', None)])
def test_the_time_to_wait_is_bounded(post, value, expected):
    with ScriptedIngest(lambda body: (429, b'', {'Retry-After': value})) as gateway:
        outcome = post(gateway.url)
    assert (outcome.result, outcome.retry_after_s) == (Result.RETRY, expected)


@pytest.mark.parametrize(('status', 'result'), [
    (400, Result.CONTENT_REFUSED), (413, Result.CONTENT_REFUSED), (422, Result.CONTENT_REFUSED),
    (401, Result.NOT_AUTHORISED), (403, Result.NOT_AUTHORISED), (404, Result.POSTPONE),
    (405, Result.POSTPONE), (415, Result.POSTPONE), (410, Result.POSTPONE), (408, Result.RETRY),
    (429, Result.RETRY), (500, Result.RETRY), (503, Result.RETRY), (302, Result.RETRY)])
def test_what_follows_from_a_status(post, status, result):
    with ScriptedIngest(lambda body: (status, {'error': 'no'}, {})) as gateway:
        outcome = post(gateway.url)
    assert outcome.result is result
    assert f'saw status {status}' in outcome.detail


@pytest.mark.parametrize('status', [400, 422])
def test_a_web_server_that_is_no_gateway_costs_no_point(post, status):
    # As nginx answers whoever speaks HTTP to its port for HTTPS.
    page = b'<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>'
    with ScriptedIngest(lambda body: (status, page, {})) as gateway:
        outcome = post(gateway.url)
    assert outcome.result is Result.POSTPONE
    assert 'HTTPS port' in outcome.detail


@pytest.mark.parametrize('content', [
    b'{"success":true,"count":1e999}', b'{"count":' + b'9' * 5000 + b'}', b'[' * 100_000,
    b'{"count":1,"x":"' + b'x' * 5_000_000 + b'"}', b'\xff\xfe', b'{"count":"one"}'])
def test_strange_answers_are_no_success_and_cost_neither_memory_nor_the_road(post, content):
    with ScriptedIngest(lambda body: (200, content, {})) as gateway:
        assert post(gateway.url).result is Result.RETRY


def test_of_an_answer_that_never_ends_only_so_much_is_read(post):
    read: list[int] = []
    listener = socket.create_server(('127.0.0.1', 0))

    def serve() -> None:
        with listener.accept()[0] as connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n')
            while True:
                read.append(connection.send(b'x' * 65536))

    thread = threading.Thread(target=serve)
    thread.start()
    assert post(f'http://127.0.0.1:{listener.getsockname()[1]}').result is Result.RETRY
    thread.join(10)
    listener.close()
    assert not thread.is_alive()
    assert sum(read) < 100 * MAX_ANSWER_BYTES

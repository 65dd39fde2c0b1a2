# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys as the routes see them: over HTTP, over the device socket, and while they change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
import math
import threading
import time
from typing import Any

import pytest

from plexus_bridge.errors import AccessError
from plexus_bridge.gateway import gateway as gateway_module
from plexus_bridge.gateway.access.keys import create_key
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import KeyRing
from plexus_bridge.gateway.access.keys import revoke_key
from plexus_bridge.gateway.gateway import Gateway

NOW_MS = 1_790_000_000_000
POINTS = [{'metric': 'm', 'value': 1}]


@pytest.fixture
def make(gateway: Gateway) -> Callable[..., str]:
    """Make a key in the gateway that is not started yet."""

    def make_key(**wanted: Any) -> str:
        key = create_key(gateway.store._connection, KeyRequest(**wanted), NOW_MS)
        gateway.keys = KeyRing(gateway.store._connection)
        return key

    return make_key


@pytest.fixture
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, 'KEY_WATCH_INTERVAL_S', 0.01)


def test_a_send_only_key_does_not_read(make: Callable[..., str], client: Any):
    client._session.headers['x-api-key'] = make()
    assert client.post('/ingest', {'source_id': 'a', 'points': POINTS}).status_code == 200
    answer = client.request('GET', '/v1/sources')
    assert (answer.status_code, answer.json()) == (403, {'detail': 'API key lacks read scope'})


def test_a_key_for_one_device_sends_for_that_alone(make: Callable[..., str], client: Any):
    key = make(source_id='kiln-7')
    assert client.post('/ingest', {'source_id': 'kiln-7', 'points': POINTS},
                       **{'x-api-key': key}).status_code == 200
    mixed = client.post('/ingest', {'source_id': 'kiln-7', 'points': [
        *POINTS, {**POINTS[0], 'source_id': 'kiln-8'}]}, **{'x-api-key': key})
    assert (mixed.status_code, mixed.json()) == (
        403, {'error': 'API key is limited to another device'})
    assert client.get('/v1/sources/kiln-7/metrics') == ['m']
    assert client.request('GET', '/v1/sources/kiln-8').status_code == 404


def test_a_device_token_opens_the_socket_of_its_device(make: Callable[..., str], client: Any):
    token = make(source_id='kiln-7', prefix='plxd_')
    hello = {'type': 'device_auth', 'device_token': token, 'platform': 'Linux', 'sensors': []}
    for source_id, answer in (('kiln-7', 'authenticated'), ('kiln-8', 'error')):
        stranger = client.stranger()
        stranger.send({**hello, 'source_id': source_id})
        assert stranger.receive()['type'] == answer
        stranger.close()


def test_another_process_revokes_a_key(
        watchful: None, make: Callable[..., str], client: Any, gateway: Gateway,
        wait_for: Callable[..., None]):
    client.key = make()
    device = client.device('kiln-7')
    other = gateway.store._connection  # any connection will do
    revoke_key(other, 2, NOW_MS)
    assert device.ends(), 'the socket of a revoked key'
    again = client.stranger()
    again.send({'type': 'device_auth', 'api_key': client.key, 'source_id': 'kiln-7'})
    assert again.receive()['detail'] == 'Invalid API key'
    again.close()
    answer = client.post('/ingest', {'points': []}, **{'x-api-key': client.key})
    assert answer.status_code == 401
    added = create_key(other, KeyRequest(), NOW_MS)
    wait_for(lambda: client.post('/ingest', {'points': []}, **{'x-api-key': added}).ok,
             'a key that another process made is accepted')


class TestAKeyThatIsNotKnown:
    """Another process may have made it a moment ago: the database is asked, but not too often."""

    @pytest.fixture(autouse=True)
    def unwatched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gateway_module, 'KEY_WATCH_INTERVAL_S', 3600.0)

    def test_a_new_one_opens_a_socket_at_once(self, client: Any, gateway: Gateway):
        client.key = create_key(gateway.store._connection, KeyRequest(), NOW_MS)
        client.device('kiln-7').close()
        client.key = create_key(gateway.store._connection, KeyRequest(
            scopes=frozenset({'read'})), NOW_MS)
        viewer = client.stream('/v1/sources/kiln-7/video/stream')
        assert viewer.receive()['type'] == 'init'
        viewer.close()

    def test_a_new_one_is_taken_by_every_kind_of_route(self, client: Any, gateway: Gateway):
        for path in ('/v1/sources', '/api/runs', '/v1/sources/kiln-7/commands', '/api/keys'):
            key = create_key(gateway.store._connection, KeyRequest(
                scopes=frozenset({'*'})), NOW_MS)
            assert client.request('GET', path, headers={'x-api-key': key}).status_code == 200, path
        key = create_key(gateway.store._connection, KeyRequest(), NOW_MS)
        assert client.post('/ingest', {'points': []}, **{'x-api-key': key}).status_code == 200

    def test_long_queries_do_not_hold_it_up(self, client: Any, gateway: Gateway):
        over = threading.Event()

        async def read_long() -> None:
            await asyncio.gather(*(
                gateway.store.read(lambda connection: over.wait(20)) for _ in range(8)))

        reading = asyncio.run_coroutine_threadsafe(read_long(), gateway.store._loop)
        try:
            key = create_key(gateway.store._connection, KeyRequest(), NOW_MS)
            answer = client.post('/ingest', {'points': []}, **{'x-api-key': key})
        finally:
            over.set()
            reading.result(20)
        assert answer.status_code == 200

    def test_many_who_guess_share_few_looks(
            self, client: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch):
        looks: list[float] = []
        renew = gateway.renew_keys

        async def counted() -> None:
            looks.append(time.monotonic())
            await renew()

        monkeypatch.setattr(gateway, 'renew_keys', counted)

        async def guess() -> set[int]:
            answers = await asyncio.gather(*(
                gateway.admit(f'plx_{number:032}', 'write') for number in range(200)),
                return_exceptions=True)
            return {answer.status for answer in answers if isinstance(answer, AccessError)}

        future = asyncio.run_coroutine_threadsafe(guess(), gateway.store._loop)
        assert future.result(20) == {401}
        assert 1 <= len(looks) <= 2
        future = asyncio.run_coroutine_threadsafe(guess(), gateway.store._loop)
        future.result(20)
        assert all(later - earlier > 0.09 for earlier, later in pairwise(looks))

    def test_one_that_was_revoked_waits_as_long_as_a_wrong_one(
            self, client: Any, gateway: Gateway):
        revoked = create_key(gateway.store._connection, KeyRequest(), NOW_MS)
        client.post('/ingest', {'points': []}, **{'x-api-key': revoked})
        revoke_key(gateway.store._connection, 2, NOW_MS)
        client.key = client._session.headers['x-api-key']
        asyncio.run_coroutine_threadsafe(gateway.renew_keys(), gateway.store._loop).result(20)
        answers = set()
        for key in (revoked, 'plx_' + 'x' * 32):
            gateway.looked_at = -math.inf
            answer = client.post('/ingest', {'points': []}, **{'x-api-key': key})
            assert gateway.looked_at > 0, 'the database was asked'
            answers.add((answer.status_code, answer.text))
        assert len(answers) == 1

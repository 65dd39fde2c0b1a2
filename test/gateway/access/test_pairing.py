# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Pairing codes: made, used once, expired, guessed at."""

from __future__ import annotations

import concurrent.futures
import sqlite3
from typing import Any

import pytest

from plexus_bridge.errors import RequestError
from plexus_bridge.gateway.access import pairing
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import KeyRing
from plexus_bridge.gateway.access.pair_routes import slug_of

NOW_MS = 1_790_000_000_000


def complete(client: Any, code: object, **fields: Any) -> Any:
    return client.request('POST', '/api/sources/pair/complete', json={'code': code, **fields},
                          headers={'x-api-key': None})


def begin(client: Any, **wanted: Any) -> dict[str, Any]:
    answer = client.post('/api/sources/pair', wanted)
    assert answer.status_code == 201, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


def test_a_code_becomes_a_device_token(client: Any):
    begun = begin(client, name='Kiln', source_id='kiln-7')
    assert (begun['status'], begun['expires_in']) == ('pending', 600)
    done = complete(client, f' {begun["code"].lower()} ')
    assert done.status_code == 200
    told = done.json()
    token = told.pop('device_token')
    assert told == {'source_id': 'kiln-7', 'source_name': 'Kiln', 'org_id': 'local',
                    'endpoint': client.url}
    assert token.startswith('plxd_')
    body = {'source_id': 'kiln-7', 'points': [{'metric': 'm', 'value': 1}]}
    assert client.post('/ingest', body, **{'x-api-key': token}).status_code == 200
    other = client.post('/ingest', {**body, 'source_id': 'kiln-8'}, **{'x-api-key': token})
    assert other.status_code == 403
    assert client.get('/api/sources/pair', code=begun['code'])['status'] == 'paired'
    again = complete(client, begun['code'])
    assert (again.status_code, again.json()['message']) == (
        410, 'this pairing code was used; ask for a new one')


def test_a_code_becomes_a_key_where_that_is_asked_for(client: Any):
    told = complete(client, begin(client)['code'], credential='api_key').json()
    assert told['api_key'].startswith('plx_')
    assert 'device_token' not in told
    assert 'source_id' not in told


@pytest.mark.parametrize(('wanted', 'receives'), [
    ({}, True), ({'receive_commands': True}, True), ({'receive_commands': False}, False)])
def test_a_paired_device_may_be_commanded_unless_it_shall_not(
        client: Any, wanted: dict[str, Any], receives: bool):
    complete(client, begin(client, **wanted)['code'])
    assert client.get('/api/keys')['keys'][-1]['receive_commands'] is receives


def test_of_two_devices_with_one_code_one_gets_in(client: Any):
    code = begin(client)['code']
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(
            lambda _: complete(client, code).status_code, range(8)))
    assert sorted(statuses) == [200] + [410] * 7


def test_wrong_codes_are_taken_ten_times_a_minute(client: Any):
    wrong = ['', 7, None, 'x' * 41, 'ZZZZZZ', "' OR 1=1", '../..', '%', '\0', 'ÄÖÜ']
    assert {complete(client, code).status_code for code in wrong} == {400, 404}
    refused = complete(client, begin(client)['code'])
    assert (refused.status_code, refused.json()['error']) == (429, 'RATE_LIMITED')
    assert 1 <= int(refused.headers['Retry-After']) <= 60


def test_right_codes_are_not_counted(client: Any):
    assert {complete(client, begin(client)['code']).status_code for _ in range(12)} == {200}


def test_codes_that_are_not_there_are_told_to_who_may_ask(client: Any):
    answer = client.request('GET', '/api/sources/pair?code=ZZZZZZ')
    assert (answer.status_code, answer.json()['error']) == (404, 'NOT_FOUND')


def test_an_expired_code(database: sqlite3.Connection):
    begun = pairing.begin(database, KeyRequest('k'), NOW_MS)
    end_ms = NOW_MS + 1000 * pairing.VALID_S
    assert begun.status(end_ms - 1) == 'pending'
    with pytest.raises(RequestError, match='has expired') as refused:
        pairing.complete(database, begun.code, 'plx_', end_ms)
    assert refused.value.status == 410
    assert len(KeyRing(database)) == 0
    pairing.begin(database, KeyRequest('k'), end_ms + pairing.REMEMBERED_MS + 1)
    assert pairing.find(database, begun.code) is None, 'forgotten after a day'


def test_few_codes_may_wait(database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pairing, 'MAX_PENDING', 2)
    for _ in range(2):
        pairing.begin(database, KeyRequest(), NOW_MS)
    with pytest.raises(RequestError, match='2 codes wait'):
        pairing.begin(database, KeyRequest(), NOW_MS)


def test_what_the_key_was_to_allow_it_allows(database: sqlite3.Connection):
    wanted = KeyRequest('arm', frozenset({'read', 'write'}), True, 'arm-1', NOW_MS + 9)
    code = pairing.begin(database, wanted, NOW_MS).code
    key, _ = pairing.complete(database, code, 'plx_', NOW_MS)
    found = KeyRing(database).find(key, NOW_MS)
    assert found is not None
    assert (found.name, found.scopes, found.receive_commands, found.source_id,
            found.expires_ms) == ('arm', frozenset({'read', 'write'}), True, 'arm-1', NOW_MS + 9)


@pytest.mark.parametrize(('fields', 'slug'), [
    ({'name': 'Kiln No. 7!'}, 'kiln-no.-7'), ({'name': '???', 'hostname': 'pi-4'}, 'pi-4'),
    ({'hostname': 'RPI'}, 'rpi'), ({'name': '../../etc/passwd'}, 'etc-passwd')])
def test_a_device_registers_itself_with_a_key(client: Any, fields: dict[str, Any], slug: str):
    told = client.post('/api/sources/register', {**fields, 'platform': 'Linux'})
    assert told.status_code == 200
    body = told.json()
    assert (body['source_id'], body['existing']) == (slug, False)
    assert body['device_token'].startswith('plxd_')
    assert client.post('/api/sources/register', fields).json()['existing'] is True


def test_a_registered_token_may_do_no_more_than_its_key(client: Any):
    made = client.post('/api/keys', {'source_id': 'kiln-7', 'expires_in_s': 60}).json()['key']
    told = client.post('/api/sources/register', {'name': 'other'}, **{'x-api-key': made}).json()
    assert told['source_id'] == 'kiln-7'
    token = client.get('/api/keys')['keys'][-1]
    assert (token['scopes'], token['source_id'], token['expires_at'] is None) == (
        ['write'], 'kiln-7', False)
    unnamed = client.post('/api/sources/register', {})
    assert unnamed.json()['source_id'].startswith('source-')
    assert client.post('/api/sources/register', {'name': 7}).status_code == 400


def test_who_pretends_to_come_from_many_addresses_guesses_no_faster(client: Any):
    """A proxy on this machine is believed whom it speaks for, and so is who poses as one."""
    answers = []
    for number in range(120):
        pretended = {'X-Forwarded-For': f'198.51.100.{number}'}
        answer = client.post('/api/sources/pair/complete', {'code': 'ZZZZZZ'}, **pretended)
        answers.append(answer.status_code)
    assert answers == [404] * 100 + [429] * 20


def test_registered_tokens_go_with_the_key_that_they_come_from(client: Any):
    def register(key: str) -> str:
        told = client.post('/api/sources/register', {'name': 'arm'}, **{'x-api-key': key})
        token: str = told.json()['device_token']
        return token

    stolen, other = (client.post('/api/keys', {}).json() for _ in range(2))
    first = register(stolen['key'])
    tokens = (first, register(first))
    kept = register(other['key'])
    assert client.request('DELETE', f'/api/keys/{stolen["id"]}').status_code == 204
    for token in (stolen['key'], *tokens):
        assert client.post('/ingest', {'points': []}, **{'x-api-key': token}).status_code == 401
    assert client.post('/ingest', {'points': []}, **{'x-api-key': kept}).status_code == 200
    assert client.request('DELETE', f'/api/keys/{stolen["id"]}').status_code == 404


def test_a_token_can_always_send(client: Any):
    key = client.post('/api/keys', {'scopes': ['read', '*']}).json()['key']
    told = client.post('/api/sources/register', {'name': 'arm'}, **{'x-api-key': key}).json()
    answer = client.post('/ingest', {'points': []}, **{'x-api-key': told['device_token']})
    assert answer.status_code == 200


def test_names_become_slugs():
    assert slug_of('Ärm 1') == 'rm-1'
    assert slug_of('---') == ''
    assert len(slug_of('x' * 500)) == 63

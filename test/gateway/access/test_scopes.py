# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What each route asks of a key: all of them stand here, and one that is added must be, too."""

from __future__ import annotations

from typing import Any

import pytest

from plexus_bridge.gateway.access.keys import create_key
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.gateway import Gateway

NOW_MS = 1_790_000_000_000
SOURCE = '/v1/sources/{source_id}'
# Routes that give away nothing, or have secrets of their own: codes, and the key that is checked.
OPEN = {
    ('GET', '/health'), ('GET', '/api/config'), ('POST', '/api/auth/device'),
    ('GET', '/api/auth/device'), ('POST', '/api/auth/claim'),
    ('GET', '/api/auth/claim/{device_code}'), ('POST', '/api/sources/pair/complete'),
    ('POST', '/api/auth/verify-device')}
SCOPES = {
    '*': {('POST', '/api/keys'), ('GET', '/api/keys'), ('DELETE', '/api/keys/{number}'),
          ('POST', '/api/sources/pair'), ('GET', '/api/sources/pair'),
          ('PUT', '/api/auth/device')},
    'read': {
        ('GET', '/v1/gateway'), ('GET', '/v1/sources'), ('GET', SOURCE),
        ('GET', f'{SOURCE}/metrics'), ('GET', f'{SOURCE}/metrics/latest'),
        ('GET', f'{SOURCE}/metrics/query'), ('GET', f'{SOURCE}/events'),
        ('GET', '/v1/fleet/health'), ('GET', '/v1/fleet/metrics'), ('GET', '/v1/export'),
        ('GET', f'{SOURCE}/commands'), ('GET', f'{SOURCE}/command-runs'),
        ('GET', f'{SOURCE}/command-runs/{{run_id}}'), ('GET', f'{SOURCE}/commands/stream'),
        ('GET', f'{SOURCE}/device'), ('GET', '/api/runs'), ('GET', '/api/runs/compare'),
        ('GET', '/api/runs/{run_id}'), ('GET', '/api/sessions'), ('GET', '/api/frames'),
        ('GET', '/api/frames/{source_id}/{name}')},
    'write': {
        ('POST', '/ingest'), ('POST', '/api/ingest'), ('POST', '/api/sources'),
        ('POST', '/api/sources/register'), ('POST', '/api/runs'),
        ('PATCH', '/api/runs/{run_id}'), ('DELETE', '/api/runs/{run_id}'),
        ('POST', '/api/sessions'), ('PATCH', '/api/sessions/{session_id}'),
        ('POST', '/api/frames'), ('POST', f'{SOURCE}/commands'),
        ('POST', f'{SOURCE}/command-runs'), ('POST', f'{SOURCE}/command-runs/{{run_id}}/cancel'),
        ('POST', f'{SOURCE}/agent-messages')},
    None: {('GET', '/api/auth/verify-key')},
}
QUERY = '?metric=t&sources=kiln-7&ids=a'


@pytest.fixture
def described(client: Any) -> set[tuple[str, str]]:
    paths = client.get('/openapi.json')['paths']
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def status_of(client: Any, method: str, path: str, key: str) -> int:
    for name in ('source_id', 'run_id', 'name', 'number', 'session_id', 'device_code'):
        path = path.replace(f'{{{name}}}', '1')
    answer = client.request(method, path + QUERY, headers={'x-api-key': key}, data=b'{}')
    status: int = answer.status_code
    return status


def test_every_route_stands_here(described: set[tuple[str, str]]):
    assert described == OPEN.union(*SCOPES.values())


def test_without_a_key_nothing_answers(client: Any):
    for method, path in set.union(*SCOPES.values()):
        assert status_of(client, method, path, '') == 401, f'{method} {path}'
        assert status_of(client, method, path, 'plx_unknown') == 401, f'{method} {path}'


@pytest.mark.parametrize('scope', ['read', 'write', '*'])
def test_no_other_scope_is_enough(client: Any, gateway: Gateway, scope: str):
    others = create_key(gateway.store._connection, KeyRequest(
        scopes=frozenset({'read', 'write'} - {scope})), NOW_MS)
    for method, path in SCOPES[scope]:
        assert status_of(client, method, path, others) == 403, f'{method} {path}'


def test_a_key_of_one_device_changes_nothing_of_another(client: Any, gateway: Gateway):
    for metric in ('a', 'b'):
        client.post('/ingest', {'source_id': f'kiln-{metric}', 'points': [
            {'metric': 't', 'value': 1}]})
    run = client.post('/api/runs', {'name': 'r', 'source_id': 'kiln-a'}).json()['run']['id']
    client.post('/api/sessions', {'session_id': 's', 'source_id': 'kiln-a'})
    limited = create_key(gateway.store._connection, KeyRequest(
        scopes=frozenset({'read', 'write'}), source_id='kiln-b'), NOW_MS)
    other = {'source_id': 'kiln-a'}
    for method, path, body in (
            ('POST', '/ingest', {**other, 'points': [{'metric': 't', 'value': 1}]}),
            ('POST', '/api/sources', {'slug': 'kiln-a'}),
            ('POST', '/api/runs', {**other, 'name': 'x'}), ('POST', '/api/runs', {'name': 'x'}),
            ('PATCH', f'/api/runs/{run}', {'name': 'x'}), ('DELETE', f'/api/runs/{run}', {}),
            ('POST', '/api/sessions', {**other, 'session_id': 't'}),
            ('PATCH', '/api/sessions/s', {'name': 'x'}),
            ('POST', '/v1/sources/kiln-a/commands', {'command': 'x'}),
            ('POST', '/v1/sources/kiln-a/command-runs', {'command': 'x'}),
            ('POST', '/v1/sources/kiln-a/agent-messages', {'type': 'ping'})):
        answer = client.request(method, path, json=body, headers={'x-api-key': limited})
        assert answer.status_code == 403, f'{method} {path}: {answer.text}'
    picture = client.request(
        'POST', '/api/frames', headers={'x-api-key': limited},
        files={'frame': b'\xff\xd8\xff\xd9'}, data=other)
    assert picture.status_code == 403


def test_no_page_is_served_that_loads_scripts_from_elsewhere(client: Any):
    for path in ('/docs', '/redoc'):
        assert client.request('GET', path).status_code == 404

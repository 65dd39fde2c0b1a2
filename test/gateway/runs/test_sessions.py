# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Sessions of old agents: over HTTP, as they are noted from sockets."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from plexus_bridge.gateway.runs import sessions

NOW_MS = 1_790_000_000_000
SESSION = {'session_id': 'test-001', 'name': 'Motor Test Run', 'source_id': 'sensor-001',
           'status': 'active'}


def patch(client: Any, session_id: str, **fields: Any) -> Any:
    return client.request('PATCH', f'/api/sessions/{session_id}', json=fields)


def test_a_session_begins_and_ends_as_documented(client: Any):
    begun = client.post('/api/sessions', SESSION)
    assert begun.status_code == 201
    session = begun.json()['session']
    assert {name: session[name] for name in SESSION} == SESSION
    assert session['ended_at'] is None
    ended = patch(client, 'test-001', status='completed', ended_at='2027-01-15T10:30:00Z')
    assert ended.status_code == 200
    assert ended.json()['session'] == {
        **session, 'status': 'completed', 'ended_at': '2027-01-15T10:30:00.000Z'}
    assert client.get('/api/sessions', source_id='sensor-001') == {
        'sessions': [ended.json()['session']]}
    assert client.get('/api/sessions', source_id='other') == {'sessions': []}


def test_ending_twice_is_ending_once(client: Any):
    client.post('/api/sessions', SESSION)
    once, twice = (patch(client, 'test-001', status='completed').json() for _ in range(2))
    assert once == twice
    assert once['session']['ended_at'] is not None


def test_beginning_twice_is_beginning_once_but_for_another_source(client: Any):
    first = client.post('/api/sessions', SESSION).json()
    assert client.post('/api/sessions', SESSION).json() == first
    stolen = client.post('/api/sessions', {**SESSION, 'source_id': 'sensor-002'})
    assert (stolen.status_code, stolen.json()['error']) == (409, 'CONFLICT')


@pytest.mark.parametrize('fields', [
    {'session_id': None}, {'session_id': ''}, {'session_id': 'x' * 257}, {'session_id': 3},
    {'source_id': None}, {'source_id': "a'b"}, {'status': 'paused'}, {'name': ['x']},
    {'started_at': 'yesterday'}])
def test_wrong_fields(client: Any, fields: dict[str, Any]):
    answer = client.post('/api/sessions', {**SESSION, **fields})
    assert (answer.status_code, answer.json()['error']) == (400, 'VALIDATION_ERROR')


@pytest.mark.parametrize('session_id', ['nobody', "' OR 1=1 --", '..%2F..%2Fetc', '%00', 'a/b'])
def test_sessions_that_are_not_there(client: Any, session_id: str):
    answer = patch(client, session_id, status='completed')
    assert (answer.status_code, answer.json()['error']) == (404, 'NOT_FOUND')


def test_an_id_with_a_slash_is_found_again(client: Any):
    assert client.post('/api/sessions', {**SESSION, 'session_id': 'a/b c'}).status_code == 201
    assert patch(client, 'a%2Fb%20c', status='aborted').status_code == 200


def test_what_a_device_says_of_its_sessions_is_kept(database: sqlite3.Connection):
    sessions.note_started(database, 'kiln-7', 's1', 'Glaze 4', NOW_MS)
    sessions.note_started(database, 'kiln-8', 's1', 'stolen', NOW_MS + 1)
    sessions.note_stopped(database, 'kiln-8', 's1', NOW_MS + 2)
    assert sessions.find(database, 's1') == sessions.Session(
        's1', 'Glaze 4', 'kiln-7', 'active', NOW_MS, None)
    for end in (3, 4):
        sessions.note_stopped(database, 'kiln-7', 's1', NOW_MS + end)
    ended = sessions.find(database, 's1')
    assert ended is not None
    assert (ended.status, ended.ended_ms) == ('completed', NOW_MS + 3)
    sessions.note_stopped(database, 'kiln-7', 'unknown', NOW_MS)


# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Requests over real HTTP; the order of checks is that of protocol section 5.4."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import Any

import pytest

from plexus_bridge.gateway.access.keys import KeyRing
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.instants import wall_ms

MIB = 1024 * 1024
POINT = {'metric': 'zone1.temp_c', 'value': 812.5, 'timestamp': 1_790_000_000_123}
BODY = {'source_id': 'kiln-7', 'points': [POINT]}


@pytest.fixture(params=['/ingest', '/api/ingest'])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestAccepted:

    def test_points_are_stored_before_the_answer(self, client: Any, path: str):
        answer = client.post(path, BODY)
        assert (answer.status_code, answer.json()) == (
            200, {'success': True, 'count': 1, 'dropped': 0, 'source_id': 'kiln-7'})
        assert client.samples('kiln-7', 'zone1.temp_c') == [(1_790_000_000_123, 812.5)]

    def test_no_points_are_a_way_to_try_the_key(self, client: Any, path: str):
        answer = client.post(path, {'points': []})
        assert answer.status_code == 200
        assert answer.json() == {'success': True, 'count': 0, 'dropped': 0}
        assert client.get('/v1/sources') == {'devices': []}

    def test_a_point_names_its_source_or_the_envelope_does(self, client: Any):
        answer = client.post('/ingest', {'source_id': 'kiln-7', 'points': [
            POINT, {**POINT, 'source_id': 'kiln-8'}, {**POINT, 'source_id': 'kiln-9'}]})
        assert answer.json() == {'success': True, 'count': 3, 'dropped': 0}
        assert [device['source_id'] for device in client.get('/v1/sources')['devices']] == [
            'kiln-7', 'kiln-8', 'kiln-9']

    def test_stamps_in_seconds_in_milliseconds_and_absent(self, client: Any):
        before = wall_ms()
        client.post('/ingest', {'source_id': 'kiln-7', 'points': [
            {'metric': 'a', 'value': 1, 'timestamp': 1_790_000_000.5},
            {'metric': 'b', 'value': 1, 'timestamp': 1_790_000_000_500},
            {'metric': 'c', 'value': 1}]})
        assert client.samples('kiln-7', 'a') == client.samples('kiln-7', 'b')
        [(stamp, _)] = client.samples('kiln-7', 'c')
        assert before <= stamp <= wall_ms()

    def test_gzip(self, client: Any):
        answer = client.post(
            '/ingest', gzip.compress(json.dumps(BODY).encode()), **{'Content-Encoding': 'GZIP'})
        assert answer.json()['count'] == 1

    def test_gzip_of_several_members(self, client: Any):
        text = json.dumps(BODY).encode()
        body = gzip.compress(text[:20]) + gzip.compress(text[20:])
        assert client.post('/ingest', body, **{'Content-Encoding': 'gzip'}).status_code == 200

    def test_ten_thousand_points(self, client: Any):
        points = [{**POINT, 'timestamp': 1_790_000_000_000 + index} for index in range(10_000)]
        assert client.post('/ingest', {**BODY, 'points': points}).json()['count'] == 10_000

    def test_a_request_that_comes_again_changes_nothing(self, client: Any):
        for _ in range(3):
            assert client.post('/ingest', BODY).json()['count'] == 1
        assert len(client.samples('kiln-7', 'zone1.temp_c')) == 1

    def test_a_body_of_exactly_five_mib(self, client: Any):
        body = json.dumps(BODY).encode()
        assert client.post('/ingest', body.ljust(5 * MIB)).status_code == 200

    def test_what_an_sdk_adds_is_tolerated(self, client: Any):
        point = {**POINT, 'session_id': 'test-001', 'run_id': 'r', 'metadata': {'a': 1}}
        answer = client.post('/ingest', {**BODY, 'sdk': 'c/0.5.4', 'points': [point]})
        assert answer.status_code == 200


def bad_points(*points: object) -> dict[str, object]:
    return {'source_id': 'kiln-7', 'points': [POINT, *points]}


class TestRefused:

    @pytest.mark.parametrize(('body', 'text'), [
        (b'', 'JSON'), (b'{', 'JSON'), (b'\xff\xfe', 'JSON'), (b'{"points":[NaN]}', 'JSON'),
        (b'[' * 100_000, 'JSON'),
        ({}, "'points' array is required"), ([], "'points' array is required"),
        ({'points': {}}, "'points' array is required"),
        ({'points': [POINT] * 10_001}, 'saw 10001, expected at most 10000'),
        ({'points': [POINT]}, 'points[0].source_id'),
        ({'source_id': 'No Slug', 'points': []}, 'source_id: saw'),
        ({'source_id': 5, 'points': []}, 'source_id: saw'),
        (bad_points({**POINT, 'source_id': 'x' * 257}), 'points[1].source_id'),
        (bad_points({**POINT, 'source_id': ['a']}), 'points[1].source_id'),
        (bad_points({'value': 1}), 'points[1].metric'),
        (bad_points({**POINT, 'metric': 'm' * 257}), 'points[1].metric'),
        (bad_points({**POINT, 'value': None}), 'points[1].value'),
        (bad_points({**POINT, 'class': 'metric', 'value': True}), 'points[1].value'),
        (bad_points({**POINT, 'class': 'log'}), 'points[1].class'),
        (bad_points({**POINT, 'value': 'ä' * 129}), 'points[1].value'),
        (bad_points({**POINT, 'value': ['x' * 4096]}), 'points[1].value'),
        (bad_points({**POINT, 'timestamp': '2026-01-01'}), 'points[1].timestamp must be a number'),
        (bad_points({**POINT, 'tags': {'a': 1}}), "points[1].tags['a']"),
        (bad_points({**POINT, 'tags': {str(index): '' for index in range(17)}}), 'points[1].tags'),
        (bad_points(7), 'points[1].must be an object'),
    ])
    def test_with_400_and_nothing_is_stored(self, client: Any, path: str, body: Any, text: str):
        answer = client.post(path, body)
        assert answer.status_code == 400
        assert text in answer.json()['error']
        assert client.get('/v1/sources') == {'devices': []}

    @pytest.mark.parametrize('body', [
        b'not gzip', gzip.compress(b'{}')[:-4], gzip.compress(b'{}') + b'rest'])
    def test_bad_gzip(self, client: Any, body: bytes):
        answer = client.post('/ingest', body, **{'Content-Encoding': 'gzip'})
        assert (answer.status_code, 'gzip' in answer.json()['error']) == (400, True)

    def test_an_unknown_coding(self, client: Any):
        answer = client.post('/ingest', BODY, **{'Content-Encoding': 'br'})
        assert (answer.status_code, 'br' in answer.json()['error']) == (400, True)

    @pytest.mark.parametrize('over', [1, MIB, 30 * MIB])
    def test_too_large(self, client: Any, over: int):
        body = json.dumps(BODY).encode().ljust(5 * MIB + over)
        try:
            answer = client.post('/ingest', body)
        except ConnectionError:
            # Beyond what is read on for the sake of an answer, the connection is cut.
            assert over > 15 * MIB
        else:
            assert answer.status_code == 413

    def test_too_large_when_unpacked(self, client: Any):
        bomb = gzip.compress(b' ' * (200 * MIB))
        assert len(bomb) < MIB
        answer = client.post('/ingest', bomb, **{'Content-Encoding': 'gzip'})
        assert answer.status_code == 413

    def test_the_order_of_checks(self, client: Any, gateway: Gateway, path: str):
        """Each request has everything wrong from its check on; the first wrong thing is told."""
        rubbish = b'\x1f\x8b rubbish'
        coding = {'Content-Encoding': 'gzip'}
        wrong = client.post(path, rubbish, **{'x-api-key': 'plx_wrong', **coding})
        assert (wrong.status_code, wrong.json()) == (401, {'error': 'invalid API key'})
        missing = client.post(path, rubbish, **{'x-api-key': '', **coding})
        assert missing.status_code == 401
        assert 'missing' in missing.json()['error']
        assert 'gzip' in client.post(path, rubbish, **coding).json()['error']
        assert 'gzip' in client.post(path, rubbish.ljust(5 * MIB), **coding).json()['error']
        assert client.post(path, b'{' * (5 * MIB + 1)).status_code == 413
        gateway.store._writer.failure = 'disk full'
        degraded = client.post(path, rubbish, **{'x-api-key': '', **coding})
        assert degraded.status_code == 503
        assert 'disk full' in degraded.json()['error']

    def test_a_key_without_the_scope(self, client: Any, gateway: Gateway):
        gateway.store._connection.execute("UPDATE api_key SET scopes = 'read'")
        gateway.keys = KeyRing(gateway.store._connection)
        answer = client.post('/ingest', b'rubbish')
        assert (answer.status_code, answer.json()) == (
            403, {'error': 'API key lacks write scope'})

    def test_a_refusal_is_read_even_by_who_sends_much(self, client: Any):
        answer = client.post('/ingest', b' ' * (5 * MIB), **{'x-api-key': 'plx_wrong'})
        assert answer.status_code == 401

    def test_a_storage_failure_is_no_success(self, client: Any, gateway: Gateway):
        [pages] = gateway.store._connection.execute('PRAGMA page_count').fetchone()
        gateway.store._connection.execute(f'PRAGMA max_page_count = {pages}')
        points = [{**POINT, 'timestamp': 1_790_000_000_000 + index} for index in range(2000)]
        answer = client.post('/ingest', {**BODY, 'points': points})
        assert answer.status_code == 503
        assert 'full' in answer.json()['error']
        assert client.request('GET', '/health').status_code == 503

    @pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE'])
    def test_other_methods(self, client: Any, path: str, method: str):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()) == (405, {'error': 'Method Not Allowed'})

    @pytest.mark.parametrize('path', ['/ingest/', '//ingest', '/api/ingest/', '/Ingest'])
    def test_nothing_is_redirected(self, client: Any, path: str):
        assert client.post(path, BODY).status_code == 404


def test_a_client_that_goes_away_while_sending(client: Any):
    connection = http.client.HTTPConnection('127.0.0.1', client.port)
    connection.putrequest('POST', '/ingest')
    connection.putheader('x-api-key', client.key)
    connection.putheader('Content-Length', '1000')
    connection.endheaders(b'{"points":')
    connection.close()
    assert client.post('/ingest', BODY).status_code == 200


def test_what_came_over_http_is_counted(client: Any):
    client.post('/ingest', BODY)
    client.post('/ingest', b'rubbish')
    counters = client.get('/v1/gateway')['counters']
    assert (counters['http_requests'], counters['http_points'], counters['http_refused']) == (
        1, 1, 1)

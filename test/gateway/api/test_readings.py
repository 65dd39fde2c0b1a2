# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from plexus_bridge.gateway.instants import wall_ms

MINUTE = 60_000
IN_2015_MS = 1_425_000_000_000


@pytest.fixture
def send(client: Any) -> Callable[..., None]:
    def send(*points: tuple[str, Any, int], source: str = 'kiln-7', **tags: str) -> None:
        answer = client.post('/ingest', {'source_id': source, 'points': [
            {'metric': metric, 'value': value, 'timestamp': stamp, 'tags': tags}
            for metric, value, stamp in points]})
        assert answer.status_code == 200, answer.text

    return send


def refused(client: Any, path: str, **parameters: object) -> tuple[int, Any]:
    answer = client.request('GET', path, params=parameters)
    return answer.status_code, answer.json()['detail']


PATHS = ['/v1/sources', '/v1/sources/kiln-7', '/v1/sources/kiln-7/metrics', '/v1/gateway',
         '/v1/sources/kiln-7/metrics/latest', '/v1/sources/kiln-7/metrics/query',
         '/v1/sources/kiln-7/events', '/v1/sources/kiln-7/logs']


@pytest.mark.parametrize('path', PATHS)
@pytest.mark.parametrize('key', ['', 'plx_' + 'a' * 32])
def test_a_key_is_needed(client: Any, path: str, key: str):
    answer = client.request('GET', path, headers={'x-api-key': key})
    assert (answer.status_code, answer.json()) == (401, {'detail': 'invalid api key'})


@pytest.mark.parametrize('path', [path for path in PATHS if 'kiln-7' in path])
def test_an_unknown_source(client: Any, path: str):
    assert refused(client, path) == (404, 'device not found')


@pytest.mark.parametrize('name', ['..', '%2e%2e%2fetc', "' OR '1'='1", '%00', 'kiln-7;--', '%F0'])
def test_odd_names_are_unknown_sources(client: Any, send: Callable[..., None], name: str):
    send(('t', 1, wall_ms()))
    assert client.request('GET', f'/v1/sources/{name}').status_code == 404


class TestSources:

    def test_online_means_that_the_socket_is_open(
            self, client: Any, device: Callable[..., Any], send: Callable[..., None],
            wait_for: Callable[..., None]):
        now = wall_ms()
        send(('t', 1, now), source='over-http')
        socket = device('over-socket')
        http = {'source_id': 'over-http', 'online': False, 'last_seen_ms': now}
        connected = {'source_id': 'over-socket', 'online': True, 'last_seen_ms': None}
        assert client.get('/v1/sources') == {'devices': [http, connected]}
        assert client.get('/v1/sources', status='online') == {'devices': [connected]}
        assert client.get('/v1/sources', status='offline') == {'devices': [http]}
        assert client.get('/v1/sources/over-socket') == connected
        assert client.get('/v1/sources/over-socket/metrics') == []
        socket.close()
        wait_for(lambda: client.get('/v1/sources') == {'devices': [http]}, 'the device is gone')
        assert client.request('GET', '/v1/sources/over-socket').status_code == 404

    def test_an_unknown_status(self, client: Any):
        assert client.request('GET', '/v1/sources?status=idle').status_code == 422

    def test_old_stamps_are_told_as_they_are(self, client: Any, send: Callable[..., None]):
        send(('t', 1, IN_2015_MS))
        assert client.get('/v1/sources/kiln-7')['last_seen_ms'] == IN_2015_MS


class TestMetrics:

    def test_names(self, client: Any, send: Callable[..., None]):
        send(('b', 1, 1), ('a', 1, 1), ('door', 'open', 1))
        send(('b', 1, 1), site='lab')
        assert client.get('/v1/sources/kiln-7/metrics') == ['a', 'b']

    def test_latest_of_a_recording_of_2015(self, client: Any, send: Callable[..., None]):
        send(('t', 812.5, IN_2015_MS), ('n', 2**53 + 1, IN_2015_MS))
        assert client.get('/v1/sources/kiln-7/metrics/latest') == {
            'metrics': {'n': 2**53 + 1, 't': 812.5}}

    def test_raw_query(self, client: Any, send: Callable[..., None]):
        now = wall_ms()
        send(('t', 1.5, now - 1000), ('t', 2, now), ('u', 3, now), ('old', 1, now - 2 * MINUTE))
        path = '/v1/sources/kiln-7/metrics/query'
        assert client.get(path, metrics='t,u,old', last='1m') == {
            'interval': 'raw', 'auto_downsampled': False, 'truncated': False, 'series': {
                't': {'timestamp_ms': [now - 1000, now], 'value': [1.5, 2]},
                'u': {'timestamp_ms': [now], 'value': [3]}}}
        assert client.get(path, metrics='', last='1m')['series'].keys() == {'t', 'u'}

    def test_an_interval_is_chosen_or_asked_for(self, client: Any, send: Callable[..., None]):
        start = IN_2015_MS // MINUTE * MINUTE
        send(('t', 1, start), ('t', 3, start + 1), ('t', 5, start + MINUTE))
        path = '/v1/sources/kiln-7/metrics/query'
        window = {'start': '2015-02-27T00:00:00Z', 'end': '2015-02-28'}
        by_choice = client.get(path, **window)
        assert (by_choice['interval'], by_choice['auto_downsampled']) == ('10m', True)
        by_minute = client.get(path, interval='1m', **window)
        assert by_minute == {
            'interval': '1m', 'auto_downsampled': False, 'truncated': False, 'series': {'t': {
                'timestamp_ms': [start, start + MINUTE], 'min': [1, 5], 'max': [3, 5],
                'avg': [2.0, 5.0], 'count': [2, 1]}}}

    def test_the_cap_on_rows(self, client: Any, send: Callable[..., None]):
        send(*(('t', index, IN_2015_MS + index) for index in range(9_000)))
        send(*(('t', index, IN_2015_MS + index) for index in range(9_000, 10_001)))
        window = {'start': IN_2015_MS, 'end': IN_2015_MS + 20_000, 'interval': 'raw'}
        body = client.get('/v1/sources/kiln-7/metrics/query', **window)
        assert body['truncated']
        assert body['series']['t']['value'] == list(range(10_000))

    @pytest.mark.parametrize(('parameters', 'text'), [
        ({'last': '1y'}, "last: saw '1y'"), ({'start': '2026-01-01'}, 'both or neither'),
        ({'end': '2026-01-01'}, 'both or neither'), ({'interval': '5m'}, "interval: saw '5m'"),
        ({'start': 'x', 'end': 'y'}, "start: saw 'x'")])
    def test_a_window_that_is_none(
            self, client: Any, send: Callable[..., None], parameters: Any, text: str):
        send(('t', 1, wall_ms()))
        status, detail = refused(client, '/v1/sources/kiln-7/metrics/query', **parameters)
        assert status == 400
        assert text in detail


class TestEvents:

    @pytest.mark.parametrize('path', ['events', 'logs'])
    def test_a_window_in_the_order_of_time(
            self, client: Any, send: Callable[..., None], path: str):
        now = wall_ms()
        send(('log', 'two', now), ('log', 'one', now - 1), ('old', 'x', now - 2 * 60 * MINUTE))
        send(('mode', {'from': 'IDLE'}, now - 2), site='lab')
        assert client.get(f'/v1/sources/kiln-7/{path}') == [
            {'timestamp_ms': now - 2, 'metric': 'mode', 'value': '{"from":"IDLE"}',
             'tags': {'site': 'lab'}},
            {'timestamp_ms': now - 1, 'metric': 'log', 'value': 'one', 'tags': {}},
            {'timestamp_ms': now, 'metric': 'log', 'value': 'two', 'tags': {}}]

    def test_tail_name_and_limit(self, client: Any, send: Callable[..., None]):
        send(*((name, str(index), IN_2015_MS + index) for index in range(5) for name in 'ab'))
        path = '/v1/sources/kiln-7/events'
        assert client.get(path) == []
        assert [each['value'] for each in client.get(path, tail=2, name='b')] == ['3', '4']
        window = {'start': IN_2015_MS, 'end': IN_2015_MS + 10}
        assert [each['value'] for each in client.get(path, limit=3, name='a', **window)] == [
            '0', '1', '2']

    @pytest.mark.parametrize('parameters', [
        {'limit': 0}, {'limit': 10_001}, {'tail': 0}, {'tail': 10_001}, {'limit': 'x'}])
    def test_limits_of_the_limits(
            self, client: Any, send: Callable[..., None], parameters: dict[str, object]):
        send(('log', 'x', 1))
        answer = client.request('GET', '/v1/sources/kiln-7/events', params=parameters)
        assert answer.status_code == 422

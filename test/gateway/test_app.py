# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from plexus_bridge.gateway.gateway import Gateway


def test_health_needs_no_key(client: Any, gateway: Gateway):
    answer = client.request('GET', '/health', headers={'x-api-key': ''})
    assert answer.status_code == 200
    assert answer.json() == {'status': 'ok', 'devices': 0, 'browsers': 0, 'uptime_s': 0}
    gateway.store._writer.failure = 'disk full'
    answer = client.request('GET', '/health')
    assert answer.status_code == 503
    assert (answer.json()['status'], answer.json()['error']) == ('degraded', 'disk full')


def test_connected_devices_are_counted(client: Any, device: Any):
    device('a')
    device('b')
    assert client.get('/health')['devices'] == 2
    assert client.get('/v1/gateway')['devices'] == 2


def test_errors_say_detail(client: Any):
    assert client.request('GET', '/v1/nothing').json() == {'detail': 'Not Found'}
    assert client.request('POST', '/v1/sources').json() == {'detail': 'Method Not Allowed'}


def test_the_interface_is_described(client: Any):
    paths = client.get('/openapi.json')['paths']
    assert {'/ingest', '/api/ingest', '/v1/sources/{source_id}/metrics/query'} <= paths.keys()


def test_long_answers_are_compressed_for_who_asks(client: Any):
    points = [{'metric': 't', 'value': index / 7, 'timestamp': 1_790_000_000_000 + index}
              for index in range(2000)]
    client.post('/ingest', {'source_id': 'kiln-7', 'points': points})
    path = '/v1/sources/kiln-7/metrics/query?start=1790000000000&end=1790000010000&interval=raw'
    packed = client.request('GET', path, headers={'Accept-Encoding': 'gzip'})
    plain = client.request('GET', path, headers={'Accept-Encoding': 'identity'})
    assert packed.headers['content-encoding'] == 'gzip'
    assert 'content-encoding' not in plain.headers
    assert packed.json() == plain.json()
    assert packed.headers['access-control-allow-origin'] == '*'
    short = client.request('GET', '/v1/sources', headers={'Accept-Encoding': 'gzip'})
    assert 'content-encoding' not in short.headers

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from plexus_bridge.gateway.storage import queries

MIDNIGHT_MS = 20_000 * 86_400_000
WINDOW = {'start': MIDNIGHT_MS, 'end': MIDNIGHT_MS + 600_000}


def send(client: Any, source: str, *points: tuple[str, Any, int]) -> None:
    answer = client.post('/ingest', {'source_id': source, 'points': [
        {'metric': metric, 'value': value, 'timestamp': stamp}
        for metric, value, stamp in points]})
    assert answer.status_code == 200, answer.text


class TestHealth:

    def test_nothing_yet(self, client: Any):
        assert client.get('/v1/fleet/health') == {'sources_total': 0, 'sources_online': 0}

    def test_sources_with_metrics_and_those_connected(self, client: Any, device: Any):
        send(client, 'a', ('t', 1, MIDNIGHT_MS))
        send(client, 'b', ('door', 'open', MIDNIGHT_MS))
        device('c')
        assert client.get('/v1/fleet/health') == {'sources_total': 1, 'sources_online': 1}


class TestMetrics:

    def test_one_metric_of_all_who_have_it(self, client: Any, device: Any):
        device('b')
        send(client, 'b', ('t', 1, MIDNIGHT_MS), ('t', 3, MIDNIGHT_MS + 1))
        send(client, 'a', ('t', 5, MIDNIGHT_MS + 60_000), ('u', 1, MIDNIGHT_MS))
        send(client, 'c', ('u', 1, MIDNIGHT_MS))
        send(client, 'd', ('t', 1, MIDNIGHT_MS + 600_000))
        assert client.get('/v1/fleet/metrics', metric='t', **WINDOW) == {
            'metric': 't', 'interval': '1m', 'sources_online': 1, 'sources_w_metric': 2,
            'truncated': False, 'sources': [
                {'source_id': 'a', 'online': False, 'timestamp_ms': [MIDNIGHT_MS + 60_000],
                 'avg': [5.0], 'min': [5], 'max': [5], 'count': [1]},
                {'source_id': 'b', 'online': True, 'timestamp_ms': [MIDNIGHT_MS], 'avg': [2.0],
                 'min': [1], 'max': [3], 'count': [2]}]}

    def test_long_windows_have_long_intervals(self, client: Any):
        body = client.get('/v1/fleet/metrics', metric='t', last='10d')
        assert (body['interval'], body['sources']) == ('1h', [])

    def test_the_cap_is_for_all_sources_together(
            self, client: Any, monkeypatch: pytest.MonkeyPatch):
        for source in 'abc':
            send(client, source, *(('t', 1, MIDNIGHT_MS + m * 60_000) for m in range(4)))
        monkeypatch.setattr(queries, 'MAX_ROWS', 6)
        body = client.get('/v1/fleet/metrics', metric='t', **WINDOW)
        assert body['truncated']
        assert [len(each['count']) for each in body['sources']] == [4, 2]

    def test_a_metric_must_be_named(self, client: Any):
        assert client.request('GET', '/v1/fleet/metrics').status_code == 422

    @pytest.mark.parametrize('path', ['health', 'metrics?metric=t'])
    def test_without_a_key(self, client: Any, path: str):
        answer = client.request('GET', f'/v1/fleet/{path}', headers={'x-api-key': 'plx_no'})
        assert (answer.status_code, answer.json()) == (401, {'detail': 'invalid api key'})

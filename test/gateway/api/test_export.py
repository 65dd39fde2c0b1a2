# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import csv
import io
import socket
import sys
from typing import Any

from pyarrow import parquet
import pytest

from plexus_bridge.gateway.api import export as export_module
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.storage import extracts
from plexus_bridge.gateway.storage import retention

MIDNIGHT_MS = 20_000 * 86_400_000
WINDOW = {'start': MIDNIGHT_MS, 'end': MIDNIGHT_MS + 3_600_000}


@pytest.fixture
def filled(client: Any) -> Any:
    """Two sources with some points, one of them tagged."""
    for source in ('a', 'b'):
        answer = client.post('/ingest', {'source_id': source, 'points': [
            *({'metric': 't', 'value': index / 4, 'timestamp': MIDNIGHT_MS + index * 1000}
              for index in range(100)),
            {'metric': 't', 'value': 7, 'timestamp': MIDNIGHT_MS, 'tags': {'at': 'top, "left"'}},
            {'metric': 'u', 'value': 2**53 + 1, 'timestamp': MIDNIGHT_MS},
            {'metric': 'door', 'value': 'open', 'timestamp': MIDNIGHT_MS}]})
        assert answer.status_code == 200
    return client


def exported(client: Any, **query: object) -> Any:
    return client.request('GET', '/v1/export', params={**WINDOW, **query})


def rows(answer: Any) -> list[list[str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers['content-type'] == 'text/csv; charset=utf-8'
    assert answer.headers['content-disposition'] == 'attachment; filename="plexus-export.csv"'
    return list(csv.reader(io.StringIO(answer.text)))


class TestCsv:

    def test_raw_samples_by_source_metric_and_tags(self, filled: Any):
        found = rows(exported(filled, sources='b,a'))
        assert found[0] == ['source_id', 'metric', 'tags', 'timestamp_ms', 'value']
        assert len(found) == 1 + 2 * 102
        assert found[1] == ['a', 't', '{"at":"top, \\"left\\""}', str(MIDNIGHT_MS), '7']
        assert found[3] == ['a', 't', '{}', str(MIDNIGHT_MS + 1000), '0.25']
        assert found[102] == ['a', 'u', '{}', str(MIDNIGHT_MS), str(2**53 + 1)]
        assert found[103][0] == 'b'

    def test_what_is_deleted_meanwhile_is_left_out(
            self, filled: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(extracts, 'PORTION_ROWS', 10)
        portion = extracts.portion

        def delete_first(connection: Any, *arguments: Any) -> extracts.Portion:
            future = asyncio.run_coroutine_threadsafe(gateway.store.execute(
                retention.delete_before, [1, 2, 3, 4], MIDNIGHT_MS + 60_000, 1000),
                gateway.store._loop)
            found = portion(connection, *arguments)
            future.result(20)
            return found

        monkeypatch.setattr(extracts, 'portion', delete_first)
        found = rows(exported(filled, sources='a', metrics='t'))
        stamps = [int(row[3]) for row in found[1:] if row[2] == '{}']
        assert stamps[-40:] == [MIDNIGHT_MS + second * 1000 for second in range(60, 100)]
        assert len(stamps) <= 50

    def test_chosen_metrics_in_buckets(self, filled: Any):
        found = rows(exported(filled, sources='a', metrics='t,none', resolution='1m'))
        assert found == [
            ['source_id', 'metric', 'timestamp_ms', 'min', 'max', 'avg', 'count'],
            ['a', 't', str(MIDNIGHT_MS), '0.0', '14.75', found[1][5], '61'],
            ['a', 't', str(MIDNIGHT_MS + 60_000), '15.0', '24.75', '19.875', '40']]
        assert float(found[1][5]) == pytest.approx((sum(range(60)) / 4 + 7) / 61)

    def test_more_than_one_portion(self, filled: Any, monkeypatch: pytest.MonkeyPatch):
        whole = exported(filled, sources='a,b').text
        by_hour = exported(filled, sources='a', resolution='1h').text
        monkeypatch.setattr(extracts, 'PORTION_ROWS', 7)
        assert exported(filled, sources='a,b').text == whole
        monkeypatch.setattr(extracts, 'PORTION_ROWS', 1)
        assert exported(filled, sources='a', resolution='1h').text == by_hour

    def test_nothing_in_the_window(self, filled: Any):
        answer = exported(filled, sources='a', start=1, end=2)
        assert rows(answer) == [['source_id', 'metric', 'tags', 'timestamp_ms', 'value']]


class TestParquet:

    def test_typed_columns_that_read_back(
            self, filled: Any, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(extracts, 'PORTION_ROWS', 40)
        answer = exported(filled, sources='a', format='parquet')
        table = parquet.read_table(io.BytesIO(answer.content))
        assert [str(field.type) for field in table.schema] == [
            'string', 'string', 'string', 'timestamp[ms, tz=UTC]', 'double']
        assert table.num_rows == 102
        last = table.slice(100).to_pylist()
        assert (last[0]['metric'], last[0]['value']) == ('t', 24.75)
        assert last[0]['timestamp_ms'].timestamp() * 1000 == MIDNIGHT_MS + 99_000
        assert last[1] == {**last[1], 'metric': 'u', 'tags': '{}', 'value': 2.0**53}

    def test_buckets_and_nothing(self, filled: Any):
        answer = exported(filled, sources='b', format='parquet', resolution='1h')
        counts = parquet.read_table(io.BytesIO(answer.content)).column('count').to_pylist()
        assert counts == [101, 1]
        answer = exported(filled, sources='b', format='parquet', start=1, end=2)
        assert parquet.read_table(io.BytesIO(answer.content)).num_rows == 0

    def test_without_the_library(self, filled: Any, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(sys.modules, 'pyarrow', None)
        answer = exported(filled, sources='a', format='parquet')
        assert answer.status_code == 501
        assert "extra 'parquet'" in answer.json()['detail']
        assert len(rows(exported(filled, sources='a'))) == 103


class TestEstimate:

    @pytest.mark.parametrize(('query', 'count'), [
        ({'sources': 'a'}, 102), ({'sources': 'a,b', 'metrics': 't'}, 202),
        ({'sources': 'a,b', 'resolution': '1m'}, 6), ({'sources': 'a', 'metrics': 'none'}, 0)])
    def test_rows(self, filled: Any, query: dict[str, str], count: int):
        assert exported(filled, estimate=1, **query).json() == {'rows': count}
        assert len(rows(exported(filled, **query))) == 1 + count


class TestRefusals:

    @pytest.mark.parametrize(('query', 'status'), [
        ({}, 422), ({'sources': ''}, 400), ({'sources': ','.join(map(str, range(51)))}, 400),
        ({'sources': 'a,nobody'}, 404), ({'sources': "a' OR 1=1 --"}, 404),
        ({'sources': '../a'}, 404), ({'sources': 'a', 'start': 'soon'}, 400),
        ({'sources': 'a', 'format': 'xls'}, 422), ({'sources': 'a', 'resolution': '10m'}, 422),
        ({'sources': 'a', 'estimate': 'maybe'}, 422)])
    def test_questions_that_cannot_be_answered(
            self, filled: Any, query: dict[str, str], status: int):
        assert exported(filled, **query).status_code == status

    def test_half_a_window(self, filled: Any):
        answer = filled.request('GET', '/v1/export', params={'sources': 'a', 'start': MIDNIGHT_MS})
        assert answer.status_code == 400

    def test_more_than_three_at_a_time(self, filled: Any, gateway: Any, wait_for: Any):
        gateway.exports = export_module.MAX_EXPORTS
        answer = exported(filled, sources='a')
        assert (answer.status_code, answer.headers['retry-after']) == (429, '10')
        gateway.exports -= 1
        assert exported(filled, sources='a').status_code == 200
        wait_for(lambda: gateway.exports == export_module.MAX_EXPORTS - 1, 'it makes room again')

    def test_who_leaves_or_does_not_read_makes_room(
            self, filled: Any, gateway: Any, monkeypatch: pytest.MonkeyPatch, wait_for: Any):
        monkeypatch.setattr(export_module, 'STALL_TIMEOUT_S', 0.2)
        monkeypatch.setattr(extracts, 'portion', lambda connection, extract, part, from_ms:
                            extracts.Portion([('x' * 1000,)] * 1000, 0))  # without end
        request = (f'GET /v1/export?sources=a HTTP/1.1\r\nHost: localhost\r\n'
                   f'x-api-key: {filled.key}\r\n\r\n').encode()
        with socket.create_connection(('127.0.0.1', filled.port), timeout=20) as reader:
            reader.sendall(request)
            assert reader.recv(100).startswith(b'HTTP/1.1 200')
            wait_for(lambda: gateway.exports == 1, 'it is being sent')
            wait_for(lambda: gateway.exports == 0, 'it was given up')

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from plexus_bridge.gateway.storage import series as series_module
from plexus_bridge.gateway.storage.series import canonical_tags
from plexus_bridge.gateway.storage.series import SeriesTable
from plexus_bridge.points import read_point
from plexus_bridge.points import ReceivedPoint

NOW_MS = 1_790_000_000_000


@pytest.fixture
def table(database: sqlite3.Connection) -> SeriesTable:
    return SeriesTable(database)


def point(metric: str, value: Any, stamp: int = NOW_MS, **tags: str) -> ReceivedPoint:
    return read_point({'metric': metric, 'value': value, 'timestamp': stamp, 'tags': tags}, NOW_MS)


def received_ms(database: sqlite3.Connection) -> list[int]:
    return [row[0] for row in database.execute('SELECT received_ms FROM series ORDER BY id')]


def test_one_number_for_each_source_name_and_set_of_tags(table: SeriesTable):
    points = [point('a', 1), point('a', 2), point('b', 3), point('a', 4, site='lab'),
              point('a', 5, site='field')]
    assert table.rows('kiln-7', points, NOW_MS).samples[::3] == [1, 1, 2, 3, 4]
    assert table.rows('kiln-8', [point('a', 1)], NOW_MS).samples[::3] == [5]
    table.forget()
    assert table.rows('kiln-7', points, NOW_MS).samples[::3] == [1, 1, 2, 3, 4]


def test_the_order_of_tags_does_not_matter(table: SeriesTable):
    rows = table.rows('kiln-7', [point('a', 1, x='1', y='2'), point('a', 2, y='2', x='1')], NOW_MS)
    assert rows.samples[::3] == [1, 1]
    assert canonical_tags({'y': '2', 'x': '1'}) == canonical_tags({'x': '1', 'y': '2'})
    assert canonical_tags(None) == canonical_tags({}) == '{}'


def test_tags_are_not_mistaken_for_one_another(table: SeriesTable):
    points = [point('a', 1, x='1,y=2'), point('a', 1, x='1', y='2'),
              point('a', 1, **{'x": "1': ''})]
    assert len(set(table.rows('kiln-7', points, NOW_MS).samples[::3])) == 3


def test_a_metric_and_an_event_of_one_name_are_two(table: SeriesTable):
    rows = table.rows('kiln-7', [point('door', 1), point('door', 'open')], NOW_MS)
    assert (rows.samples[0], rows.events[0]) == (1, 2)


@pytest.mark.parametrize(('value', 'kept'), [
    (2**53 + 1, 2**53 + 1), (2**63 - 1, 2**63 - 1), (-(2**63) + 1, -(2**63) + 1),
    (2**63, float(2**63)), (-(2**70), -float(2**70)), (10**300, 1e300), (1.0, 1.0), (-0.0, -0.0)])
def test_integers_stay_integers_within_64_bits(table: SeriesTable, value: Any, kept: Any):
    [_, _, found] = table.rows('kiln-7', [ReceivedPoint('metric', 'a', value, NOW_MS, None)],
                               NOW_MS).samples
    assert (found, type(found)) == (kept, type(kept))


@pytest.mark.parametrize(('value', 'kept'), [
    ('3', '"3"'), (3, '3'), (True, 'true'), ({'b': 1, 'a': [None]}, '{"b":1,"a":[null]}')])
def test_events_are_kept_as_json(table: SeriesTable, value: Any, kept: str):
    event = ReceivedPoint('event', 'a', value, NOW_MS, None)
    assert table.rows('kiln-7', [event], NOW_MS).events[:3] == [1, NOW_MS, kept]


def test_when_it_was_received_is_noted_once_a_minute(
        table: SeriesTable, database: sqlite3.Connection):
    # Stamps of 2015: what counts is when the points came.
    old = point('a', 1, 1_425_000_000_000)
    table.rows('kiln-7', [old], NOW_MS)
    table.rows('kiln-7', [old], NOW_MS + 59_999)
    assert received_ms(database) == [NOW_MS]
    table.rows('kiln-7', [old, point('door', 'open')], NOW_MS + 60_000)
    assert received_ms(database) == [NOW_MS + 60_000] * 2
    table.forget()
    table.rows('kiln-7', [old], NOW_MS + 119_999)
    assert received_ms(database) == [NOW_MS + 60_000] * 2


def test_the_newest_metric_of_a_source_is_noted(table: SeriesTable, database: sqlite3.Connection):
    def newest() -> object:
        return database.execute('SELECT newest_metric_ms FROM source').fetchone()[0]

    table.rows('kiln-7', [point('door', 'open', NOW_MS)], NOW_MS)
    assert newest() is None, 'events do not count'
    table.rows('kiln-7', [point('a', 1, 2_000_000_000_000), point('a', 1, NOW_MS)], NOW_MS)
    assert newest() == 2_000_000_000_000
    table.forget()
    table.rows('kiln-7', [point('a', 1, NOW_MS)], NOW_MS)
    assert newest() == 2_000_000_000_000


def test_what_is_remembered_is_bounded(
        table: SeriesTable, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(series_module, 'MAX_CACHED_SERIES', 10)
    for index in range(50):
        table.rows('kiln-7', [point(f'm{index}', 1)], NOW_MS)
        assert len(table._received_ms) <= 11
    assert table.rows('kiln-7', [point('m0', 1)], NOW_MS).samples[0] == 1
    assert database.execute('SELECT count(*) FROM series').fetchone() == (50,)

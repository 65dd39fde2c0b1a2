# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is stored, again, late, rolled up or deleted: buckets say what the samples say."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from pathlib import Path
import sqlite3
import tempfile
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.gateway.storage import retention
from plexus_bridge.gateway.storage import rollups
from plexus_bridge.gateway.storage.rollups import buckets
from plexus_bridge.gateway.storage.rollups import HOUR_MS
from plexus_bridge.gateway.storage.rollups import MINUTE_MS
from plexus_bridge.gateway.storage.schema import open_writer
from plexus_bridge.gateway.storage.schema import transaction
from plexus_bridge.gateway.storage.writer import Batch
from plexus_bridge.gateway.storage.writer import Writer
from plexus_bridge.points import read_point

DAY_MS = 24 * HOUR_MS
MIDNIGHT_MS = 20_000 * DAY_MS
WIDTHS = (MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, DAY_MS)


class Database:
    """A database that is written, rolled up and cut as the gateway does it, step by step."""

    def __init__(self, path: Path):
        self.path = path
        self.open()

    def open(self) -> None:
        self.connection = open_writer(self.path)
        self.writer = Writer(self.connection, Counters(), lambda outcomes: None)

    def kill(self) -> None:
        """Lose what is only in memory."""
        self.connection.close()
        self.open()

    def store(self, *samples: tuple[int, float], metric: str = 'a') -> None:
        points = [read_point({'metric': metric, 'value': value, 'timestamp': stamp}, 0)
                  for stamp, value in samples]
        self.writer._write([Batch([('kiln-7', points)], 0, None)])
        assert self.writer.failure is None

    def roll_up(self, now_ms: int) -> None:
        marks = self.writer.marks
        with transaction(self.connection):
            marks.roll_up_minutes(rollups.stale_minutes(self.connection, now_ms))
            marks.roll_up_hours(rollups.stale_hours(self.connection, now_ms))

    def delete_before(self, cutoff_ms: int) -> None:
        deleted = 1
        while deleted:
            with transaction(self.connection):
                self.writer.marks.forget()
                series = retention.series_older_than(self.connection, cutoff_ms)
                deleted = retention.delete_before(self.connection, series, cutoff_ms, 3)

    def check(self, begin_ms: int, end_ms: int, width_ms: int) -> None:
        """Compare with what the samples alone say."""
        series = [number for number, in self.connection.execute('SELECT id FROM series')]
        begin_ms -= begin_ms % width_ms
        expected = self.connection.execute(
            'SELECT timestamp_ms / ?1 * ?1, min(value), max(value), avg(value), count(*) '
            'FROM sample WHERE timestamp_ms >= ?2 AND timestamp_ms < ?3 GROUP BY 1 ORDER BY 1',
            (width_ms, begin_ms, end_ms)).fetchall()
        found = buckets(self.connection, series, begin_ms, end_ms, width_ms, 10_000)
        assert [row[:3] + row[4:] for row in found] == [row[:3] + row[4:] for row in expected]
        assert [row[3] for row in found] == pytest.approx([row[3] for row in expected])

    def check_all(self) -> None:
        for width_ms in WIDTHS:
            self.check(0, 2**62, width_ms)


@contextlib.contextmanager
def new_database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / 'gateway.db')
        yield database
        database.connection.close()


@pytest.fixture
def database() -> Iterator[Database]:
    with new_database() as database:
        yield database


def rows(connection: sqlite3.Connection, table: str, width_ms: int) -> list[Any]:
    return connection.execute(
        f'SELECT start_ms FROM {table} WHERE width_ms = ? ORDER BY 1', (width_ms,)).fetchall()


stamps = st.integers(MIDNIGHT_MS - 3 * HOUR_MS, MIDNIGHT_MS + 3 * HOUR_MS)
samples = st.lists(
    st.tuples(stamps, st.integers(-5, 5) | st.floats(-1e6, 1e6)), min_size=1, max_size=30)
steps = st.lists(st.one_of(
    st.tuples(st.just('store'), st.sampled_from('ab'), samples),
    st.tuples(st.just('again')),
    st.tuples(st.just('roll_up'), stamps),
    st.tuples(st.just('delete'), stamps.map(lambda stamp: stamp - stamp % MINUTE_MS)),
    st.tuples(st.just('kill'))), max_size=12)


@given(steps, stamps, stamps, st.sampled_from(WIDTHS))
@settings(max_examples=60, deadline=None)
def test_buckets_say_what_the_samples_say(
        steps: list[Any], begin_ms: int, end_ms: int, width_ms: int):
    last = ('a', [(MIDNIGHT_MS, 1)])
    with new_database() as database:
        for name, *arguments in steps:
            if name == 'store':
                last = (arguments[0], arguments[1])
            if name in ('store', 'again'):
                database.store(*last[1], metric=last[0])
            elif name == 'roll_up':
                database.roll_up(*arguments)
            elif name == 'delete':
                database.delete_before(*arguments)
            else:
                database.kill()
            database.check_all()
            database.check(begin_ms, end_ms, width_ms)


def test_what_is_over_is_rolled_up_and_what_goes_on_is_not(database: Database):
    database.store((MIDNIGHT_MS, 1), (MIDNIGHT_MS + HOUR_MS, 2))
    database.roll_up(MIDNIGHT_MS + HOUR_MS + 1)
    assert rows(database.connection, 'rollup', MINUTE_MS) == [(MIDNIGHT_MS,)]
    assert rows(database.connection, 'rollup', HOUR_MS) == [(MIDNIGHT_MS,)]
    assert rows(database.connection, 'stale', MINUTE_MS) == [(MIDNIGHT_MS + HOUR_MS,)]
    assert rows(database.connection, 'stale', HOUR_MS) == [(MIDNIGHT_MS + HOUR_MS,)]


def test_a_late_point_undoes_its_minute_and_hour(database: Database):
    database.store((MIDNIGHT_MS, 1), (MIDNIGHT_MS + MINUTE_MS, 2))
    database.roll_up(MIDNIGHT_MS + DAY_MS)
    database.store((MIDNIGHT_MS + 1, 3))
    assert rows(database.connection, 'rollup', MINUTE_MS) == [(MIDNIGHT_MS + MINUTE_MS,)]
    assert rows(database.connection, 'rollup', HOUR_MS) == []
    database.check_all()
    database.roll_up(MIDNIGHT_MS + DAY_MS)
    assert rows(database.connection, 'stale', MINUTE_MS) == []
    assert rows(database.connection, 'stale', HOUR_MS) == []
    database.check_all()


def test_a_query_reads_roll_ups_where_it_can(database: Database):
    database.store(*((MIDNIGHT_MS + second * 1000, second) for second in range(7200)))
    database.roll_up(MIDNIGHT_MS + DAY_MS)
    database.connection.execute('DELETE FROM sample')
    series = [1]
    found = buckets(
        database.connection, series, MIDNIGHT_MS, MIDNIGHT_MS + 2 * HOUR_MS, HOUR_MS, 10)
    assert found == [(MIDNIGHT_MS, 0, 3599, 1799.5, 3600),
                     (MIDNIGHT_MS + HOUR_MS, 3600, 7199, 5399.5, 3600)]
    database.connection.execute('DELETE FROM rollup WHERE width_ms = ?', (MINUTE_MS,))
    assert buckets(database.connection, series, MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS, DAY_MS, 10) == [
        (MIDNIGHT_MS, 0, 7199, 3599.5, 7200)]


def test_a_failed_commit_leaves_no_false_memory(database: Database):
    database.connection.execute(
        "CREATE TEMP TRIGGER full BEFORE INSERT ON sample BEGIN SELECT raise(ABORT, 'full'); END")
    points = [read_point({'metric': 'a', 'value': 1, 'timestamp': MIDNIGHT_MS}, 0)]
    database.writer._write([Batch([('kiln-7', points)], 0, None)])
    assert database.writer.failure == 'full'
    database.connection.execute('DROP TRIGGER full')
    database.writer.failure = None
    database.store((MIDNIGHT_MS, 1))
    database.check_all()


def test_much_that_is_marked_is_not_remembered_for_ever(
        database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rollups, 'MAX_REMEMBERED', 10)
    for minute in range(50):
        database.store((MIDNIGHT_MS + minute * MINUTE_MS, minute))
    assert len(database.writer.marks._minutes) <= 11
    database.check_all()

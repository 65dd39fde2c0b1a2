# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from pathlib import Path
import sqlite3
import threading
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.storage import queries
from plexus_bridge.gateway.storage import store as store_module
from plexus_bridge.gateway.storage.store import Store
from plexus_bridge.gateway.storage.windows import Window
from plexus_bridge.points import ReceivedPoint

NOW_MS = 1_790_000_000_000
ALWAYS = Window(0, 2**62)


def with_store(path: Path, use: Callable[[Store], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        store = Store(path)
        store.start()
        try:
            return await use(store)
        finally:
            await store.close()

    return asyncio.run(main())


def samples(*values: Any, first_ms: int = NOW_MS) -> list[tuple[str, list[ReceivedPoint]]]:
    return [('kiln-7', [ReceivedPoint('metric', 'a', value, first_ms + index, None)
                        for index, value in enumerate(values)])]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1)
                | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_numbers_come_back_as_they_were(tmp_path_factory: Any, values: list[int | float]):
    async def use(store: Store) -> queries.QueryResult:
        await store.write(samples(*values), NOW_MS)
        return await store.read(queries.raw_samples, 'kiln-7', None, ALWAYS)

    result = with_store(tmp_path_factory.mktemp('store') / 'gateway.db', use)
    kept = result.series['a']['value']
    assert list(kept) == values
    assert [type(value) for value in kept] == [type(value) for value in values]


def test_what_is_written_can_be_read_at_once(tmp_path: Path):
    async def use(store: Store) -> None:
        for index in range(50):
            await store.write(samples(index, first_ms=NOW_MS + index), NOW_MS)
            found = await store.read(queries.raw_samples, 'kiln-7', ['a'], ALWAYS)
            assert found.series['a']['value'][-1] == index

    with_store(tmp_path / 'gateway.db', use)


def test_a_sender_that_does_not_wait_harms_nothing(tmp_path: Path):
    async def use(store: Store) -> queries.QueryResult:
        store.write(samples(1), NOW_MS).cancel()
        await store.write(samples(2, first_ms=NOW_MS + 1), NOW_MS)
        return await store.read(queries.raw_samples, 'kiln-7', None, ALWAYS)

    assert with_store(tmp_path / 'gateway.db', use).series['a']['value'] == (1, 2)


def test_closing_writes_what_was_handed_in(tmp_path: Path):
    async def use(store: Store) -> None:
        for index in range(100):
            store.write(samples(index, first_ms=NOW_MS + index), NOW_MS)

    with_store(tmp_path / 'gateway.db', use)
    connection = sqlite3.connect(tmp_path / 'gateway.db')
    assert connection.execute('SELECT count(*) FROM sample').fetchone() == (100,)
    connection.close()


def test_there_is_no_room_while_too_much_waits(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_module, 'MAX_QUEUED_POINTS', 10)

    async def use(store: Store) -> None:
        # Another process that holds the write lock: the writer waits for it.
        blocker = sqlite3.connect(store.path, isolation_level=None)
        blocker.execute('BEGIN IMMEDIATE')
        writes = [store.write(samples(*range(6), first_ms=NOW_MS + 10 * index), NOW_MS)
                  for index in range(2)]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(store.room(), 0.05)
        blocker.execute('COMMIT')
        blocker.close()
        await asyncio.wait_for(store.room(), 10)
        await asyncio.gather(*writes)

    with_store(tmp_path / 'gateway.db', use)


def test_a_slow_query_holds_up_neither_writes_nor_other_queries(tmp_path: Path):
    release = threading.Event()

    def slow(connection: sqlite3.Connection) -> int:
        connection.execute('BEGIN')
        [count] = connection.execute('SELECT count(*) FROM sample').fetchone()
        assert release.wait(20)
        connection.execute('COMMIT')
        return int(count)

    async def use(store: Store) -> None:
        slow_read = asyncio.ensure_future(store.read(slow))
        await asyncio.wait_for(store.write(samples(1), NOW_MS), 10)
        names = await asyncio.wait_for(store.read(queries.metric_names, 'kiln-7'), 10)
        assert names == ['a']
        release.set()
        assert await slow_read in (0, 1)

    with_store(tmp_path / 'gateway.db', use)


def test_a_store_that_was_never_started_can_be_closed(tmp_path: Path):
    Store(tmp_path / 'gateway.db').close_now()
    Store(tmp_path / 'gateway.db').close_now()


def test_a_change_sees_what_was_handed_in_before_and_comes_whole_or_not_at_all(tmp_path: Path):
    def count(connection: sqlite3.Connection) -> int:
        return int(connection.execute('SELECT count(*) FROM sample').fetchone()[0])

    def insert(connection: sqlite3.Connection, *slugs: str | None) -> None:
        for slug in slugs:
            connection.execute('INSERT INTO source (slug) VALUES (?)', (slug,))

    async def use(store: Store) -> None:
        stored = store.write(samples(1), NOW_MS)
        assert await store.execute(count) == 1
        await stored
        await store.execute(insert, 'kept')
        with pytest.raises(sqlite3.IntegrityError):
            await store.execute(insert, 'lost', None)
        with pytest.raises(KeyError):
            await store.execute(lambda connection: {}['nothing'])
        assert store.failure is None, 'a mistake of the caller is no failure of the disk'
        assert await store.read(lambda connection: connection.execute(
            'SELECT slug FROM source ORDER BY id').fetchall()) == [('kiln-7',), ('kept',)]

    with_store(tmp_path / 'gateway.db', use)


def test_a_change_is_refused_while_nothing_can_be_stored(tmp_path: Path):
    def fill(connection: sqlite3.Connection) -> None:
        [pages] = connection.execute('PRAGMA page_count').fetchone()
        connection.execute(f'PRAGMA max_page_count = {pages}')
        connection.execute('INSERT INTO source (slug) VALUES (?)', ('x' * 100_000,))

    async def use(store: Store) -> None:
        with pytest.raises(StoreError, match='full'):
            await store.execute(fill)
        assert store.failure is not None

    with_store(tmp_path / 'gateway.db', use)


def test_a_query_without_an_end_is_ended_and_the_thread_serves_others(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_module, 'QUERY_TIMEOUT_S', 0.1)
    monkeypatch.setattr(store_module, 'READER_THREADS', 1)

    def endless(connection: sqlite3.Connection) -> object:
        return connection.execute(
            'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) '
            'SELECT MAX(i) FROM n').fetchone()

    async def use(store: Store) -> object:
        with pytest.raises(StoreError, match='ask for a shorter window'):
            await store.read(endless)
        return await store.read(queries.sources)

    assert with_store(tmp_path / 'gateway.db', use) == []

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The store as the event loop sees it: awaitable writes and reads, neither on the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import sqlite3
import threading
import time
from typing import Concatenate
from typing import ParamSpec
from typing import TypeVar

from plexus_bridge.counters import Counters
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.storage.rollups import Marks
from plexus_bridge.gateway.storage.schema import open_reader
from plexus_bridge.gateway.storage.schema import open_writer
from plexus_bridge.gateway.storage.writer import Batch
from plexus_bridge.gateway.storage.writer import Change
from plexus_bridge.gateway.storage.writer import Outcome
from plexus_bridge.gateway.storage.writer import Writer
from plexus_bridge.points import ReceivedPoint

READER_THREADS = 4
# From here on nobody reads more from the network until the writer has caught up.
MAX_QUEUED_POINTS = 200_000
# Whoever asked has gone by then; the thread is wanted by others.
QUERY_TIMEOUT_S = 30.0
# Steps of SQLite's machine between two looks at the clock: well under a millisecond.
_STEPS_BETWEEN_LOOKS = 20_000

OnStored = Callable[[str, Sequence[ReceivedPoint]], None]
P = ParamSpec('P')
T = TypeVar('T')


class Store:
    """
    One database: `write` resolves after the commit, `read` runs a query on a thread of its own.

    Made before the loop runs, so that a database that cannot be used is told at start; `start`
    and all else are called on the loop. `on_stored` hears of each source's points that were
    committed.
    """

    def __init__(self, path: Path):
        self.path = path
        self.counters = Counters()
        self.on_stored: OnStored = lambda source_id, points: None
        self._connection = open_writer(path)
        self._writer = Writer(self._connection, self.counters, self._settle)
        self._started = False
        self._queued_points = 0
        self._room = asyncio.Event()
        self._room.set()
        self._readers: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix='gateway-reader')
        self._free_thread = ThreadPoolExecutor(1, thread_name_prefix='gateway-keys')

    def start(self) -> None:
        """Begin to write; called on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._started = True
        self._writer.start()

    async def close(self) -> None:
        """Write what was handed in, then close everything."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.close_now)

    def close_now(self) -> None:
        """Do as `close`, waiting on this thread."""
        self._threads.shutdown()
        self._free_thread.shutdown()
        for reader in self._readers:
            reader.close()
        if self._started:
            self._writer.stop()
        else:
            self._connection.close()

    @property
    def failure(self) -> str | None:
        """Why nothing can be stored at present, None when it can."""
        return self._writer.failure

    @property
    def marks(self) -> Marks:
        """The marks of stale roll-ups; for functions that `execute` runs."""
        return self._writer.marks

    async def room(self) -> None:
        """Wait until the writer has caught up enough to take more."""
        await self._room.wait()

    def write(
            self, parts: Sequence[tuple[str, Sequence[ReceivedPoint]]],
            received_ms: int) -> asyncio.Future[None]:
        """
        Store points by source; the future is done when they are safe on the disk.

        It raises StoreError if they cannot be stored now.
        """
        future: asyncio.Future[None] = self._loop.create_future()
        self._queued_points += _count(parts)
        if self._queued_points > MAX_QUEUED_POINTS:
            self._room.clear()
        self._writer.put(Batch(parts, received_ms, future))
        return future

    async def execute(
            self, change: Callable[Concatenate[sqlite3.Connection, P], T],
            *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Run `change(connection, …)` on the writer's thread in a transaction; done when committed.

        It sees all points that were handed in before. What it raises is raised here, and nothing
        is changed; StoreError if nothing can be stored now. It holds up the points that wait
        behind it, so it must be short, and it must not delete sources or series: the writer
        remembers their numbers.
        """
        future: asyncio.Future[T] = self._loop.create_future()

        def settle(result: T, error: Exception | None) -> None:
            if future.done():  # its request was cancelled meanwhile
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def done(result: T, error: Exception | None) -> None:
            self._loop.call_soon_threadsafe(settle, result, error)

        self._writer.put(Change(lambda connection: change(connection, *args, **kwargs), done))
        return await future

    async def read(
            self, query: Callable[Concatenate[sqlite3.Connection, P], T],
            *args: P.args, **kwargs: P.kwargs) -> T:
        """
        Run `query(connection, …)` on a reader thread; it sees whatever was stored before.

        StoreError if the database cannot be read, or not within QUERY_TIMEOUT_S.
        """
        return await self._read_on(
            self._threads, lambda connection: query(connection, *args, **kwargs))

    async def read_at_once(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Do as `read` on a thread that no long query ever holds; `query` must be a short one."""
        return await self._read_on(self._free_thread, query)

    async def _read_on(
            self, threads: ThreadPoolExecutor, query: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            reader = self._reader()
            deadline = time.monotonic() + QUERY_TIMEOUT_S
            reader.set_progress_handler(
                lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
            try:
                return query(reader)
            except sqlite3.Error as error:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f'saw no end of a query within {QUERY_TIMEOUT_S:g} s; ask for a shorter '
                        'window, fewer metrics or wider buckets') from error
                raise StoreError(f'the database cannot be read: {error}') from error

        return await asyncio.get_running_loop().run_in_executor(threads, run)

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, 'connection', None)
        if connection is None:
            connection = self._local.connection = open_reader(self.path)
            self._readers.append(connection)
        return connection

    def _settle(self, outcomes: list[tuple[Batch, Outcome]]) -> None:
        self._loop.call_soon_threadsafe(self._settle_on_loop, outcomes)

    def _settle_on_loop(self, outcomes: list[tuple[Batch, Outcome]]) -> None:
        for batch, outcome in outcomes:
            self._queued_points -= _count(batch.parts)
            if batch.token.done():  # its request was cancelled meanwhile
                continue
            if outcome is None:
                batch.token.set_result(None)
            else:
                batch.token.set_exception(outcome)
        for batch, outcome in outcomes:
            if outcome is None:
                for source_id, points in batch.parts:
                    self.on_stored(source_id, points)
        if self._queued_points <= MAX_QUEUED_POINTS:
            self._room.set()


def _count(parts: Sequence[tuple[str, Sequence[ReceivedPoint]]]) -> int:
    return sum(len(points) for _, points in parts)

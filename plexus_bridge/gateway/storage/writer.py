# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The one thread that writes: it commits what all connections have handed in as one transaction.

The longer a commit takes, the more frames the next one carries, so a slow disk lowers the rate of
commits and not that of points. Nobody is told "stored" before the commit has returned.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
import logging
import queue
import sqlite3
import threading
import time
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.storage.schema import transaction
from plexus_bridge.gateway.storage.series import Rows
from plexus_bridge.gateway.storage.series import SeriesTable
from plexus_bridge.points import ReceivedPoint

logger = logging.getLogger(__name__)

# Bounds how long the first frame of a group waits for its acknowledgement.
MAX_GROUP_POINTS = 50_000
# After a failure the database is tried this often, until it works again.
PROBE_INTERVAL_S = 1.0
# Rows in one INSERT: a step gives up the interpreter lock once instead of once for each row,
# which would cost a switch of threads for each row while another thread is busy.
ROWS_PER_STATEMENT = 128

_INSERT_SAMPLES = 'INSERT OR IGNORE INTO sample (series, timestamp_ms, value) VALUES '
_INSERT_EVENTS = 'INSERT OR IGNORE INTO event (series, timestamp_ms, value) VALUES '


@dataclass(frozen=True)
class Batch:
    """Points by source that are stored together or not at all; `token` is the caller's."""

    parts: Sequence[tuple[str, Sequence[ReceivedPoint]]]
    received_ms: int
    token: Any


# What became of a batch: None is stored.
Outcome = StoreError | None
Settle = Callable[[list[tuple[Batch, Outcome]]], None]


class Writer:
    """
    Owns the writing connection on a thread of its own.

    `settle` is called on that thread with what became of each batch of a group, in the order
    in which they were handed in. Counts ``points_stored``, ``points_repeated`` (had been stored
    before), ``commits``.
    """

    def __init__(self, connection: sqlite3.Connection, counters: Counters, settle: Settle):
        self._connection = connection
        self._counters = counters
        self._settle = settle
        self._series = SeriesTable(connection)
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name='gateway-writer', daemon=True)
        self.failure: str | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Hand in a batch, from any thread."""
        self._batches.put(batch)

    def stop(self) -> None:
        """Write what was handed in, end the thread and close the connection."""
        self._batches.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._collect()
            if group:
                self._write(group)
            elif going:
                self._probe()

    def _collect(self) -> tuple[list[Batch], bool]:
        """Wait for a batch, take along what is there already; empty means it is time to probe."""
        group: list[Batch] = []
        points = 0
        try:
            batch = self._batches.get(timeout=PROBE_INTERVAL_S if self.failure else None)
            while batch is not None:
                group.append(batch)
                points += sum(len(part) for _, part in batch.parts)
                if points >= MAX_GROUP_POINTS:
                    return group, True
                batch = self._batches.get_nowait()
        except queue.Empty:
            return group, True
        return group, False

    def _write(self, group: list[Batch]) -> None:
        rows = Rows()
        try:
            with transaction(self._connection):
                for batch in group:
                    for slug, points in batch.parts:
                        rows.extend(self._series.rows(slug, points, batch.received_ms))
                before = self._connection.total_changes
                _insert(self._connection, _INSERT_SAMPLES, rows.samples)
                _insert(self._connection, _INSERT_EVENTS, rows.events)
                stored = self._connection.total_changes - before
        except Exception as error:
            self._fail(error)
            failure = StoreError(f'the database cannot be written: {error}')
            self._settle([(batch, failure) for batch in group])
            return
        self._recover()
        self._counters.add('commits')
        self._counters.add('points_stored', stored)
        self._counters.add(
            'points_repeated', (len(rows.samples) + len(rows.events)) // 3 - stored)
        self._settle([(batch, None) for batch in group])

    def _probe(self) -> None:
        try:
            with transaction(self._connection):
                self._connection.execute(
                    'INSERT OR REPLACE INTO probe (id, at_ms) VALUES (1, ?)',
                    (time.time_ns() // 1_000_000,))
        except sqlite3.Error as error:
            self._fail(error)
        else:
            self._recover()

    def _fail(self, error: Exception) -> None:
        self._series.forget()
        if self.failure is None:
            # Not only SQLite's errors: whatever happens here, the thread must live on.
            logger.error('The database cannot be written: %s; nothing is accepted until it can',
                         error, exc_info=not isinstance(error, sqlite3.Error))
        self.failure = str(error)

    def _recover(self) -> None:
        if self.failure is not None:
            logger.warning('The database can be written again')
            self.failure = None


def _insert(connection: sqlite3.Connection, insert: str, values: list[Any]) -> None:
    """Insert flat rows of three values."""
    step = 3 * ROWS_PER_STATEMENT
    whole = len(values) // step * step
    statement = insert + ', '.join(['(?, ?, ?)'] * ROWS_PER_STATEMENT)
    for begin in range(0, whole, step):
        connection.execute(statement, values[begin:begin + step])
    rest = values[whole:]
    if rest:
        connection.executemany(
            f'{insert}(?, ?, ?)', zip(rest[::3], rest[1::3], rest[2::3], strict=True))

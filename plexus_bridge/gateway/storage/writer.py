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
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.storage.rollups import Marks
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
_INSERT_EVENTS = 'INSERT OR IGNORE INTO event (series, timestamp_ms, value, arrival) VALUES '


@dataclass(frozen=True)
class Batch:
    """Points by source that are stored together or not at all; `token` is the caller's."""

    parts: Sequence[tuple[str, Sequence[ReceivedPoint]]]
    received_ms: int
    token: Any


@dataclass(frozen=True)
class Change:
    """
    Anything but points: `function` is called with the connection inside a transaction of its own.

    It comes after all that was handed in before it. Then `done` is called on the writer's thread
    with what it returned or raised.
    """

    function: Callable[[sqlite3.Connection], Any]
    done: Callable[[Any, Exception | None], None]


# What became of a batch: None is stored.
Outcome = StoreError | None
Settle = Callable[[list[tuple[Batch, Outcome]]], None]
_Item = Batch | Change | None

# Mistakes of the caller, who is told; all others mean that the database cannot be written.
_CALLERS_ERRORS = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError,
                   sqlite3.DataError)


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
        self.marks = Marks(connection)
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name='gateway-writer', daemon=True)
        self.failure: str | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, item: Batch | Change) -> None:
        """Hand in a batch or a change, from any thread."""
        self._items.put(item)

    def stop(self) -> None:
        """Write what was handed in, end the thread and close the connection."""
        self._items.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        going = True
        while going:
            group, change, going = self._collect()
            if group:
                self._write(group)
            if change is not None:
                self._make(change)
            elif going and not group:
                self._probe()

    def _collect(self) -> tuple[list[Batch], Change | None, bool]:
        """
        Wait for a batch, take along what is there already, up to and with the next change.

        Neither means it is time to probe, False that nothing more will come.
        """
        group: list[Batch] = []
        points = 0
        try:
            item = self._items.get(timeout=PROBE_INTERVAL_S if self.failure else None)
            while isinstance(item, Batch):
                group.append(item)
                points += sum(len(part) for _, part in item.parts)
                if points >= MAX_GROUP_POINTS:
                    return group, None, True
                item = self._items.get_nowait()
        except queue.Empty:
            return group, None, True
        return group, item, item is not None

    def _write(self, group: list[Batch]) -> None:
        rows = Rows()
        try:
            with transaction(self._connection):
                for batch in group:
                    for slug, points in batch.parts:
                        rows.extend(self._series.rows(slug, points, batch.received_ms))
                self.marks.mark(rows.samples)
                before = self._connection.total_changes
                _insert(self._connection, _INSERT_SAMPLES, rows.samples, 3)
                _insert(self._connection, _INSERT_EVENTS, rows.events, 4)
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
            'points_repeated', len(rows.samples) // 3 + len(rows.events) // 4 - stored)
        self._settle([(batch, None) for batch in group])

    def _make(self, change: Change) -> None:
        try:
            with transaction(self._connection):
                result = change.function(self._connection)
        except _CALLERS_ERRORS as error:
            change.done(None, error)
        except sqlite3.Error as error:
            self._fail(error)
            change.done(None, StoreError(f'the database cannot be written: {error}'))
        except Exception as error:
            change.done(None, error)
        else:
            self._recover()
            change.done(result, None)

    def _probe(self) -> None:
        try:
            with transaction(self._connection):
                self._connection.execute(
                    'INSERT OR REPLACE INTO probe (id, at_ms) VALUES (1, ?)',
                    (wall_ms(),))
        except sqlite3.Error as error:
            self._fail(error)
        else:
            self._recover()

    def _fail(self, error: Exception) -> None:
        self._series.forget()
        self.marks.forget()
        if self.failure is None:
            # Not only SQLite's errors: whatever happens here, the thread must live on.
            logger.error('The database cannot be written: %s; nothing is accepted until it can',
                         error, exc_info=not isinstance(error, sqlite3.Error))
        self.failure = str(error)

    def _recover(self) -> None:
        if self.failure is not None:
            logger.warning('The database can be written again')
            self.failure = None


def _insert(connection: sqlite3.Connection, insert: str, values: list[Any], columns: int) -> None:
    """Insert flat rows of so many columns."""
    row = f'({", ".join("?" * columns)})'
    step = columns * ROWS_PER_STATEMENT
    whole = len(values) // step * step
    statement = insert + ', '.join([row] * ROWS_PER_STATEMENT)
    for begin in range(0, whole, step):
        connection.execute(statement, values[begin:begin + step])
    rest = values[whole:]
    if rest:
        connection.executemany(
            f'{insert}{row}', zip(*(rest[at::columns] for at in range(columns)), strict=True))

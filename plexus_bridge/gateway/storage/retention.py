# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What is thrown away when the database gets too old or too large: the oldest stamps of all series.

Deletions come in small portions and are done between commits of the writer, and so is the return
of free pages to the disk (`incremental_vacuum`): nobody stops sending or reading for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import sqlite3

from plexus_bridge.gateway.storage.rollups import HOUR_MS
from plexus_bridge.gateway.storage.rollups import MINUTE_MS

# A part of the time between the oldest stamp and the present that goes at once for the size.
_STEPS = 50

_OLDER = '''
SELECT id FROM series WHERE EXISTS (
    SELECT 1 FROM sample WHERE series = id AND timestamp_ms < ?1)
OR EXISTS (SELECT 1 FROM event WHERE series = id AND timestamp_ms < ?1)
OR EXISTS (SELECT 1 FROM rollup WHERE series = id AND width_ms = 60000 AND start_ms < ?1)
'''
_OLDEST = '''
SELECT min(oldest) FROM (
    SELECT (SELECT min(timestamp_ms) FROM sample WHERE series = id) AS oldest FROM series
    UNION ALL SELECT (SELECT min(timestamp_ms) FROM event WHERE series = id) FROM series)
'''


_NEWEST = _OLDEST.replace('min(', 'max(')


@dataclass(frozen=True)
class Retention:
    """How much is kept: ms of age by stamp, bytes of database; None is everything."""

    max_age_ms: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class Size:
    """Pages of the database file, and how many of them are free."""

    pages: int
    free_pages: int
    page_bytes: int

    @property
    def used_bytes(self) -> int:
        """Return how much is taken by data."""
        return (self.pages - self.free_pages) * self.page_bytes


def read_size(connection: sqlite3.Connection) -> Size:
    """Return the size of the database."""
    names = ('page_count', 'freelist_count', 'page_size')
    return Size(*(int(connection.execute(f'PRAGMA {name}').fetchone()[0]) for name in names))


def series_older_than(connection: sqlite3.Connection, cutoff_ms: int) -> list[int]:
    """Return the series that have samples or events before a stamp."""
    return [number for number, in connection.execute(_OLDER, (cutoff_ms,))]


def next_cutoff(connection: sqlite3.Connection, now_ms: int) -> int | None:
    """Return the stamp before which a small part of all data lies, None if there is no data."""
    oldest: int | None = connection.execute(_OLDEST).fetchone()[0]
    if oldest is None:
        return None
    # By the clock where it is earlier, since a stamp may be a wrong one from the far future; by
    # the newest stamp where that is, since the clock may be wrong as well.
    newest: int = connection.execute(_NEWEST).fetchone()[0]
    newest = max(min(newest, now_ms), oldest)
    cutoff = oldest + max((newest - oldest) // _STEPS, MINUTE_MS)
    return cutoff - cutoff % MINUTE_MS


def delete_before(
        connection: sqlite3.Connection, series: Sequence[int], cutoff_ms: int, limit: int) -> int:
    """
    Delete what is older than a whole minute, about `limit` rows; return how many it were.

    Call it until it returns 0; what was rolled up goes with the last of its samples.
    """
    deleted = 0
    for number in series:
        for table in ('sample', 'event'):
            if deleted < limit:
                deleted += _delete_some(connection, table, number, cutoff_ms, limit - deleted)
        if deleted >= limit:
            break
        _delete_rollups(connection, number, cutoff_ms)
    return deleted


def give_back(connection: sqlite3.Connection, pages: int) -> None:
    """Return free pages to the file system."""
    for _ in range(pages):
        # However many are asked for, it returns one with each step, and Python makes one step.
        connection.execute('PRAGMA incremental_vacuum(1)')


def _delete_some(
        connection: sqlite3.Connection, table: str, series: int, cutoff_ms: int,
        limit: int) -> int:
    row = connection.execute(
        f'SELECT timestamp_ms FROM {table} WHERE series = ? AND timestamp_ms < ? '
        'ORDER BY timestamp_ms LIMIT 1 OFFSET ?', (series, cutoff_ms, limit)).fetchone()
    # At least one whole millisecond goes, however many events it has.
    bound = cutoff_ms if row is None else row[0] + 1
    return connection.execute(
        f'DELETE FROM {table} WHERE series = ? AND timestamp_ms < ?', (series, bound)).rowcount


def _delete_rollups(connection: sqlite3.Connection, series: int, cutoff_ms: int) -> None:
    for table in ('rollup', 'stale'):
        connection.execute(
            f'DELETE FROM {table} WHERE series = ? AND width_ms = ? AND start_ms < ?',
            (series, MINUTE_MS, cutoff_ms))
        connection.execute(
            f'DELETE FROM {table} WHERE series = ? AND width_ms = ? AND start_ms < ?',
            (series, HOUR_MS, cutoff_ms))
    if cutoff_ms % HOUR_MS:
        # The hour that is cut in two is rolled up again from the minutes that are left.
        connection.execute('INSERT INTO stale VALUES (?, ?, ?)',
                           (series, HOUR_MS, cutoff_ms - cutoff_ms % HOUR_MS))

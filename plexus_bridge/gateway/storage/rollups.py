# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Roll-ups: count, sum, least and greatest value of each minute and hour of each series.

With them a query over a day reads minutes instead of samples. Every minute that has samples is, at
any moment and in every snapshot, either rolled up or marked as stale: the mark is set, and what
was rolled up is deleted, in the transaction that stores the samples. Queries read stale minutes
from the samples. So late points and points that come again need no care: a minute is always rolled
up from all its samples, and rolling it up once more changes nothing. The same holds for hours,
which are rolled up from minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import json
import sqlite3
from typing import Any

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
# Beyond, what is known to be marked is forgotten, and at worst marked again.
MAX_REMEMBERED = 200_000

TABLES = '''
CREATE TABLE IF NOT EXISTS rollup (
    series INTEGER NOT NULL,
    width_ms INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    count INTEGER NOT NULL,
    total REAL NOT NULL,
    low NOT NULL,
    high NOT NULL,
    PRIMARY KEY (series, width_ms, start_ms)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stale (
    series INTEGER NOT NULL,
    width_ms INTEGER NOT NULL,
    start_ms INTEGER NOT NULL,
    PRIMARY KEY (series, width_ms, start_ms)
) WITHOUT ROWID
'''

# A series and the beginning of one of its minutes or hours, Unix ms.
Span = tuple[int, int]

_FROM_SAMPLES = f'''
INSERT OR REPLACE INTO rollup SELECT * FROM (
    SELECT ?1, {MINUTE_MS}, ?2, count(*) AS count, total(value), min(value), max(value)
    FROM sample WHERE series = ?1 AND timestamp_ms >= ?2 AND timestamp_ms < ?2 + {MINUTE_MS}
) WHERE count > 0
'''
_FROM_MINUTES = f'''
INSERT OR REPLACE INTO rollup SELECT * FROM (
    SELECT ?1, {HOUR_MS}, ?2, sum(count) AS count, total(total), min(low), max(high)
    FROM rollup WHERE series = ?1 AND width_ms = {MINUTE_MS}
        AND start_ms >= ?2 AND start_ms < ?2 + {HOUR_MS}
) WHERE count > 0
'''
_STALE_MINUTES_OF_HOUR = f'''
SELECT 1 FROM stale AS minute WHERE minute.series = stale.series
AND minute.width_ms = {MINUTE_MS} AND minute.start_ms >= stale.start_ms
AND minute.start_ms < stale.start_ms + {HOUR_MS}
'''


class Marks:
    """Sets the marks; used by the writer thread alone, inside of its transactions."""

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection
        # What surely is marked on the disk, so that it need not be marked with each batch.
        self._minutes: set[Span] = set()
        self._hours: set[Span] = set()
        # Minutes that got samples since the last call of `take_touched`.
        self._touched: set[Span] = set()

    def mark(self, samples: Sequence[Any]) -> None:
        """Mark the minutes and hours of flat rows (series, stamp, value) as stale."""
        minutes = set(zip(
            samples[::3], [stamp - stamp % MINUTE_MS for stamp in samples[1::3]], strict=True))
        self._touched |= minutes
        new = minutes - self._minutes
        if not new:
            return
        if len(self._minutes) > MAX_REMEMBERED:
            self.forget()
        self._set(MINUTE_MS, new)
        self._minutes |= new
        hours = {(series, start - start % HOUR_MS) for series, start in new} - self._hours
        self._set(HOUR_MS, hours)
        self._hours |= hours

    def forget(self) -> None:
        """Forget what is marked: after a rollback or a deletion it may not be on the disk."""
        self._minutes.clear()
        self._hours.clear()
        self._touched.clear()

    def take_touched(self) -> set[Span]:
        """Return the minutes that got samples since the last call."""
        touched, self._touched = self._touched, set()
        return touched

    def roll_up_minutes(self, minutes: Sequence[Span]) -> None:
        """Roll up minutes from their samples."""
        self._connection.executemany(_FROM_SAMPLES, minutes)
        self._clear(MINUTE_MS, minutes)
        self._minutes.difference_update(minutes)

    def roll_up_hours(self, hours: Sequence[Span]) -> None:
        """Roll up those of the hours of which no minute is stale."""
        whole = [span for span in hours if not self._connection.execute(
            f'SELECT 1 FROM stale WHERE series = ? AND width_ms = {MINUTE_MS} '
            f'AND start_ms >= ? AND start_ms < ? LIMIT 1',
            (*span, span[1] + HOUR_MS)).fetchone()]
        self._connection.executemany(_FROM_MINUTES, whole)
        self._clear(HOUR_MS, whole)
        self._hours.difference_update(whole)

    def _set(self, width_ms: int, spans: Iterable[Span]) -> None:
        rows = [(series, width_ms, start) for series, start in spans]
        self._connection.executemany('INSERT OR IGNORE INTO stale VALUES (?, ?, ?)', rows)
        self._connection.executemany(
            'DELETE FROM rollup WHERE series = ? AND width_ms = ? AND start_ms = ?', rows)

    def _clear(self, width_ms: int, spans: Iterable[Span]) -> None:
        self._connection.executemany(
            'DELETE FROM stale WHERE series = ? AND width_ms = ? AND start_ms = ?',
            [(series, width_ms, start) for series, start in spans])


def stale_minutes(connection: sqlite3.Connection, now_ms: int) -> list[Span]:
    """Return the stale minutes that are over."""
    return connection.execute(
        'SELECT series, start_ms FROM stale WHERE width_ms = ? AND start_ms <= ?',
        (MINUTE_MS, now_ms - MINUTE_MS)).fetchall()


def stale_hours(connection: sqlite3.Connection, now_ms: int) -> list[Span]:
    """Return the stale hours that are over and of which no minute is stale."""
    return connection.execute(
        'SELECT series, start_ms FROM stale WHERE width_ms = ? AND start_ms <= ? '
        f'AND NOT EXISTS ({_STALE_MINUTES_OF_HOUR})', (HOUR_MS, now_ms - HOUR_MS)).fetchall()


_MINUTES = f'''
    SELECT start_ms, low, high, total, count FROM rollup
    WHERE series IN (SELECT value FROM series_asked) AND width_ms = {MINUTE_MS}
        AND start_ms >= {{begin}} AND start_ms < :minutes_end
'''
_HOURS = f'''
    SELECT start_ms, low, high, total, count FROM rollup
    WHERE series IN (SELECT value FROM series_asked) AND width_ms = {HOUR_MS}
        AND start_ms >= :begin AND start_ms < :hours_end
    UNION ALL
    SELECT rollup.start_ms, low, high, total, count FROM stale CROSS JOIN rollup
        ON rollup.series = stale.series AND rollup.width_ms = {MINUTE_MS}
        AND rollup.start_ms >= stale.start_ms AND rollup.start_ms < stale.start_ms + {HOUR_MS}
    WHERE stale.series IN (SELECT value FROM series_asked) AND stale.width_ms = {HOUR_MS}
        AND stale.start_ms >= :begin AND stale.start_ms < :hours_end
'''
_SAMPLES = f'''
    SELECT stale.start_ms, min(value), max(value), total(value), count(*)
    FROM stale CROSS JOIN sample ON sample.series = stale.series
        AND timestamp_ms >= stale.start_ms AND timestamp_ms < stale.start_ms + {MINUTE_MS}
    WHERE stale.series IN (SELECT value FROM series_asked) AND stale.width_ms = {MINUTE_MS}
        AND stale.start_ms >= :begin AND stale.start_ms < :minutes_end
    GROUP BY stale.series, stale.start_ms
    UNION ALL
    SELECT :minutes_end, min(value), max(value), total(value), count(*) FROM sample
    WHERE series IN (SELECT value FROM series_asked)
        AND timestamp_ms >= :minutes_end AND timestamp_ms < :end
'''


def _buckets(parts: str) -> str:
    return f'''
WITH series_asked AS (SELECT value FROM json_each(:series)),
part (start_ms, low, high, total, count) AS ({parts})
SELECT start_ms / :bucket * :bucket, min(low), max(high), sum(total) / sum(count), sum(count)
FROM part WHERE count > 0 GROUP BY 1 ORDER BY 1 LIMIT :limit
'''


_BY_MINUTES = _buckets(f'{_MINUTES.format(begin=":begin")} UNION ALL {_SAMPLES}')
_BY_HOURS = _buckets(f'{_HOURS} UNION ALL {_MINUTES.format(begin=":hours_end")} '
                     f'UNION ALL {_SAMPLES}')

# Beginning of the bucket, minimum, maximum, mean, count.
Bucket = tuple[int, int | float, int | float, float, int]


def buckets(
        connection: sqlite3.Connection, series: Sequence[int], begin_ms: int, end_ms: int,
        bucket_ms: int, limit: int) -> list[Bucket]:
    """
    Return statistics of the buckets from `begin_ms` on, over all the series together.

    `bucket_ms` is a whole number of minutes and `begin_ms` one of buckets; the last bucket ends
    with `end_ms`, wherever that is.
    """
    if begin_ms >= end_ms:
        return []
    statement = _BY_HOURS if bucket_ms % HOUR_MS == 0 else _BY_MINUTES
    return connection.execute(statement, {
        'series': json.dumps(series), 'bucket': bucket_ms, 'limit': limit, 'begin': begin_ms,
        'hours_end': end_ms - end_ms % HOUR_MS, 'minutes_end': end_ms - end_ms % MINUTE_MS,
        'end': end_ms}).fetchall()

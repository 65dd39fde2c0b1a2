# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which rows a batch of points becomes: every source, name and set of tags has a small number.

Used by the writer thread alone, inside of its transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import itertools
import sqlite3
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.points import ReceivedPoint

MAX_CACHED_SERIES = 100_000
# When a series was last received is written this often at most: it only decides about
# "within the last hour".
RECEIVED_RESOLUTION_MS = 60_000

_LARGEST_INTEGER = 2**63 - 1


@dataclass
class _Source:
    id: int
    newest_metric_ms: int
    metrics: dict[Any, int] = field(default_factory=dict)
    events: dict[Any, int] = field(default_factory=dict)


@dataclass
class Rows:
    """Flat row values as the columns stand: three for each row of `sample`, four of `event`."""

    samples: list[Any] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)

    def extend(self, other: Rows) -> None:
        """Append another batch's rows."""
        self.samples += other.samples
        self.events += other.events


class SeriesTable:
    """The numbers of sources and series, remembered up to a bound and else read from disk."""

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection
        self._sources: dict[str, _Source] = {}
        self._received_ms: dict[int, int] = {}
        # Numbers events; begins beyond all that an earlier start has given, for none of them took
        # a million events a second.
        self._arrivals = itertools.count(wall_ms() * 1000)

    def forget(self) -> None:
        """Drop what is remembered: after a rollback it may not be on the disk."""
        self._sources.clear()
        self._received_ms.clear()

    def rows(self, slug: str, points: Iterable[ReceivedPoint], received_ms: int) -> Rows:
        """Return the rows of one source's points, which have been checked (see points.py)."""
        if len(self._received_ms) > MAX_CACHED_SERIES:
            self.forget()
        source = self._source(slug)
        rows = Rows()
        samples = rows.samples
        events = rows.events
        metric_ids = source.metrics
        event_ids = source.events
        arrivals = self._arrivals
        for point_class, metric, value, stamp, tags in points:
            key = metric if tags is None else (metric, *tags.items())
            if point_class == 'metric':
                series = metric_ids.get(key)
                if series is None:
                    series = metric_ids[key] = self._series(source, 'metric', metric, tags)
                if type(value) is int and not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
                    # The platform keeps doubles; within 64 bits we keep the integer.
                    value = float(value)
                samples += (series, stamp, value)
            else:
                series = event_ids.get(key)
                if series is None:
                    series = event_ids[key] = self._series(source, 'event', metric, tags)
                events += (series, stamp, encoding.dumps(value).decode(), next(arrivals))
        self._note_received(source, rows, received_ms)
        return rows

    def _note_received(self, source: _Source, rows: Rows, received_ms: int) -> None:
        for series in {*rows.samples[::3], *rows.events[::4]}:
            if received_ms >= self._received_ms[series] + RECEIVED_RESOLUTION_MS:
                self._connection.execute(
                    'UPDATE series SET received_ms = ? WHERE id = ?', (received_ms, series))
                self._received_ms[series] = received_ms
        if rows.samples:
            newest = max(rows.samples[1::3])
            if newest > source.newest_metric_ms:
                source.newest_metric_ms = newest
                self._connection.execute(
                    'UPDATE source SET newest_metric_ms = ? WHERE id = ?', (newest, source.id))

    def _source(self, slug: str) -> _Source:
        source = self._sources.get(slug)
        if source is None:
            self._connection.execute('INSERT OR IGNORE INTO source (slug) VALUES (?)', (slug,))
            found = self._connection.execute(
                'SELECT id, newest_metric_ms FROM source WHERE slug = ?', (slug,)).fetchone()
            source = self._sources[slug] = _Source(found[0], found[1] or 0)
        return source

    def _series(
            self, source: _Source, point_class: str, metric: str,
            tags: Mapping[str, str] | None) -> int:
        identity = (source.id, point_class, metric, canonical_tags(tags))
        self._connection.execute(
            'INSERT OR IGNORE INTO series (source, class, metric, tags, received_ms) '
            'VALUES (?, ?, ?, ?, 0)', identity)
        series, received_ms = self._connection.execute(
            'SELECT id, received_ms FROM series '
            'WHERE source = ? AND class = ? AND metric = ? AND tags = ?', identity).fetchone()
        self._received_ms[series] = received_ms
        return int(series)


def canonical_tags(tags: Mapping[str, str] | None) -> str:
    """Return the one JSON text that equal tags have in whatever order they came."""
    if not tags:
        return '{}'
    return encoding.dumps(dict(sorted(tags.items()))).decode()

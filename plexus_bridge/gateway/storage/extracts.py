# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Long extracts in portions: each portion is a query of its own.

Nothing is held open while whoever takes it is slow: neither a reader nor a snapshot, which would
keep the write-ahead log from being emptied.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
import json
import sqlite3
from typing import Any
from typing import NamedTuple

from plexus_bridge.gateway.storage.rollups import buckets
from plexus_bridge.gateway.storage.rollups import HOUR_MS
from plexus_bridge.gateway.storage.windows import BUCKET_MS
from plexus_bridge.gateway.storage.windows import RAW
from plexus_bridge.gateway.storage.windows import Window

PORTION_ROWS = 20_000
_EVERYTHING = 2**31

RAW_COLUMNS = ('source_id', 'metric', 'tags', 'timestamp_ms', 'value')
BUCKET_COLUMNS = ('source_id', 'metric', 'timestamp_ms', 'min', 'max', 'avg', 'count')


@dataclass(frozen=True)
class Extract:
    """What is wanted: sources, metrics (None is all), a window, `raw` or a bucket's name."""

    sources: Sequence[str]
    metrics: Sequence[str] | None
    window: Window
    resolution: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return RAW_COLUMNS if self.resolution == RAW else BUCKET_COLUMNS

    @property
    def begin_ms(self) -> int:
        """Return where the first whole bucket begins."""
        width = BUCKET_MS.get(self.resolution, 1)
        return -(-self.window.start_ms // width) * width


class Part(NamedTuple):
    """One series, or all series of one metric where they are rolled up; `head` is its columns."""

    head: tuple[str, ...]
    series: tuple[int, ...]


class Portion(NamedTuple):
    """Rows, and the stamp from which the next portion goes on; None at the end of the part."""

    rows: list[tuple[Any, ...]]
    next_ms: int | None


def parts(connection: sqlite3.Connection, extract: Extract) -> list[Part]:
    """Return what the extract consists of, in its order: by source, metric and tags."""
    found: dict[tuple[str, ...], list[int]] = {}
    for slug, metric, tags, number in _series(connection, extract):
        head = (slug, metric, tags) if extract.resolution == RAW else (slug, metric)
        found.setdefault(head, []).append(number)
    return [Part(head, tuple(numbers)) for head, numbers in found.items()]


def portion(
        connection: sqlite3.Connection, extract: Extract, part: Part, from_ms: int) -> Portion:
    """Return the next rows of a part."""
    end_ms = extract.window.end_ms
    if extract.resolution == RAW:
        found = connection.execute(
            'SELECT timestamp_ms, value FROM sample WHERE series = ? AND timestamp_ms >= ? '
            'AND timestamp_ms < ? ORDER BY timestamp_ms LIMIT ?',
            (*part.series, from_ms, end_ms, PORTION_ROWS)).fetchall()
        step = 1
    else:
        step = BUCKET_MS[extract.resolution]
        found = buckets(connection, part.series, from_ms, end_ms, step, PORTION_ROWS)
    full = len(found) == PORTION_ROWS
    return Portion([part.head + row for row in found], found[-1][0] + step if full else None)


def estimate(connection: sqlite3.Connection, extract: Extract) -> int:
    """Return about how many rows the extract has, from roll-ups where there are some."""
    window = extract.window
    if extract.resolution == RAW:
        numbers = [number for *_, number in _series(connection, extract)]
        begin_ms = window.start_ms - window.start_ms % HOUR_MS
        return sum(row[4] for row in buckets(
            connection, numbers, begin_ms, window.end_ms, BUCKET_MS['1d'], _EVERYTHING))
    return sum(len(buckets(
        connection, part.series, extract.begin_ms, window.end_ms, BUCKET_MS[extract.resolution],
        _EVERYTHING)) for part in parts(connection, extract))


def _series(
        connection: sqlite3.Connection, extract: Extract) -> Iterator[tuple[str, str, str, int]]:
    wanted = None if extract.metrics is None else set(extract.metrics)
    for row in connection.execute(
            'SELECT slug, metric, tags, series.id FROM series '
            "JOIN source ON source.id = series.source WHERE class = 'metric' "
            'AND slug IN (SELECT value FROM json_each(?)) ORDER BY slug, metric, tags',
            (json.dumps(extract.sources),)):
        if wanted is None or row[1] in wanted:
            yield row

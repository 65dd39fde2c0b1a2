# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the data API reads: functions of a read-only connection, run on reader threads.

A metric's or event's series (one for each set of tags) are read in the order of their key and
merged on the way, so that a limited answer reads little more than what it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import heapq
from itertools import islice
import json
from operator import itemgetter
import sqlite3
from typing import Any
from typing import NamedTuple

from plexus_bridge.gateway.storage.rollups import buckets
from plexus_bridge.gateway.storage.windows import Window

MAX_ROWS = 10_000
LATEST_WITHIN_MS = 3_600_000

Sample = tuple[int, int | float]


class SourceRow(NamedTuple):
    """A source that has sent; `newest_metric_ms` is its newest metric's stamp, None without."""

    source_id: str
    newest_metric_ms: int | None


class EventRow(NamedTuple):
    """A stored event; `value` is its text, or JSON text where it was none (section 12.4)."""

    timestamp_ms: int
    metric: str
    value: str
    tags: dict[str, str]


def sources(connection: sqlite3.Connection) -> list[SourceRow]:
    """Return every source that has sent anything, by name."""
    return [SourceRow(*row) for row in connection.execute(
        'SELECT slug, newest_metric_ms FROM source ORDER BY slug')]


def find_source(connection: sqlite3.Connection, slug: str) -> SourceRow | None:
    """Return one source, None if it never sent anything."""
    row = connection.execute(
        'SELECT slug, newest_metric_ms FROM source WHERE slug = ?', (slug,)).fetchone()
    return SourceRow(*row) if row else None


def metric_names(connection: sqlite3.Connection, slug: str) -> list[str]:
    """Return the names of all metrics that a source ever sent, sorted."""
    return list(_series(connection, slug, 'metric'))


def latest(connection: sqlite3.Connection, slug: str, now_ms: int) -> dict[str, int | float]:
    """Return each metric's newest value, if it was received within the last hour."""
    newest: dict[str, Sample] = {}
    rows = connection.execute(
        'SELECT series.id, metric FROM series JOIN source ON source.id = series.source '
        "WHERE slug = ? AND class = 'metric' AND received_ms >= ?",
        (slug, now_ms - LATEST_WITHIN_MS)).fetchall()
    for series, metric in rows:
        sample = connection.execute(
            'SELECT timestamp_ms, value FROM sample WHERE series = ? '
            'ORDER BY timestamp_ms DESC LIMIT 1', (series,)).fetchone()
        if sample and (metric not in newest or sample[0] > newest[metric][0]):
            newest[metric] = sample
    return {metric: newest[metric][1] for metric in sorted(newest)}


class QueryResult(NamedTuple):
    """Columns by metric (or source), and whether the cap on rows was reached."""

    series: dict[str, dict[str, Sequence[int | float]]]
    truncated: bool


def raw_samples(
        connection: sqlite3.Connection, slug: str, metrics: Iterable[str] | None,
        window: Window) -> QueryResult:
    """Return stored samples in time order, metric after metric, MAX_ROWS in all."""
    result: dict[str, dict[str, Sequence[int | float]]] = {}
    left = MAX_ROWS
    for metric, numbers in _series(connection, slug, 'metric', metrics).items():
        cursors = [connection.execute(
            'SELECT timestamp_ms, value FROM sample '
            'WHERE series = ? AND timestamp_ms >= ? AND timestamp_ms < ? ORDER BY timestamp_ms',
            (number, *window)) for number in numbers]
        rows = list(islice(_merged(cursors), left))
        if rows:
            stamps, values = zip(*rows, strict=True)
            result[metric] = {'timestamp_ms': stamps, 'value': values}
            left -= len(rows)
        if not left:
            break
    return QueryResult(result, not left)


def bucketed_samples(
        connection: sqlite3.Connection, slug: str, metrics: Iterable[str] | None,
        window: Window, bucket_ms: int) -> QueryResult:
    """Return minimum, maximum, mean and count of UTC-aligned buckets, MAX_ROWS in all."""
    return _bucketed(
        connection, _series(connection, slug, 'metric', metrics), window, bucket_ms)


def fleet_buckets(
        connection: sqlite3.Connection, metric: str, window: Window,
        bucket_ms: int) -> QueryResult:
    """Return one metric's buckets by source instead of by metric, MAX_ROWS in all."""
    found: dict[str, list[int]] = {}
    for slug, number in connection.execute(
            'SELECT slug, series.id FROM series JOIN source ON source.id = series.source '
            "WHERE class = 'metric' AND metric = ? ORDER BY slug", (metric,)):
        found.setdefault(slug, []).append(number)
    return _bucketed(connection, found, window, bucket_ms)


def _bucketed(
        connection: sqlite3.Connection, series: Mapping[str, list[int]], window: Window,
        bucket_ms: int) -> QueryResult:
    result: dict[str, dict[str, Sequence[int | float]]] = {}
    left = MAX_ROWS
    # A bucket that begins before the window is left out, rather than told by halves.
    start_ms = -(-window.start_ms // bucket_ms) * bucket_ms
    for name, numbers in series.items():
        rows = buckets(connection, numbers, start_ms, window.end_ms, bucket_ms, left)
        if rows:
            columns = ('timestamp_ms', 'min', 'max', 'avg', 'count')
            result[name] = dict(zip(columns, zip(*rows, strict=True), strict=True))
            left -= len(rows)
        if not left:
            break
    return QueryResult(result, not left)


def events(
        connection: sqlite3.Connection, slug: str, name: str | None, window: Window,
        limit: int) -> list[EventRow]:
    """Return the first events of a window in time order; those of one stamp as they arrived."""
    return list(islice(_events(connection, slug, name, window, 'ASC'), limit))


def last_events(
        connection: sqlite3.Connection, slug: str, name: str | None, count: int) -> list[EventRow]:
    """Return the newest events of all time, in time order."""
    everything = Window(0, 2**62)
    return list(islice(_events(connection, slug, name, everything, 'DESC'), count))[::-1]


def _events(
        connection: sqlite3.Connection, slug: str, name: str | None, window: Window,
        order: str) -> Iterator[EventRow]:
    rows = connection.execute(
        'SELECT series.id, metric, tags FROM series JOIN source ON source.id = series.source '
        "WHERE slug = :slug AND class = 'event' AND (:name IS NULL OR metric = :name)",
        {'slug': slug, 'name': name}).fetchall()
    series = {number: (metric, json.loads(tags)) for number, metric, tags in rows}
    cursors = [connection.execute(
        'SELECT timestamp_ms, arrival, value, series FROM event WHERE series = ? '
        'AND timestamp_ms >= ? AND timestamp_ms < ? '
        f'ORDER BY timestamp_ms {order}, arrival {order}, value {order}',
        (number, *window)) for number in series]
    for stamp, _, value, number in _merged(
            cursors, itemgetter(0, 1), reverse=order == 'DESC'):
        metric, tags = series[number]
        yield EventRow(stamp, metric, _event_value(value), tags)


def _event_value(text: str) -> str:
    # Kept as JSON, which tells the text "3" from the number 3; told as text.
    return json.loads(text) if text.startswith('"') else text


def _series(
        connection: sqlite3.Connection, slug: str, point_class: str,
        names: Iterable[str] | None = None) -> dict[str, list[int]]:
    """Return the series' numbers by name, sorted by name."""
    wanted = None if names is None else set(names)
    found: dict[str, list[int]] = {}
    for metric, number in connection.execute(
            'SELECT metric, series.id FROM series JOIN source ON source.id = series.source '
            'WHERE slug = ? AND class = ? ORDER BY metric', (slug, point_class)):
        if wanted is None or metric in wanted:
            found.setdefault(metric, []).append(number)
    return found


def _merged(cursors: Sequence[Iterable[Any]], key: Callable[[Any], Any] = itemgetter(0), *,
            reverse: bool = False) -> Iterator[Any]:
    if len(cursors) == 1:
        return iter(cursors[0])
    return heapq.merge(*cursors, key=key, reverse=reverse)

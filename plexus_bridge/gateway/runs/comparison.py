# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs side by side: their metrics over the time since the start of each, T+0."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import json
import sqlite3
from typing import Any

from plexus_bridge.gateway.runs.runs import Run

MAX_RUNS = 20
POINTS = 500
MAX_POINTS = 5000
# Of all columns of an answer together; with more the rest is left out, and that is told.
MAX_ROWS = 100_000

_NAMES = ('t_ms', 'min', 'max', 'avg', 'count')


def compare(
        connection: sqlite3.Connection, runs: Sequence[Run], metrics: Sequence[str] | None,
        points: int, now_ms: int) -> dict[str, Any]:
    """
    Return, by run, source and metric, statistics of buckets of time as columns.

    `t_ms` is the time since the run's start at which a bucket begins; the buckets have one width
    for all runs, `bucket_ms`, which gives the longest run about `points` of them.
    """
    longest = max(_end(run, now_ms) - run.started_ms for run in runs)
    bucket_ms = max(1, -(-max(longest, 1) // points))
    left = MAX_ROWS
    told = []
    for run in runs:
        series: dict[str, dict[str, Any]] = {}
        for slug, metric, numbers in _series(connection, run.source_id, metrics):
            rows = _buckets(connection, run, numbers, bucket_ms, now_ms, left)
            if rows:
                left -= len(rows)
                series.setdefault(slug, {})[metric] = dict(
                    zip(_NAMES, zip(*rows, strict=True), strict=True))
            if left <= 0:
                break
        told.append({'run': run.told(), 'series': series})
    return {'bucket_ms': bucket_ms, 'truncated': left <= 0, 'runs': told}


def _buckets(
        connection: sqlite3.Connection, run: Run, numbers: Sequence[int], bucket_ms: int,
        now_ms: int, limit: int) -> list[tuple[Any, ...]]:
    return connection.execute(
        'SELECT (timestamp_ms - :start) / :bucket * :bucket, min(value), max(value), avg(value), '
        'count(*) FROM sample WHERE series IN (SELECT value FROM json_each(:series)) '
        'AND timestamp_ms BETWEEN :start AND :end GROUP BY 1 ORDER BY 1 LIMIT :limit',
        {'start': run.started_ms, 'end': _end(run, now_ms), 'bucket': bucket_ms,
         'series': json.dumps(numbers), 'limit': limit}).fetchall()


def _end(run: Run, now_ms: int) -> int:
    return max(run.started_ms, now_ms if run.ended_ms is None else run.ended_ms)


def _series(
        connection: sqlite3.Connection, source_id: str | None, metrics: Iterable[str] | None,
        ) -> list[tuple[str, str, list[int]]]:
    """Return source, metric and the numbers of its series (one for each set of tags)."""
    wanted = None if metrics is None else set(metrics)
    found: dict[tuple[str, str], list[int]] = {}
    for slug, metric, number in connection.execute(
            'SELECT slug, metric, series.id FROM series JOIN source ON source.id = series.source '
            "WHERE class = 'metric' AND (:source IS NULL OR slug = :source) "
            'ORDER BY slug, metric', {'source': source_id}):
        if wanted is None or metric in wanted:
            found.setdefault((slug, metric), []).append(number)
    return [(slug, metric, numbers) for (slug, metric), numbers in found.items()]

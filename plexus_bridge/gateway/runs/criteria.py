# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Pass criteria of runs (protocol section 10.5): judged over every stored point of the window.

A criterion passes if all points of its metric satisfy it; without any point it fails. Both ends
of the window belong to it. Points of all tags count, and of all sources for a run without one.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
import math
import sqlite3
from typing import Any

from plexus_bridge.errors import PointError
from plexus_bridge.errors import RequestError
from plexus_bridge.gateway.fields import Fields
from plexus_bridge.gateway.fields import shown
from plexus_bridge.points import check_name

MAX_CRITERIA = 100
MAX_LABEL = 200

# As SQL says them.
OPERATORS = {'>': '>', '>=': '>=', '<': '<', '<=': '<=', '=': '=', '!=': '<>'}


@dataclass(frozen=True)
class Criterion:
    """`metric operator value` must hold for every point."""

    metric: str
    operator: str
    value: int | float
    label: str

    def told(self) -> dict[str, Any]:
        """Return the criterion as the API tells it."""
        return {'metric': self.metric, 'operator': self.operator, 'value': self.value,
                'label': self.label}


def read_criteria(raw: Sequence[Any]) -> list[Criterion]:
    """Check the criteria of a request; RequestError 400 names the first that is wrong."""
    return [_read_criterion(f'pass_criteria[{index}]', each) for index, each in enumerate(raw)]


def _read_criterion(where: str, raw: Any) -> Criterion:
    if not isinstance(raw, dict):
        raise RequestError(400, f'{where}: saw {shown(raw)}, expected an object')
    try:
        check_name(raw.get('metric'))
        fields = Fields(raw)
        operator = fields.choice('operator', tuple(OPERATORS))
        label = fields.text('label', MAX_LABEL, default='')
    except (PointError, RequestError) as error:
        raise RequestError(400, f'{where}.{error}') from None
    value: Any = raw.get('value')
    number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        if not number or not math.isfinite(value):
            raise OverflowError
        # SQLite's integers have 64 bits, as the samples that it is compared with.
        value = value if isinstance(value, float) or abs(value) < 2**63 else float(value)
    except OverflowError:
        raise RequestError(
            400, f'{where}.value: saw {shown(value)}, expected a finite number') from None
    return Criterion(str(raw['metric']), operator, value, label)


@dataclass(frozen=True)
class Span:
    """Which points are judged: of a source or all, from one stamp to another, both included."""

    source_id: str | None
    start_ms: int
    end_ms: int


def evaluate(
        connection: sqlite3.Connection, criteria: Iterable[Criterion], span: Span,
        ) -> list[dict[str, Any]]:
    """Return what became of each criterion, as `criteria_results` tells it."""
    return [_evaluate(connection, criterion, span) for criterion in criteria]


def count_points(
        connection: sqlite3.Connection, criteria: Iterable[Criterion], span: Span) -> int:
    """Return how many points `evaluate` would judge, which is quicker."""
    return sum(
        connection.execute(
            'SELECT count(*) FROM sample WHERE series = ? AND timestamp_ms BETWEEN ? AND ?',
            (series, span.start_ms, span.end_ms)).fetchone()[0]
        for criterion in criteria
        for series, _ in _series(connection, criterion.metric, span.source_id))


def _evaluate(connection: sqlite3.Connection, criterion: Criterion, span: Span) -> dict[str, Any]:
    holds = f'value {OPERATORS[criterion.operator]} ?'
    points = failed = 0
    lowest: list[int | float] = []
    highest: list[int | float] = []
    first: tuple[int, int | float, str] | None = None
    for series, slug in _series(connection, criterion.metric, span.source_id):
        count, low, high, good = connection.execute(
            f'SELECT count(*), min(value), max(value), count(*) FILTER (WHERE {holds}) '
            'FROM sample WHERE series = ? AND timestamp_ms BETWEEN ? AND ?',
            (criterion.value, series, span.start_ms, span.end_ms)).fetchone()
        if not count:
            continue
        points += count
        failed += count - good
        lowest.append(low)
        highest.append(high)
        if good < count:
            stamp, value = connection.execute(
                'SELECT timestamp_ms, value FROM sample WHERE series = ? AND timestamp_ms '
                f'BETWEEN ? AND ? AND NOT ({holds}) ORDER BY timestamp_ms LIMIT 1',
                (series, span.start_ms, span.end_ms, criterion.value)).fetchone()
            if first is None or stamp < first[0]:
                first = (stamp, value, slug)
    return {**criterion.told(), 'passed': points > 0 and failed == 0, 'points': points,
            'failed_points': failed, 'min': min(lowest, default=None),
            'max': max(highest, default=None),
            'first_failure': None if first is None else {
                'timestamp_ms': first[0], 'value': first[1], 'source_id': first[2]},
            'reason': _reason(criterion, points, failed)}


def _reason(criterion: Criterion, points: int, failed: int) -> str:
    if not points:
        return f'no point of {criterion.metric} in the window'
    rule = f'{criterion.metric} {criterion.operator} {criterion.value}'
    return (f'{rule} does not hold for {failed} of {points} points' if failed
            else f'{rule} holds for all {points} points')


def _series(
        connection: sqlite3.Connection, metric: str, source_id: str | None,
        ) -> list[tuple[int, str]]:
    return connection.execute(
        'SELECT series.id, slug FROM series JOIN source ON source.id = series.source '
        "WHERE class = 'metric' AND metric = :metric AND (:source IS NULL OR slug = :source)",
        {'metric': metric, 'source': source_id}).fetchall()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Runs (protocol section 10) as the database keeps them.

The functions that take a connection are handed to `Store.execute` and `Store.read`.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
import sqlite3
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.errors import RequestError
from plexus_bridge.gateway import sources
from plexus_bridge.gateway.access.keys import ORGANISATION
from plexus_bridge.gateway.instants import write_instant
from plexus_bridge.gateway.runs.criteria import count_points
from plexus_bridge.gateway.runs.criteria import Criterion
from plexus_bridge.gateway.runs.criteria import evaluate
from plexus_bridge.gateway.runs.criteria import Span

STATUSES = ('active', 'completed', 'aborted')
MAX_LISTED = 100

_COLUMNS = ('id, name, source_id, status, started_ms, ended_ms, tags, metadata, pass_criteria, '
            'test_result, created_by, created_ms, updated_ms')


@dataclass(frozen=True)
class Run:
    """One run; times are Unix ms, `source_id` None for a run of all sources."""

    id: str
    name: str
    source_id: str | None
    status: str
    started_ms: int
    ended_ms: int | None = None
    tags: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    pass_criteria: tuple[Criterion, ...] = ()
    test_result: dict[str, Any] | None = None
    created_by: str = ''
    created_ms: int = 0
    updated_ms: int = 0

    def told(self) -> dict[str, Any]:
        """Return the run as the API tells it (section 10.1)."""
        return {
            'id': self.id, 'org_id': ORGANISATION, 'name': self.name,
            'source_id': self.source_id, 'status': self.status,
            'started_at': write_instant(self.started_ms),
            'ended_at': write_instant(self.ended_ms), 'tags': self.tags,
            'metadata': self.metadata,
            'pass_criteria': [each.told() for each in self.pass_criteria],
            'test_result': self.test_result, 'created_by': self.created_by,
            'created_at': write_instant(self.created_ms),
            'updated_at': write_instant(self.updated_ms)}

    @property
    def span(self) -> Span | None:
        """What is judged, None while the run goes on."""
        return None if self.ended_ms is None else Span(
            self.source_id, self.started_ms, self.ended_ms)


def settled(run: Run, now_ms: int, *, known: Run | None = None) -> Run:
    """
    Return the run with status and end in agreement, and no verdict of another window.

    An end given to an active run completes it (section 10.2), an end is given to one that is
    closed, one that is made active again has none. RequestError 400 if it ends before it starts.
    """
    if run.status == 'active' and run.ended_ms is not None and (
            known is None or known.ended_ms != run.ended_ms):
        run = replace(run, status='completed')
    if run.status == 'active':
        run = replace(run, ended_ms=None)
    elif run.ended_ms is None:
        run = replace(run, ended_ms=max(now_ms, run.started_ms))
    if run.ended_ms is not None and run.ended_ms < run.started_ms:
        raise RequestError(400, f'ended_at: saw {write_instant(run.ended_ms)}, which is before '
                           f'started_at, {write_instant(run.started_ms)}')
    if known is not None and _judged(run) != _judged(known):
        run = replace(run, test_result=None)
    return run


def _judged(run: Run) -> object:
    return run.span, run.status, run.pass_criteria


def create(connection: sqlite3.Connection, run: Run) -> Run:
    """Keep a new run; RequestError 404 if its source is not known (section 10.4)."""
    if run.source_id is not None and not sources.exists(connection, run.source_id):
        raise RequestError(404, f'source {run.source_id} not found')
    keep(connection, run)
    return run


def edit(connection: sqlite3.Connection, run_id: str, changes: dict[str, Any],
         now_ms: int) -> Run:
    """Change the fields of a run that `changes` names; RequestError 404, or 400 as `settled`."""
    known = find(connection, run_id)
    if known is None:
        raise RequestError(404, 'no such run')
    source_id = changes.get('source_id', known.source_id)
    if source_id is not None and source_id != known.source_id \
            and not sources.exists(connection, source_id):
        raise RequestError(404, f'source {source_id} not found')
    run = settled(replace(known, **changes, updated_ms=now_ms), now_ms, known=known)
    keep(connection, run)
    return run


def delete(connection: sqlite3.Connection, run_id: str) -> bool:
    """Forget a run, not its points; False if there is none."""
    return connection.execute('DELETE FROM run WHERE id = ?', (run_id,)).rowcount == 1


def judge(connection: sqlite3.Connection, run: Run, now_ms: int) -> dict[str, Any] | None:
    """
    Return the verdict on a closed run, None if there is nothing to say or nothing new.

    A verdict is new if points came after the last one. One over fewer points than the last never
    takes its place: they have become too old to be kept.
    """
    span = run.span
    if span is None or not run.pass_criteria:
        return None
    known = run.test_result
    if known is not None and count_points(connection, run.pass_criteria, span) <= known['points']:
        return None
    results = evaluate(connection, run.pass_criteria, span)
    # What was broken off has shown nothing, whatever its points say.
    passed = run.status == 'completed' and all(result['passed'] for result in results)
    return {'passed': passed, 'criteria_results': results,
            'points': sum(result['points'] for result in results),
            'evaluated_at': write_instant(now_ms)}


def keep_verdict(connection: sqlite3.Connection, run: Run, verdict: dict[str, Any]) -> Run | None:
    """Keep a verdict on a run unless the run was changed meanwhile; return the run as it is."""
    known = find(connection, run.id)
    if known is None or _judged(known) != _judged(run):
        return known
    judged = replace(known, test_result=verdict)
    keep(connection, judged)
    return judged


def find(connection: sqlite3.Connection, run_id: str) -> Run | None:
    """Return a run, None if there is none."""
    row = connection.execute(f'SELECT {_COLUMNS} FROM run WHERE id = ?', (run_id,)).fetchone()
    return None if row is None else _read(row)


def newest(
        connection: sqlite3.Connection, source_id: str | None, status: str | None,
        limit: int) -> list[Run]:
    """Return the newest runs by their start, of one source or all, of one status or all."""
    return [_read(row) for row in connection.execute(
        f'SELECT {_COLUMNS} FROM run WHERE (:source IS NULL OR source_id = :source) '
        'AND (:status IS NULL OR status = :status) ORDER BY started_ms DESC, created_ms DESC '
        'LIMIT :limit', {'source': source_id, 'status': status, 'limit': limit})]


def keep(connection: sqlite3.Connection, run: Run) -> None:
    """Write a run as it is."""
    texts = (encoding.dumps(value).decode() for value in (
        run.tags, run.metadata, [each.told() for each in run.pass_criteria], run.test_result))
    connection.execute(
        f'INSERT OR REPLACE INTO run ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        (run.id, run.name, run.source_id, run.status, run.started_ms, run.ended_ms, *texts,
         run.created_by, run.created_ms, run.updated_ms))


def _read(row: tuple[Any, ...]) -> Run:
    values: list[Any] = list(row)
    values[6:10] = (encoding.loads(text) for text in row[6:10])
    values[8] = tuple(Criterion(**each) for each in values[8])
    return Run(*values)

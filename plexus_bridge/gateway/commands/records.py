# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs of commands and the devices' introductions in the database."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import astuple
from dataclasses import dataclass
from dataclasses import fields
import sqlite3
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.gateway.commands.run import FAILED
from plexus_bridge.gateway.commands.run import Run
from plexus_bridge.gateway.commands.run import SUCCEEDED

# Driving by hand makes twenty runs a second: of each source so many are kept, and of those that
# have ended the oldest go first.
MAX_RUNS = 20_000
MAX_OPEN_RUNS = 1_000

TABLES = '''
CREATE TABLE IF NOT EXISTS command_run (
    run_id TEXT PRIMARY KEY,
    source_id TEXT NOT NULL,
    command TEXT NOT NULL,
    params TEXT NOT NULL,
    dialect TEXT NOT NULL,
    operator TEXT NOT NULL,
    idempotent INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    seq INTEGER NOT NULL,
    progress REAL,
    message TEXT,
    result TEXT,
    error_code TEXT,
    error_message TEXT,
    updated_ms INTEGER NOT NULL,
    final_word INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS command_run_of_source ON command_run (source_id, created_ms);
CREATE TABLE IF NOT EXISTS command_status (
    run_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, attempt, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS device (
    source_id TEXT PRIMARY KEY,
    seen_ms INTEGER NOT NULL,
    hello TEXT NOT NULL,
    commands TEXT NOT NULL
) WITHOUT ROWID
'''

_COLUMNS = ', '.join(field.name for field in fields(Run))
_PLACES = ', '.join('?' for _ in fields(Run))
_IN_JSON = ('params', 'result')


@dataclass(frozen=True)
class Status:
    """One status of a run as the device sent it."""

    run_id: str
    attempt: int
    seq: int
    received_ms: int
    body: str


@dataclass(frozen=True)
class DeviceRow:
    """What a device last said of itself, and when it was last heard (Unix ms)."""

    seen_ms: int
    hello: dict[str, Any]
    commands: dict[str, Any]


def row_of(run: Run) -> tuple[Any, ...]:
    """Return a run's row as it is now."""
    return tuple(
        encoding.dumps(getattr(run, field.name)).decode() if field.name in _IN_JSON
        else getattr(run, field.name) for field in fields(Run))


def save(
        connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]],
        statuses: Iterable[Status]) -> None:
    """Write runs, as rows of `row_of`, and statuses that came."""
    connection.executemany(
        f'INSERT OR REPLACE INTO command_run ({_COLUMNS}) VALUES ({_PLACES})', rows)
    connection.executemany(
        'INSERT OR IGNORE INTO command_status (run_id, attempt, seq, received_ms, body) '
        'VALUES (?, ?, ?, ?, ?)', [astuple(status) for status in statuses])


def prune(connection: sqlite3.Connection, source_id: str) -> None:
    """Forget the oldest ended runs of a source beyond MAX_RUNS."""
    gone = [row[0] for row in connection.execute(
        'SELECT run_id FROM command_run WHERE source_id = ? AND state IN (?, ?) '
        'ORDER BY created_ms DESC LIMIT -1 OFFSET ?', (source_id, SUCCEEDED, FAILED, MAX_RUNS))]
    for run_id in gone:
        connection.execute('DELETE FROM command_run WHERE run_id = ?', (run_id,))
        connection.execute('DELETE FROM command_status WHERE run_id = ?', (run_id,))


def find_run(connection: sqlite3.Connection, source_id: str, run_id: str) -> Run | None:
    """Return a run of a source."""
    for run in _read(connection, 'WHERE run_id = ? AND source_id = ?', (run_id, source_id)):
        return run
    return None


def list_runs(
        connection: sqlite3.Connection, source_id: str, state: str | None, command: str | None,
        limit: int) -> list[Run]:
    """Return the newest runs of a source, the newest first."""
    where, values = 'WHERE source_id = ?', [source_id]
    for column, value in (('state', state), ('command', command)):
        if value is not None:
            where += f' AND {column} = ?'
            values.append(value)
    return _read(connection, f'{where} ORDER BY created_ms DESC, run_id LIMIT ?', (*values, limit))


def open_runs(connection: sqlite3.Connection) -> list[Run]:
    """Return the newest runs of whose end no device has told, for a gateway that starts again."""
    return _read(connection, 'WHERE final_word = 0 ORDER BY created_ms DESC LIMIT ?',
                 (MAX_OPEN_RUNS,))


def statuses_of(connection: sqlite3.Connection, run_id: str) -> list[dict[str, Any]]:
    """Return the statuses of a run in the order in which they came."""
    return [
        {**encoding.loads(body), 'attempt': attempt, 'received_ms': received_ms}
        for attempt, received_ms, body in connection.execute(
            'SELECT attempt, received_ms, body FROM command_status WHERE run_id = ? '
            'ORDER BY received_ms, attempt, seq', (run_id,))]


def save_device(connection: sqlite3.Connection, source_id: str, device: DeviceRow) -> None:
    """Keep what a device said of itself."""
    connection.execute(
        'INSERT OR REPLACE INTO device (source_id, seen_ms, hello, commands) VALUES (?, ?, ?, ?)',
        (source_id, device.seen_ms, encoding.dumps(device.hello).decode(),
         encoding.dumps(device.commands).decode()))


def note_seen(connection: sqlite3.Connection, source_id: str, seen_ms: int) -> None:
    """Note when a device was last heard."""
    connection.execute(
        'UPDATE device SET seen_ms = ? WHERE source_id = ?', (seen_ms, source_id))


def find_device(connection: sqlite3.Connection, source_id: str) -> DeviceRow | None:
    """Return what a device last said of itself."""
    row = connection.execute(
        'SELECT seen_ms, hello, commands FROM device WHERE source_id = ?',
        (source_id,)).fetchone()
    return DeviceRow(row[0], encoding.loads(row[1]), encoding.loads(row[2])) if row else None


def _read(
        connection: sqlite3.Connection, condition: str, values: tuple[Any, ...]) -> list[Run]:
    runs = []
    for row in connection.execute(f'SELECT {_COLUMNS} FROM command_run {condition}', values):
        named: Mapping[str, Any] = dict(zip((field.name for field in fields(Run)), row,
                                            strict=True))
        runs.append(Run(**{
            **named, **{name: encoding.loads(named[name]) for name in _IN_JSON},
            'idempotent': bool(named['idempotent']), 'final_word': bool(named['final_word'])}))
    return runs

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Which runs there were, on disk: after a restart none of them happens a second time.

A small SQLite file in WAL mode. What was begun is safe from a power cut before the command starts;
ends are safe from any end of the process.
"""

from __future__ import annotations

from collections.abc import Iterable
import json
import os
from pathlib import Path
import sqlite3
import threading
import time

from plexus_bridge import encoding
from plexus_bridge.errors import JournalError
from plexus_bridge.protocol.commands import MAX_RUNS
from plexus_bridge.protocol.commands import RunRecord

SCHEMA_VERSION = 1
_SCHEMA = '''
CREATE TABLE runs (
  number INTEGER PRIMARY KEY,
  run_id TEXT NOT NULL,
  origin TEXT NOT NULL,
  command TEXT NOT NULL,
  state TEXT NOT NULL,
  seq INTEGER NOT NULL,
  acked INTEGER NOT NULL,
  result TEXT,
  error_code TEXT NOT NULL,
  error_message TEXT NOT NULL,
  UNIQUE (run_id, origin)
) STRICT;
'''
_SAVE = '''
INSERT INTO runs (run_id, origin, command, state, seq, acked, result, error_code, error_message)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_id, origin) DO UPDATE SET state = excluded.state, seq = excluded.seq,
  acked = excluded.acked, result = excluded.result, error_code = excluded.error_code,
  error_message = excluded.error_message
'''
_FORGET = ('DELETE FROM runs WHERE number NOT IN '
           '(SELECT number FROM runs ORDER BY number DESC LIMIT ?)', (MAX_RUNS,))
# Progress has taken numbers that are nowhere on disk, one a second at most: 11 days of it.
_SEQ_GAP = 1_000_000
INTERRUPTED = ('the program ended while this command was in progress; whether it took effect is '
               'not known, and it is not run again')


class RunMemory:
    """
    The file; any thread may use it.

    JournalError if it cannot be used or written; a damaged file is set aside (`set_aside` names
    it) and a new one begun.
    """

    def __init__(self, path: Path):
        self.path = path
        self.set_aside: Path | None = None
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise JournalError(f'{path}: cannot be opened: {error}') from None

    def load(self) -> list[RunRecord]:
        """Return the runs of earlier processes; what was in progress then has failed."""
        try:
            rows = self._database.execute(
                'SELECT run_id, origin, command, state, seq, acked, result, error_code, '
                'error_message FROM runs ORDER BY number DESC LIMIT ?', (MAX_RUNS,)).fetchall()
        except sqlite3.Error as error:
            raise JournalError(f'{self.path}: cannot be read: {error}') from None
        records = [_record(*row) for row in reversed(rows)]
        interrupted = [record for record in records if not record.final]
        for record in interrupted:
            record.state = 'failed'
            record.error_code = 'handler_error'
            record.error_message = INTERRUPTED
            record.seq += _SEQ_GAP
        self.save(interrupted)
        return records

    def save(self, records: Iterable[RunRecord], *, durable: bool = False) -> None:
        """Write runs as they are now; `durable`: a power cut cannot take it back."""
        rows = [(record.run_id, record.origin, record.command, record.state, record.seq,
                 record.acked, _text(record), record.error_code, record.error_message)
                for record in records]
        if not rows:
            return
        try:
            with self._lock:
                self._database.execute(f'PRAGMA synchronous = {"FULL" if durable else "NORMAL"}')
                with self._database:
                    self._database.executemany(_SAVE, rows)
                    self._database.execute(*_FORGET)
        except sqlite3.Error as error:
            raise JournalError(f'{self.path}: cannot be written: {error}') from None

    def close(self) -> None:
        """Let go of the file; doing so twice is harmless."""
        with self._lock:
            self._database.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._open_file()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self.set_aside = self.path.with_name(
                f'{self.path.name}.damaged-{time.strftime("%Y%m%dT%H%M%S")}')
            os.replace(self.path, self.set_aside)
            for suffix in ('-wal', '-shm'):
                Path(f'{self.path}{suffix}').unlink(missing_ok=True)
        return self._open_file()

    def _open_file(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, check_same_thread=False, timeout=5)
        try:
            os.chmod(self.path, 0o600)
            database.execute('PRAGMA journal_mode = WAL')
            version = database.execute('PRAGMA user_version').fetchone()[0]
            if version > SCHEMA_VERSION:
                raise JournalError(
                    f'{self.path}: saw schema version {version}, expected at most '
                    f'{SCHEMA_VERSION}; it was written by a newer plexus_bridge')
            if version == 0:
                database.executescript(f'{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};')
            database.execute('SELECT COUNT(*) FROM runs')
        except BaseException:
            database.close()
            raise
        return database


def _text(record: RunRecord) -> str | None:
    return None if record.result is None else encoding.dumps(record.result).decode()


def _record(*row: object) -> RunRecord:
    run_id, origin, command, state, seq, acked, result, code, message = row
    return RunRecord(
        str(run_id), str(command), str(state), int(str(seq)), int(str(acked)),  # type: ignore[arg-type]
        None if result is None else json.loads(str(result)), str(code), str(message),
        str(origin), ran=True)


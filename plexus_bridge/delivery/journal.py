# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Frames on disk until they are acknowledged: SQLite in WAL mode, one file for each source.

One thread writes (`Journal`), another reads the backlog (`Backlog`); WAL lets them.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import fcntl
import os
from pathlib import Path
import sqlite3
import time

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.errors import JournalError

SCHEMA_VERSION = 1
_SCHEMA = '''
CREATE TABLE frames (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  lane INTEGER NOT NULL,
  points INTEGER NOT NULL,
  made_ms INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX frames_by_lane ON frames (lane, key);
'''
# A row costs about this much beside its body.
_ROW_BYTES = 64
_EVICTED_AT_ONCE = 256


class Journal:
    """
    The writing end; used by one thread.

    JournalError if the file belongs to another process, is newer than this program, or cannot be
    used; a damaged file is set aside (`set_aside` names it) and a new one begun.
    """

    def __init__(self, path: Path, max_bytes: int, counters: Counters):
        self.path = path
        self.set_aside: Path | None = None
        self._max_bytes = max_bytes
        self._counters = counters
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _lock(path)
        except OSError as error:
            raise JournalError(f'{path}: cannot be made: {error.strerror}') from None
        try:
            self._database = self._open()
        except OSError as error:
            os.close(self._lock)
            raise JournalError(f'{path}: cannot be opened: {error.strerror}') from None
        except BaseException:
            os.close(self._lock)
            raise
        row = self._database.execute(
            'SELECT COALESCE(SUM(LENGTH(body) + ?), 0), COALESCE(SUM(points), 0) FROM frames',
            (_ROW_BYTES,)).fetchone()
        self._bytes: int = row[0]
        self._points: int = row[1]

    @property
    def last_key(self) -> int:
        """The key of the newest frame that was ever written here, 0 if there was none."""
        row = self._database.execute('SELECT seq FROM sqlite_sequence').fetchone()
        return int(row[0]) if row else 0

    @property
    def size_bytes(self) -> int:
        """How much is kept."""
        return self._bytes

    @property
    def points(self) -> int:
        """How many points are kept."""
        return self._points

    def write(self, frames: Iterable[Frame], settled: Sequence[Frame]) -> list[Frame]:
        """
        Keep new frames and let settled ones go, in one transaction.

        Returns the frames with their keys. Raises JournalError if the disk refuses.
        """
        try:
            with self._database:
                self._forget(settled)
                kept = [self._insert(frame) for frame in frames]
                self._evict()
            return kept
        except sqlite3.Error as error:
            self._recount()
            raise JournalError(f'{self.path}: cannot be written: {error}') from None

    def close(self) -> None:
        """Write out and let go of the file; doing so twice is harmless."""
        self._database.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _insert(self, frame: Frame) -> Frame:
        cursor = self._database.execute(
            'INSERT INTO frames (lane, points, made_ms, body) VALUES (?, ?, ?, ?)',
            (int(frame.lane), frame.points, frame.made_ms, frame.points_json))
        self._bytes += len(frame.points_json) + _ROW_BYTES
        self._points += frame.points
        return frame._replace(key=cursor.lastrowid or 0)

    def _forget(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            # A frame that made room for others is gone already, so what goes is counted.
            if self._database.execute(
                    'DELETE FROM frames WHERE key = ?', (frame.key,)).rowcount:
                self._bytes -= len(frame.points_json) + _ROW_BYTES
                self._points -= frame.points

    def _evict(self) -> None:
        """Make room: the oldest bulk first, then the oldest of all."""
        for condition in ('lane = ?', 'lane != ?'):
            while self._bytes > self._max_bytes and self._evict_some(condition):
                pass

    def _evict_some(self, condition: str) -> bool:
        """Let the oldest go of those that fit, found by an index; False if there are none."""
        rows = self._database.execute(
            f'SELECT key, LENGTH(body), points FROM frames WHERE {condition} '
            'ORDER BY key LIMIT ?', (int(Lane.BULK), _EVICTED_AT_ONCE)).fetchall()
        last_key = 0
        for key, size, points in rows:
            if self._bytes <= self._max_bytes:
                break
            last_key = key
            self._bytes -= size + _ROW_BYTES
            self._points -= points
            self._counters.drop('journal_full', points)
        self._database.execute(
            f'DELETE FROM frames WHERE {condition} AND key <= ?', (int(Lane.BULK), last_key))
        return bool(rows)

    def _recount(self) -> None:
        try:
            self._bytes, self._points = self._database.execute(
                'SELECT COALESCE(SUM(LENGTH(body) + ?), 0), COALESCE(SUM(points), 0) FROM frames',
                (_ROW_BYTES,)).fetchone()
        except sqlite3.Error:
            return  # the next write tells

    def _open(self) -> sqlite3.Connection:
        try:
            return self._open_file()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise JournalError(f'{self.path}: cannot be opened: {error}') from None
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
            # In WAL mode NORMAL survives every end of the process; only a power cut can take
            # the last transactions, and never damages the file.
            database.execute('PRAGMA synchronous = NORMAL')
            version = database.execute('PRAGMA user_version').fetchone()[0]
            if version > SCHEMA_VERSION:
                raise JournalError(
                    f'{self.path}: saw schema version {version}, expected at most '
                    f'{SCHEMA_VERSION}; it was written by a newer plexus_bridge')
            if version == 0:
                database.executescript(f'{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};')
            database.execute('SELECT COUNT(*) FROM frames')
        except BaseException:
            database.close()
            raise
        return database


class Backlog:
    """The reading end, for the thread that sends; opened when first used."""

    def __init__(self, path: Path):
        self._path = path
        self._database: sqlite3.Connection | None = None

    def read(self, lane: Lane, after: int, before: int, max_bytes: int) -> list[Frame]:
        """
        Return the oldest frames of a lane with after < key < before, at least one if any.

        JournalError says that the next one cannot be read.
        """
        frames: list[Frame] = []
        size = 0
        try:
            with contextlib.closing(self._select(lane, after, before)) as rows:
                for key, row_lane, points, made_ms, body in rows:
                    size += len(body)
                    frames.append(Frame(key, Lane(row_lane), points, made_ms, body))
                    if size >= max_bytes:
                        break
        except (sqlite3.Error, TypeError, ValueError) as error:
            # What comes before the damage can be had; the next call meets the damage itself.
            if not frames:
                self.close()
                raise JournalError(
                    f'{self._path}: frames cannot be read back: {error}') from None
        return frames

    def _select(self, lane: Lane, after: int, before: int) -> sqlite3.Cursor:
        if self._database is None:
            self._database = sqlite3.connect(
                f'{self._path.absolute().as_uri()}?mode=ro', uri=True, timeout=5)
        return self._database.execute(
            'SELECT key, lane, points, made_ms, body FROM frames '
            'WHERE lane = ? AND key > ? AND key < ? ORDER BY key', (int(lane), after, before))

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None


def _lock(path: Path) -> int:
    """Take the file for this process alone; the lock ends with the process, however it ends."""
    lock = os.open(f'{path}.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode(errors='replace').strip()
        os.close(lock)
        raise JournalError(
            f'{path}: is in use by another process{f" ({owner})" if owner else ""}; give each '
            'robot on this machine its own source_id, or end the other bridge') from None
    os.ftruncate(lock, 0)
    os.write(lock, f'pid {os.getpid()}\n'.encode())
    return lock

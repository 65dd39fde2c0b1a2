# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The journal's file: its schema and versions, its keys, and what can be read of a damaged one."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import sqlite3
import time
import zlib

from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.errors import JournalError

SCHEMA_VERSION = 2
_SCHEMA = '''
CREATE TABLE frames (
  key INTEGER PRIMARY KEY,
  points INTEGER NOT NULL,
  made_ms INTEGER NOT NULL,
  crc INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE TABLE losses (
  reason TEXT PRIMARY KEY,
  points INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms INTEGER NOT NULL
) STRICT;
'''
# A flush writes a frame of some ten kB: with larger pages it takes fewer of them.
_PAGE_BYTES = 16384
_CHECKPOINT_PAGES = 250
# A frame's key: its lane in the upper bits, a number that grows in the lower.
_NUMBER_BITS = 48
# When searching the next readable row behind damage, so far at most.
_FURTHEST_STEP = 1 << 24


def first_key(lane: int) -> int:
    """Return the least key that a frame of a lane can have."""
    return lane << _NUMBER_BITS


def key_of(lane: Lane, number: int) -> int:
    """Return the key of a lane's frame with this number."""
    return first_key(lane) | number


def lane_of(key: int) -> Lane:
    """Return the lane that a key says."""
    return Lane(key >> _NUMBER_BITS)


def number_of(key: int) -> int:
    """Return the number in a key: of two frames the later one has the greater."""
    return key & ((1 << _NUMBER_BITS) - 1)


def open_file(path: Path) -> sqlite3.Connection:
    """Open or make a journal; sqlite3.DatabaseError says that it is damaged."""
    database = sqlite3.connect(path, check_same_thread=False, timeout=5)
    try:
        os.chmod(path, 0o600)
        database.execute(f'PRAGMA page_size = {_PAGE_BYTES}')
        database.execute('PRAGMA journal_mode = WAL')
        # In WAL mode NORMAL survives every end of the process; only a power cut can take
        # the last transactions, and never damages the file.
        database.execute('PRAGMA synchronous = NORMAL')
        database.execute(f'PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}')
        # Debian's SQLite writes zeros over whatever is deleted, which costs as much as the writing
        # did. What was sent is no secret to those who may read this file.
        database.execute('PRAGMA secure_delete = OFF')
        version = database.execute('PRAGMA user_version').fetchone()[0]
        if version > SCHEMA_VERSION:
            raise JournalError(
                f'{path}: saw schema version {version}, expected at most {SCHEMA_VERSION}; it '
                'was written by a newer plexus_bridge')
        if version < SCHEMA_VERSION:
            _renew(database, version)
        database.execute('SELECT COUNT(*), SUM(points) FROM frames').fetchone()
    except BaseException:
        database.close()
        raise
    return database


def _renew(database: sqlite3.Connection, version: int) -> None:
    """Bring the tables from an older version to this one; in one transaction or not at all."""
    database.create_function('crc32', 1, zlib.crc32, deterministic=True)
    with database:
        database.execute('BEGIN IMMEDIATE')
        if version == 1:
            database.execute('DROP INDEX frames_by_lane')
            database.execute('ALTER TABLE frames RENAME TO frames_1')
        for statement in _SCHEMA.strip().rstrip(';').split(';'):
            database.execute(statement)
        if version == 1:
            database.execute(
                f'INSERT INTO frames SELECT (lane << {_NUMBER_BITS}) | key, points, made_ms, '
                'crc32(body), body FROM frames_1')
            database.execute('DROP TABLE frames_1')
        database.execute(f'PRAGMA user_version = {SCHEMA_VERSION}')


def set_aside(path: Path) -> Path:
    """Rename a damaged file and what belongs to it; returns its new name."""
    aside = path.with_name(f'{path.name}.damaged-{time.strftime("%Y%m%dT%H%M%S")}')
    os.replace(path, aside)
    with contextlib.suppress(FileNotFoundError):
        os.replace(f'{path}-wal', f'{aside}-wal')
    Path(f'{path}-shm').unlink(missing_ok=True)
    return aside


def readable_frames(path: Path) -> Iterator[Frame]:
    """Yield the sound frames of a damaged file, passing over what cannot be read."""
    try:
        database = sqlite3.connect(path, timeout=5)
    except sqlite3.Error:
        return
    with contextlib.closing(database):
        try:
            keys = [row[0] for lane in Lane for row in _keys(database, lane)]
        except sqlite3.Error:
            return
        for key in keys:
            with contextlib.suppress(sqlite3.Error):
                row = database.execute('SELECT points, made_ms, crc, body FROM frames '
                                       'WHERE key = ?', (key,)).fetchone()
                if row and zlib.crc32(row[3]) == row[2]:
                    yield Frame(key, lane_of(key), row[0], row[1], row[3])


def _keys(database: sqlite3.Connection, lane: Lane) -> Iterator[tuple[int]]:
    """Yield the keys of a lane that can be reached, jumping over damage ever further."""
    key, step = first_key(lane) - 1, 1
    while step <= _FURTHEST_STEP:
        try:
            for row in database.execute('SELECT key FROM frames WHERE key > ? AND key < ? '
                                        'ORDER BY key', (key, first_key(lane + 1))):
                key, step = row[0], 1
                yield row
            return
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            key += step
            step *= 2

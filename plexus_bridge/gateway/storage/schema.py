# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The database file: its tables, how it is opened for writing and for reading.

Durability. A frame leaves the robot's journal when it is acknowledged, so an acknowledgement
must mean "on the disk": the database is in WAL mode with `synchronous=FULL`, every commit is
synced before it is acknowledged, and neither a killed process nor a power cut takes back what was
acknowledged (as far as the disk keeps its own promises). The price is one sync for each commit;
commits are made for groups of frames, so it does not grow with the number of points.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import logging
from pathlib import Path
import sqlite3

from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.commands.records import TABLES as COMMAND_TABLES
from plexus_bridge.gateway.storage import upgrade
from plexus_bridge.gateway.storage.rollups import TABLES as ROLLUP_TABLES

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 3
# "PLXG", so that file(1) and this program tell the database from other people's.
APPLICATION_ID = 0x504C5847
# 16 MiB of WAL between checkpoints: a page that gets many small appends is copied over once.
CHECKPOINT_PAGES = 4096
# What the WAL may keep of the disk after somebody has read for long.
MAX_WAL_BYTES = 64 * 1024 * 1024
WRITER_CACHE_KIB = 32 * 1024
BUSY_TIMEOUT_S = 5.0

# sample.value has no type, hence no affinity: an integer stays an integer, a float a float.
# The tables are keyed by what makes a point the same point; one that comes again changes nothing.
# For events the value belongs to the identity: two log lines may share a millisecond; `arrival`, a
# number that grows, keeps them in their order.
_TABLES = '''
CREATE TABLE IF NOT EXISTS source (
    id INTEGER PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    newest_metric_ms INTEGER
);
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    source INTEGER NOT NULL REFERENCES source (id),
    class TEXT NOT NULL,
    metric TEXT NOT NULL,
    tags TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    UNIQUE (source, class, metric, tags)
);
CREATE TABLE IF NOT EXISTS sample (
    series INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    value NOT NULL,
    PRIMARY KEY (series, timestamp_ms)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
    series INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    value TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    PRIMARY KEY (series, timestamp_ms, value)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS api_key (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    prefix TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    receive_commands INTEGER NOT NULL,
    source_id TEXT,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    revoked_ms INTEGER,
    parent INTEGER
);
CREATE TABLE IF NOT EXISTS pairing (
    code TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    receive_commands INTEGER NOT NULL,
    source_id TEXT,
    key_expires_ms INTEGER,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER
);
CREATE TABLE IF NOT EXISTS device_code (
    sha256 BLOB PRIMARY KEY,
    user_code TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    receive_commands INTEGER NOT NULL,
    source_id TEXT,
    key_expires_ms INTEGER,
    expires_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS source_details (
    slug TEXT PRIMARY KEY,
    name TEXT,
    device_type TEXT,
    metadata TEXT NOT NULL,
    created_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS install (
    slug TEXT PRIMARY KEY,
    install_id TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS session (
    session_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    source_id TEXT NOT NULL,
    status TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER
);
CREATE TABLE IF NOT EXISTS run (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    source_id TEXT,
    status TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    pass_criteria TEXT NOT NULL,
    test_result TEXT,
    created_by TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS run_by_start ON run (started_ms);
CREATE TABLE IF NOT EXISTS probe (id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER NOT NULL)
'''


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the one writing connection, creating the tables in a new file; StoreError if not."""
    try:
        path.touch(mode=0o600)  # made private at once; the WAL beside it takes over the mode
        connection = sqlite3.connect(
            path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f'{path}: cannot be opened as a database: {error}') from None
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(
            f'{path}: cannot be used as a database: {error}; move it away to begin '
            'with an empty one, or name another folder with --data') from None
    except StoreError:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write; it may be handed from thread to thread."""
    connection = sqlite3.connect(
        f'{path.absolute().as_uri()}?mode=ro', uri=True, isolation_level=None,
        timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    connection.execute('PRAGMA query_only = ON')
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit at the end, roll back on any exception."""
    connection.execute('BEGIN IMMEDIATE')
    try:
        yield
        connection.execute('COMMIT')
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back on a full disk
            connection.execute('ROLLBACK')
        raise


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = _number(connection, 'PRAGMA user_version')
    application = _number(connection, 'PRAGMA application_id')
    tables = _number(connection, 'SELECT count(*) FROM sqlite_master')
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreError(
            f'{path}: saw the database of another program, expected one of the gateway; name '
            'another folder with --data')
    if version > SCHEMA_VERSION:
        raise StoreError(
            f'{path}: saw version {version} of the database, expected at most {SCHEMA_VERSION}: '
            'a newer plexus_bridge wrote it; start that one, or name another folder with --data')
    if version == 0:
        # Only a database without tables takes it: what is deleted can be given back bit by bit.
        connection.execute('PRAGMA auto_vacuum = INCREMENTAL')
    elif version < SCHEMA_VERSION:
        logger.warning('%s: has version %d; it is brought up to version %d, which may take a '
                       'while', path, version, SCHEMA_VERSION)
    connection.execute('PRAGMA journal_mode = WAL')
    connection.execute('PRAGMA synchronous = FULL')
    connection.execute(f'PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}')
    connection.execute(f'PRAGMA journal_size_limit = {MAX_WAL_BYTES}')
    connection.execute(f'PRAGMA cache_size = -{WRITER_CACHE_KIB}')
    if version < SCHEMA_VERSION:
        with transaction(connection):
            there = upgrade.tables_of(connection)
            for statement in ';'.join((_TABLES, ROLLUP_TABLES, COMMAND_TABLES)).split(';'):
                connection.execute(statement)
            upgrade.bring_up_to_date(connection, there)
            connection.execute(f'PRAGMA application_id = {APPLICATION_ID}')
            connection.execute(f'PRAGMA user_version = {SCHEMA_VERSION}')
        if version:
            upgrade.let_it_shrink(connection)


def _number(connection: sqlite3.Connection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])

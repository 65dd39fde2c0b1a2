# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Brings a database that an older version made up to date, within the transaction of who opens it.

The tables that it lacked are there already, empty. Version 1 stands for what was before there
were roll-ups, commands and limited keys, and for all steps in between; since version 3 events know
in which order they arrived.
"""

from __future__ import annotations

from collections.abc import Collection
import contextlib
import sqlite3

from plexus_bridge.gateway.storage.rollups import HOUR_MS
from plexus_bridge.gateway.storage.rollups import MINUTE_MS

_KEY_COLUMNS = {
    'name': "TEXT NOT NULL DEFAULT ''", 'receive_commands': 'INTEGER NOT NULL DEFAULT 0',
    'source_id': 'TEXT', 'expires_ms': 'INTEGER', 'revoked_ms': 'INTEGER', 'parent': 'INTEGER'}


def tables_of(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the tables that there are."""
    return {name for name, in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'")}


def bring_up_to_date(connection: sqlite3.Connection, tables: Collection[str]) -> None:
    """Add what the tables lack that were there before; a new database has none."""
    if 'api_key' in tables:
        _widen_keys(connection)
    if 'event' in tables and 'arrival' not in _columns_of(connection, 'event'):
        connection.execute('ALTER TABLE event ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0')
    if 'sample' in tables and 'stale' not in tables:
        for width_ms in (MINUTE_MS, HOUR_MS):
            connection.execute(
                'INSERT OR IGNORE INTO stale (series, width_ms, start_ms) '
                'SELECT DISTINCT series, ?1, timestamp_ms - timestamp_ms % ?1 FROM sample',
                (width_ms,))


def let_it_shrink(connection: sqlite3.Connection) -> None:
    """Have the file give back what is deleted; outside of a transaction."""
    if connection.execute('PRAGMA auto_vacuum').fetchone()[0] == 0:
        connection.execute('PRAGMA auto_vacuum = INCREMENTAL')
        # It is written anew for that; where the disk has no room, it stays as large as it is.
        with contextlib.suppress(sqlite3.OperationalError):
            connection.execute('VACUUM')


def _widen_keys(connection: sqlite3.Connection) -> None:
    known = _columns_of(connection, 'api_key')
    for name, kind in _KEY_COLUMNS.items():
        if name not in known:
            connection.execute(f'ALTER TABLE api_key ADD COLUMN {name} {kind}')
    if 'receive_commands' not in known:
        # Then there was one key, and it could do everything that there was.
        connection.execute("UPDATE api_key SET scopes = '*', receive_commands = 1")


def _columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f'PRAGMA table_info({table})')}

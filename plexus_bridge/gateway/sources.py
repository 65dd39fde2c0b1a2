# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Sources that come into being before their first point, and who owns a slug (section 3).

The functions are handed to `Store.execute` and `Store.read`.
"""

from __future__ import annotations

from dataclasses import dataclass
import sqlite3
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.errors import RequestError
from plexus_bridge.points import MAX_SOURCE_ID_BYTES

# More devices of one name than any fleet has.
MAX_SUFFIX = 10_000


@dataclass(frozen=True)
class SourceRequest:
    """What ``POST /api/sources`` brings (section 10.4)."""

    slug: str
    name: str | None
    device_type: str | None
    metadata: dict[str, Any]


def exists(connection: sqlite3.Connection, slug: str) -> bool:
    """Tell whether a source was registered or has sent."""
    return connection.execute(
        'SELECT 1 FROM source WHERE slug = ?', (slug,)).fetchone() is not None


def register(connection: sqlite3.Connection, wanted: SourceRequest, now_ms: int) -> None:
    """Make a source; RequestError 409 if it is there already."""
    if exists(connection, wanted.slug):
        raise RequestError(409, f'source {wanted.slug} already exists')
    ensure(connection, wanted.slug)
    connection.execute(
        'INSERT OR REPLACE INTO source_details (slug, name, device_type, metadata, created_ms) '
        'VALUES (?, ?, ?, ?, ?)',
        (wanted.slug, wanted.name, wanted.device_type, encoding.dumps(wanted.metadata).decode(),
         now_ms))


def ensure(connection: sqlite3.Connection, slug: str) -> None:
    """Make a source unless it is there."""
    connection.execute('INSERT OR IGNORE INTO source (slug) VALUES (?)', (slug,))


def claim(connection: sqlite3.Connection, slug: str, install_id: str) -> str:
    """
    Return the slug that an installation goes by: `slug`, or ``slug_2``, … if it is another's.

    For clients that send `install_id` (0.4.0 to 0.7.0) and adopt what they are told. The first
    that asks owns the slug for good; a client without an `install_id` is not to be asked for.
    """
    owner = _owner(connection, slug)
    if owner is None:
        connection.execute('INSERT INTO install (slug, install_id) VALUES (?, ?)',
                           (slug, install_id))
    if owner is None or owner == install_id:
        return slug
    for number in range(2, MAX_SUFFIX):
        suffix = f'_{number}'
        other = slug[:MAX_SOURCE_ID_BYTES - len(suffix)] + suffix
        owner = _owner(connection, other)
        if owner == install_id:
            return other
        if owner is None and not exists(connection, other):
            connection.execute('INSERT INTO install (slug, install_id) VALUES (?, ?)',
                               (other, install_id))
            return other
    raise RequestError(409, f'source {slug}: {MAX_SUFFIX} devices have that name already')


def asked_name(connection: sqlite3.Connection, slug: str) -> str | None:
    """Return the name that an installation asked for before it was told this one, None if none."""
    name, _, number = slug.rpartition('_')
    claimed = name and number.isdigit() and _owner(connection, slug) is not None
    return name if claimed else None


def _owner(connection: sqlite3.Connection, slug: str) -> str | None:
    row = connection.execute('SELECT install_id FROM install WHERE slug = ?', (slug,)).fetchone()
    return None if row is None else str(row[0])

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Sessions of old agents (protocol sections 11.3 to 11.6): points join one by the tag `session_id`.

The functions that take a connection are handed to `Store.execute` and `Store.read`.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
import sqlite3
from typing import Any

from plexus_bridge.errors import RequestError
from plexus_bridge.gateway.instants import write_instant
from plexus_bridge.points import trim

STATUSES = ('active', 'completed', 'aborted')
MAX_LISTED = 100
MAX_NAME = 200

_COLUMNS = 'session_id, name, source_id, status, started_ms, ended_ms'


@dataclass(frozen=True)
class Session:
    """One session; times are Unix ms, `ended_ms` None while it goes on."""

    session_id: str
    name: str
    source_id: str
    status: str
    started_ms: int
    ended_ms: int | None

    def told(self) -> dict[str, Any]:
        """Return the session as the API tells it."""
        return {'session_id': self.session_id, 'name': self.name, 'source_id': self.source_id,
                'status': self.status, 'started_at': write_instant(self.started_ms),
                'ended_at': write_instant(self.ended_ms)}


def create(connection: sqlite3.Connection, session: Session) -> Session:
    """
    Keep a new session.

    One that is there already is renewed, since an agent may ask again when an answer was lost;
    RequestError 409 if it is that of another source.
    """
    known = find(connection, session.session_id)
    if known is not None:
        if known.source_id != session.source_id:
            raise RequestError(
                409, f'session {session.session_id} already exists, of another source')
        session = replace(session, started_ms=known.started_ms)
    _keep(connection, session)
    return session


def edit(
        connection: sqlite3.Connection, session_id: str, *, name: str | None,
        status: str | None, ended_ms: int | None, now_ms: int) -> Session:
    """Change what is not None; RequestError 404 if there is no such session."""
    known = find(connection, session_id)
    if known is None:
        raise RequestError(404, 'no such session')
    status = status or ('completed' if ended_ms is not None and known.status == 'active'
                        else known.status)
    if status == 'active':
        ended_ms = None
    elif ended_ms is None:
        ended_ms = known.ended_ms if known.ended_ms is not None else now_ms
    session = replace(known, name=name or known.name, status=status, ended_ms=ended_ms)
    _keep(connection, session)
    return session


def note_started(
        connection: sqlite3.Connection, source_id: str, session_id: str, name: str,
        now_ms: int) -> None:
    """Keep a session that a device says it has started over its socket (section 11.4)."""
    if find(connection, session_id) is None:
        _keep(connection, Session(session_id, trim(name, MAX_NAME) or session_id, source_id,
                                  'active', now_ms, None))


def note_stopped(
        connection: sqlite3.Connection, source_id: str, session_id: str, now_ms: int) -> None:
    """End a session that a device says it has stopped; another source's is left alone."""
    known = find(connection, session_id)
    if known is not None and known.source_id == source_id and known.status == 'active':
        _keep(connection, replace(known, status='completed', ended_ms=now_ms))


def find(connection: sqlite3.Connection, session_id: str) -> Session | None:
    """Return a session, None if there is none."""
    row = connection.execute(
        f'SELECT {_COLUMNS} FROM session WHERE session_id = ?', (session_id,)).fetchone()
    return None if row is None else Session(*row)


def newest(connection: sqlite3.Connection, source_id: str | None) -> list[Session]:
    """Return the newest sessions, of one source or of all."""
    return [Session(*row) for row in connection.execute(
        f'SELECT {_COLUMNS} FROM session WHERE :source IS NULL OR source_id = :source '
        'ORDER BY started_ms DESC LIMIT :limit', {'source': source_id, 'limit': MAX_LISTED})]


def _keep(connection: sqlite3.Connection, session: Session) -> None:
    connection.execute(
        f'INSERT OR REPLACE INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)',
        (session.session_id, session.name, session.source_id, session.status,
         session.started_ms, session.ended_ms))

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Notes of runs that clients from 0.1.0 to 0.8.0 send (protocol section 10.8).

Their `run_id` is a name of the user's, not the id of a run: a note that one has started makes a
run of that name, a note that it has ended closes the newest active one.
"""

from __future__ import annotations

import sqlite3
import uuid

from plexus_bridge.gateway import sources
from plexus_bridge.gateway.runs import runs
from plexus_bridge.gateway.runs.runs import Run

STARTED = 'started'
ENDED = 'ended'
NOTES = (STARTED, ENDED)


def note_started(connection: sqlite3.Connection, run: Run) -> Run:
    """Keep the run; its source may come into being by that, for the client asks only once."""
    if run.source_id is not None:
        sources.ensure(connection, run.source_id)
    runs.keep(connection, run)
    return run


def note_ended(
        connection: sqlite3.Connection, name: str, source_id: str | None, ended_ms: int,
        now_ms: int) -> Run | None:
    """
    Close the run that was noted, None if there is none.

    A client that was told of another name in between (see `sources.claim`) has noted its start by
    the name that it asked for; its points came by the other one, and the run is theirs.
    """
    run = _active(connection, name, source_id)
    if run is None and source_id is not None:
        asked = sources.asked_name(connection, source_id)
        run = None if asked is None else _active(connection, name, asked)
    if run is None:
        return None
    return runs.edit(connection, run.id, {
        'status': 'completed', 'ended_ms': max(ended_ms, run.started_ms), 'source_id': source_id,
        }, now_ms)


def _active(connection: sqlite3.Connection, name: str, source_id: str | None) -> Run | None:
    row = connection.execute(
        "SELECT id FROM run WHERE name = ? AND source_id IS ? AND status = 'active' "
        'ORDER BY started_ms DESC LIMIT 1', (name, source_id)).fetchone()
    return None if row is None else runs.find(connection, row[0])


def new_id() -> str:
    """Return the id of a new run."""
    return str(uuid.uuid4())

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the official SDK has buffered on this machine, sent by whoever takes over from it (SDK-04).

Its files are SQLite with a table ``points(id, data)``, a point's JSON in each row (protocol
section 14.5): one for each source, or, of versions before 0.14.0, one for all.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import hashlib
import os
from pathlib import Path
import sqlite3

from plexus_bridge import encoding
from plexus_bridge.errors import PointError
from plexus_bridge.points import Point
from plexus_bridge.points import read_point

CHUNK_POINTS = 1000
_LONGEST_NAME = 100


def left_buffers(folder: Path, source_id: str) -> list[Path]:
    """Return the files that the SDK has left for a source."""
    name = (source_id if len(source_id) <= _LONGEST_NAME
            else hashlib.sha256(source_id.encode()).hexdigest()[:32])
    return [path for path in (folder / 'buffer.db', folder / f'buffer-{name}.db')
            if path.exists()]


def adopt(path: Path, keep: Callable[[list[Point]], bool], refuse: Callable[[], object]) -> int:
    """
    Move a file's points, oldest first, to `keep`, which returns whether they are on disk.

    Rows leave the file only afterwards: a crash in between sends points twice, but loses none.
    `refuse` is called for each row that is no point. sqlite3.Error if the file cannot be used.
    """
    adopted = 0
    with contextlib.closing(sqlite3.connect(path, timeout=5)) as database:
        for last_id, points in _chunks(database, refuse):
            if not keep(points):
                return adopted
            adopted += len(points)
            with database:
                database.execute('DELETE FROM points WHERE id <= ?', (last_id,))
    if adopted:
        # It is empty now; the SDK makes itself a new one.
        for suffix in ('', '-wal', '-shm'):
            with contextlib.suppress(OSError):
                os.unlink(f'{path}{suffix}')
    return adopted


def _chunks(database: sqlite3.Connection, refuse: Callable[[], object]
            ) -> Iterator[tuple[int, list[Point]]]:
    while rows := database.execute(
            'SELECT id, data FROM points ORDER BY id LIMIT ?', (CHUNK_POINTS,)).fetchall():
        points = []
        for _, data in rows:
            try:
                point = encoding.loads(data)
                read_point(point, 1)
            except (PointError, ValueError, TypeError):
                refuse()
            else:
                points.append(point)
        yield rows[-1][0], points

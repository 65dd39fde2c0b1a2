# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Has the disk itself take what the gateway has not acknowledged within a second.

What SQLite commits in its WAL mode outlives the process, but lies in the kernel's memory until a
checkpoint comes or half a minute has passed: a power cut would take it. To have each commit taken
by the disk would wear out memory cards for nothing: with a good link, what is acknowledged within
milliseconds needs no disk at all.
"""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import sqlite3

from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal_file import first_key

# What was there already when it was looked last time is to be safe: twice this is the oldest.
LOOK_PERIOD_S = 0.5


class JournalSync:
    """
    Looks at what is kept from time to time; used by the thread that writes.

    OSError if the disk cannot take it. `now` is monotonic seconds.
    """

    def __init__(self, journal: Path):
        self._wal = Path(f'{journal}-wal')
        self._next_look = 0.0
        self._folder_is_safe = False
        # Numbers of frames: the newest that was written, that had been at the last look, and
        # that a power cut cannot take.
        self._written = self._seen = self._safe = 0

    def wrote(self, number: int) -> None:
        """Note that a frame was committed."""
        self._written = max(self._written, number)

    def look(self, database: sqlite3.Connection, now: float) -> bool:
        """Make safe what waits for too long, if it is time to look; True if anything did."""
        if now < self._next_look:
            return False
        self._next_look = now + LOOK_PERIOD_S
        written, old, self._seen = self._written, self._seen, self._written
        if not self._waits(database, old):
            return False
        _sync(self._wal, os.fdatasync)
        if not self._folder_is_safe:
            _sync(self._wal.parent, os.fsync)
            self._folder_is_safe = True
        self._safe = written
        return True

    def _waits(self, database: sqlite3.Connection, old: int) -> bool:
        """Tell whether one of the frames that are old and not safe is still kept."""
        return old > self._safe and any(
            database.execute(
                'SELECT 1 FROM frames WHERE key > ? AND key <= ? LIMIT 1',
                (first_key(lane) | self._safe, first_key(lane) | old)).fetchone()
            for lane in Lane)


def _sync(path: Path, sync: Callable[[int], None]) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        sync(handle)
    finally:
        os.close(handle)

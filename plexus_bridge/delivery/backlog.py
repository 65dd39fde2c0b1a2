# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading frames back from the journal, in order, while another thread writes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Container
import contextlib
from pathlib import Path
import sqlite3
from typing import NamedTuple
import zlib

from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal_file import first_key
from plexus_bridge.errors import JournalError


class Rows(NamedTuple):
    """Frames that were read, and those (without bodies) whose bytes are not what was written."""

    frames: list[Frame]
    damaged: list[Frame]


class Backlog:
    """The reading end, for the thread that sends; opened when first used."""

    def __init__(self, path: Path):
        self._path = path
        self._database: sqlite3.Connection | None = None
        # Whether the file itself was found damaged: the writing end can begin a new one.
        self.damaged = False

    def read(self, lane: Lane, after: int, max_bytes: int) -> Rows:
        """
        Return the oldest frames of a lane with key > after, at least one if there is one.

        JournalError says that the next one cannot be read.
        """
        rows = Rows([], [])
        size = 0
        try:
            with contextlib.closing(self._select(lane, after)) as cursor:
                for key, points, made_ms, crc, body in cursor:
                    size += len(body)
                    if zlib.crc32(body) == crc:
                        rows.frames.append(Frame(key, lane, points, made_ms, body))
                    else:
                        rows.damaged.append(Frame(key, lane, points, made_ms, b''))
                    if size >= max_bytes:
                        break
        except (sqlite3.Error, TypeError, ValueError) as error:
            # What comes before the damage can be had; the next call meets the damage itself.
            if not rows.frames:
                self.close()
                self.damaged = (isinstance(error, sqlite3.DatabaseError)
                                and not isinstance(error, sqlite3.OperationalError))
                raise JournalError(
                    f'{self._path}: frames cannot be read back: {error}') from None
        return rows

    def _select(self, lane: Lane, after: int) -> sqlite3.Cursor:
        if self._database is None:
            self._database = sqlite3.connect(
                f'{self._path.absolute().as_uri()}?mode=ro', uri=True, timeout=5,
                check_same_thread=False)
        return self._database.execute(
            'SELECT key, points, made_ms, crc, body FROM frames '
            'WHERE key > ? AND key < ? ORDER BY key',
            (max(after, first_key(lane) - 1), first_key(lane + 1)))

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()
            self._database = None


class LaneBacklog:
    """
    One lane's frames that are on disk and not in memory: `waiting` has those read so far.

    `known` has the keys of frames that are in memory or done with: they are passed over.
    """

    def __init__(self, lane: Lane, backlog: Backlog, known: Container[int]):
        self._lane = lane
        self._backlog = backlog
        self._known = known
        self._read_to = first_key(lane) - 1
        self.waiting: deque[Frame] = deque()
        self.drained = False

    def read_on(self, max_bytes: int) -> Rows:
        """Read more into `waiting`; returns what is new. JournalError if it cannot be read."""
        rows = self._backlog.read(self._lane, self._read_to, max_bytes)
        keys = [frame.key for frame in (*rows.frames, *rows.damaged)]
        if not keys:
            self.drained = True
            return rows
        self._read_to = max(keys)
        new = Rows([frame for frame in rows.frames if frame.key not in self._known],
                   [frame for frame in rows.damaged if frame.key not in self._known])
        self.waiting.extend(new.frames)
        return new

    def rewind(self, key: int) -> None:
        """Say that a frame with this key is to be had from the disk only, from now on."""
        self._read_to = min(self._read_to, key - 1)
        self.drained = False

    def restart(self) -> None:
        """Read from the beginning: the file is another one."""
        self._backlog.close()
        self._backlog.damaged = False
        self._read_to = first_key(self._lane) - 1
        self.drained = False

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Frames on disk until they are acknowledged: SQLite in WAL mode, one file for each source.

One thread writes (`Journal`), another reads (`backlog.Backlog`); WAL lets them. A frame's key has
its lane in the upper bits, so that each lane is read, and makes room, without an index.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import fcntl
import os
from pathlib import Path
import sqlite3
import time
from typing import NamedTuple
import zlib

from plexus_bridge.counters import Counters
from plexus_bridge.delivery import journal_file
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal_file import first_key
from plexus_bridge.delivery.journal_file import lane_of
from plexus_bridge.delivery.journal_file import number_of
from plexus_bridge.delivery.journal_sync import JournalSync
from plexus_bridge.delivery.losses import Loss
from plexus_bridge.errors import JournalError
from plexus_bridge.errors import JournalInUseError

# A row costs about this much beside its body.
ROW_BYTES = 64
# With less free disk than the robot is to keep, the journal grows no more; so much it always has.
SMALLEST_LIMIT_BYTES = 4_000_000
# After an outage the file is given back if it had grown by this.
GIVE_BACK_BYTES = 16_000_000
_FREE_CHECK_S = 1.0
_EVICTED_AT_ONCE = 256


class Kept(NamedTuple):
    """What is on disk of one lane."""

    frames: int = 0
    points: int = 0
    bytes: int = 0


class Journal:
    """
    The writing end; used by one thread.

    JournalError if the file belongs to another process, is newer than this program, or cannot be
    used. A damaged file is set aside (`set_aside` names it) and a new one begun with what could
    be read of it; `number_of_files` grows with every such time. At most `max_bytes` are kept, and
    no more than there are while the disk has less than `min_free_bytes`; and at most `max_points`
    if that is set.
    """

    def __init__(self, path: Path, max_bytes: int, counters: Counters, min_free_bytes: int = 0):
        self.path = path
        self.set_aside: Path | None = None
        self.max_points: int | None = None
        self.number_of_files = 0
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._kept = dict.fromkeys(Lane, Kept())
        self._low_disk_limit: int | None = None
        self._next_check = 0.0
        self._counters = counters
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _lock(path)
        except OSError as error:
            raise JournalError(f'{path}: cannot be made: {error.strerror}') from None
        try:
            self._open()
        except OSError as error:
            os.close(self._lock)
            raise JournalError(f'{path}: cannot be opened: {error.strerror}') from None
        except BaseException:
            os.close(self._lock)
            raise
        self._peak_bytes = self.size_bytes
        self._begin_to_sync()

    @property
    def last_number(self) -> int:
        """The number of the newest frame that is kept, 0 if there is none; see `new_key`."""
        return max((number_of(row[0]) for lane in Lane for row in self._database.execute(
            'SELECT MAX(key) FROM frames WHERE key >= ? AND key < ?',
            (first_key(lane), first_key(lane + 1))) if row[0] is not None), default=0)

    @property
    def kept(self) -> dict[Lane, Kept]:
        """How much is kept of each lane."""
        return dict(self._kept)

    @property
    def size_bytes(self) -> int:
        """How much is kept."""
        return sum(kept.bytes for kept in self._kept.values())

    @property
    def points(self) -> int:
        """How many points are kept."""
        return sum(kept.points for kept in self._kept.values())

    @property
    def limit_bytes(self) -> int:
        """How much may be kept now."""
        if self._low_disk_limit is None:
            return self._max_bytes
        return min(self._max_bytes, self._low_disk_limit)

    def write(self, frames: Sequence[Frame], settled: Sequence[int] = (),
              losses: Sequence[Loss] | None = None) -> list[Frame]:
        """
        Keep frames, let settled ones go, and note what was lost if that changed; at once or not.

        Returns the frames, without their bodies, that had to make room. JournalError if the disk
        refuses.
        """
        self._check_free_disk()
        before = dict(self._kept)
        try:
            with self._database:
                # By hand: otherwise what is looked up first would be a transaction of its own.
                self._database.execute('BEGIN IMMEDIATE')
                for key in settled:
                    self._forget(key)
                for frame in frames:
                    self._insert(frame)
                evicted = [*self._evict()] if self._is_over_full() else []
                if losses is not None:
                    self._note(losses)
        except sqlite3.OperationalError as error:
            self._kept = before
            raise JournalError(f'{self.path}: cannot be written: {error}') from None
        except sqlite3.DatabaseError as error:
            self._kept = before
            self.rebuild()
            raise JournalError(f'{self.path}: was damaged: {error}') from None
        for frame in frames:
            self._sync.wrote(number_of(frame.key))
        self._peak_bytes = max(self._peak_bytes, self.size_bytes)
        self._give_back()
        return evicted

    def outlast_power_cuts(self) -> None:
        """Have the disk take what has waited for a second; call it often. JournalError if not."""
        try:
            if self._sync.look(self._database, time.monotonic()):
                self._counters.add('journal_syncs')
        except OSError as error:
            raise JournalError(
                f'{self.path}: the disk does not take it: {error.strerror}') from None
        except sqlite3.Error as error:
            raise JournalError(f'{self.path}: cannot be read: {error}') from None

    def noted_losses(self) -> list[Loss]:
        """Return what was lost and not told yet when the last process ended."""
        return [Loss(*row) for row in self._database.execute(
            'SELECT reason, points, first_ms, last_ms FROM losses')]

    def oldest_ms(self, lane: Lane) -> int:
        """Return when the oldest frame of a lane was made, 0 if there is none."""
        row = self._database.execute(
            'SELECT made_ms FROM frames WHERE key >= ? AND key < ? ORDER BY key LIMIT 1',
            (first_key(lane), first_key(lane + 1))).fetchone()
        return int(row[0]) if row else 0

    def rebuild(self) -> None:
        """Set the file aside and begin a new one with what can be read of the old."""
        points = self.points
        self._database.close()
        try:
            self._begin_anew()
            self._begin_to_sync()
            self._note_damage(max(0, points - self.points))
        except OSError as error:
            raise JournalError(f'{self.path}: cannot be replaced: {error.strerror}') from None
        except sqlite3.Error as error:
            raise JournalError(f'{self.path}: cannot be replaced: {error}') from None

    def close(self) -> None:
        """Write out and let go of the file; doing so twice is harmless."""
        self._database.close()
        if self._lock >= 0:
            # By itself: a forked child may have the same lock open still.
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            self.leave_to_parent()

    def leave_to_parent(self) -> None:
        """Let go of the lock in a forked child, so that it does not outlive the parent there."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _insert(self, frame: Frame) -> None:
        body = frame.points_json
        if self._database.execute(
                'INSERT OR IGNORE INTO frames VALUES (?, ?, ?, ?, ?)',
                (frame.key, frame.points, frame.made_ms, zlib.crc32(body), body)).rowcount:
            self._count(frame.lane, 1, frame.points, len(body))

    def _forget(self, key: int) -> None:
        # A frame that made room for others is gone already, so what goes is counted; by looking
        # first, since DELETE … RETURNING builds a table for its answer, which takes twice as long.
        row = self._database.execute(
            'SELECT points, LENGTH(body) FROM frames WHERE key = ?', (key,)).fetchone()
        if row is not None:
            self._database.execute('DELETE FROM frames WHERE key = ?', (key,))
            self._count(lane_of(key), -1, -row[0], -row[1])

    def _count(self, lane: Lane, frames: int, points: int, size: int) -> None:
        kept = self._kept[lane]
        self._kept[lane] = Kept(kept.frames + frames, kept.points + points,
                                kept.bytes + size + frames * ROW_BYTES)

    def _note(self, losses: Sequence[Loss]) -> None:
        self._database.execute('DELETE FROM losses')
        self._database.executemany('INSERT INTO losses VALUES (?, ?, ?, ?)', losses)

    def _note_damage(self, points: int) -> None:
        """Note a loss by damage; 0 points: nobody knows how many."""
        now_ms = time.time_ns() // 1_000_000
        if points:
            self._counters.drop('journal_damaged', points)
        with self._database:
            self._note([Loss('journal_damaged', points, now_ms, now_ms)])

    # -- room

    def _check_free_disk(self) -> None:
        now = time.monotonic()
        if not self._min_free_bytes or now < self._next_check:
            return
        self._next_check = now + _FREE_CHECK_S
        disk = os.statvfs(self.path.parent)
        if disk.f_bavail * disk.f_frsize >= self._min_free_bytes:
            self._low_disk_limit = None
        elif self._low_disk_limit is None:
            self._low_disk_limit = max(self.size_bytes, SMALLEST_LIMIT_BYTES)

    def _is_over_full(self) -> bool:
        return self.size_bytes > self.limit_bytes or (
            self.max_points is not None and self.points > self.max_points)

    def _evict(self) -> Iterator[Frame]:
        """Make room: the oldest bulk first, then the oldest of all."""
        for lanes in ((Lane.BULK,), (Lane.URGENT, Lane.STATE)):
            while self._is_over_full():
                oldest = self._oldest(lanes)
                if not oldest:
                    break
                for size, frame in oldest:
                    if not self._is_over_full():
                        break
                    self._database.execute('DELETE FROM frames WHERE key = ?', (frame.key,))
                    self._count(frame.lane, -1, -frame.points, -size)
                    yield frame

    def _oldest(self, lanes: Sequence[Lane]) -> list[tuple[int, Frame]]:
        rows = [
            row for lane in lanes for row in self._database.execute(
                'SELECT key, points, made_ms, LENGTH(body) FROM frames '
                'WHERE key >= ? AND key < ? ORDER BY key LIMIT ?',
                (first_key(lane), first_key(lane + 1), _EVICTED_AT_ONCE))]
        rows.sort(key=lambda row: number_of(row[0]))
        return [(size, Frame(key, lane_of(key), points, made_ms, b''))
                for key, points, made_ms, size in rows[:_EVICTED_AT_ONCE]]

    def _give_back(self) -> None:
        """Give the disk back what an outage took of it, once that is delivered."""
        if self._peak_bytes < GIVE_BACK_BYTES or self.size_bytes > SMALLEST_LIMIT_BYTES // 4:
            return
        self._peak_bytes = self.size_bytes
        try:
            self._database.execute('VACUUM')
            self._database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        except sqlite3.OperationalError:
            self._counters.add('journal_not_shrunk')  # it does no harm as it is

    # -- the file

    def _open(self) -> None:
        try:
            self._database = journal_file.open_file(self.path)
        except sqlite3.OperationalError as error:
            raise JournalError(f'{self.path}: cannot be opened: {error}') from None
        except sqlite3.DatabaseError:
            self._begin_anew()
            self._note_damage(0)
        else:
            self._recount()

    def _begin_anew(self) -> None:
        self.number_of_files += 1
        self.set_aside = journal_file.set_aside(self.path)
        self._database = journal_file.open_file(self.path)
        self._recount()
        with self._database:
            for frame in journal_file.readable_frames(self.set_aside):
                self._insert(frame)
        self._counters.add('points_salvaged', self.points)

    def _begin_to_sync(self) -> None:
        # What the last process has left may lie in the kernel's memory still.
        self._sync = JournalSync(self.path)
        self._sync.wrote(self.last_number)

    def _recount(self) -> None:
        self._kept = {lane: Kept(*self._database.execute(
            'SELECT COUNT(*), COALESCE(SUM(points), 0), COALESCE(SUM(LENGTH(body) + ?), 0) '
            'FROM frames WHERE key >= ? AND key < ?',
            (ROW_BYTES, first_key(lane), first_key(lane + 1))).fetchone()) for lane in Lane}


def _lock(path: Path) -> int:
    """Take the file for this process alone; the lock ends with the process, however it ends."""
    lock = os.open(f'{path}.lock', os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode(errors='replace').strip()
        os.close(lock)
        raise JournalInUseError(
            f'{path}: is in use by another process{f" ({owner})" if owner else ""}; give each '
            'robot on this machine its own source_id, or end the other bridge') from None
    os.ftruncate(lock, 0)
    os.write(lock, f'pid {os.getpid()}\n'.encode())
    return lock

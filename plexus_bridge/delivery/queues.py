# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames in memory: fresh, read back, taken, postponed; and in which order they go."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import enum
import logging
from pathlib import Path
import time
from typing import NamedTuple

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.backlog import Backlog
from plexus_bridge.delivery.backlog import LaneBacklog
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.frames import MAX_FRAME_BYTES
from plexus_bridge.delivery.frames import MAX_FRAME_POINTS
from plexus_bridge.delivery.journal_file import number_of
from plexus_bridge.errors import JournalError

MAX_FRESH_BYTES = 4_000_000
BACKLOG_READ_BYTES = 1_000_000
# So many frames may be passed over for others; if more fail, it is not the frames' fault.
MAX_POSTPONED_FRAMES = 16
# A backlog that could not be read is tried again after this.
UNREADABLE_S = 60.0

log = logging.getLogger(__name__)

_LANES = tuple(Lane)


class Turn(enum.IntEnum):
    """In which order frames leave: what is measured now by lane, then what waits on disk."""

    URGENT = 0
    STATE = 1
    BULK = 2
    BACKLOG = 3


class _Taken(NamedTuple):
    parts: tuple[Frame, ...]
    from_backlog: bool


class Queues:
    """
    Everything between a frame's making and its end; the owner keeps threads apart.

    `known` has the keys of all frames that are here, and of settled ones that are still on disk.
    """

    def __init__(self, path: Path, counters: Counters):
        self._counters = counters
        self.known: set[int] = set()
        self.fresh_bytes = 0
        self.bundle_bytes = MAX_FRAME_BYTES
        self._fresh: dict[Lane, deque[Frame]] = {lane: deque() for lane in Lane}
        self._taken: dict[int, _Taken] = {}
        # Taken in vain, and behind all others now.
        self._postponed: dict[int, _Taken] = {}
        # Keys of frames that were refused in company: each is tried on its own.
        self._alone: set[int] = set()
        self._reader = Backlog(path)
        self._backlogs = {lane: LaneBacklog(lane, self._reader, self.known) for lane in Lane}
        self._damaged: list[Frame] = []
        self._unreadable_until = dict.fromkeys(Lane, 0.0)
        self._told_unreadable = False

    # -- in

    def add(self, frames: Sequence[Frame]) -> None:
        """Queue frames that were made just now."""
        for frame in frames:
            self._fresh[frame.lane].append(frame)
            self.fresh_bytes += len(frame.points_json)

    def has_fresh(self, number: int) -> bool:
        """Tell whether a frame with this number or an earlier one is still among the fresh."""
        return any(fresh and number_of(fresh[0].key) <= number for fresh in self._fresh.values())

    def leave_to_disk(self, unkept: Container[int], memory_only: Container[int], *,
                      up_to: int | None = None) -> list[Frame]:
        """
        Forget what is fresh and on disk, to be read back later, behind what is fresher.

        Without `up_to`, the number of the newest frame that is meant, room must be made: returned
        is what that loses.
        """
        lost: list[Frame] = []
        for lane, fresh in self._fresh.items():
            stay: deque[Frame] = deque()
            gone = []
            for frame in fresh:
                if frame.key in unkept or (up_to is not None and number_of(frame.key) > up_to):
                    stay.append(frame)
                elif frame.key in memory_only:
                    (stay if up_to is not None else lost).append(frame)
                else:
                    gone.append(frame)
            self._leave(lane, gone, memory_only)
            self._fresh[lane] = stay
        self.known.difference_update(frame.key for frame in lost)
        self.fresh_bytes = sum(
            len(frame.points_json) for fresh in self._fresh.values() for frame in fresh)
        return lost

    def _leave(self, lane: Lane, gone: list[Frame], memory_only: Container[int]) -> None:
        if not gone:
            return
        # What was read and not taken yet is read again, so that order is kept.
        backlog = self._backlogs[lane]
        first = min(frame.key for frame in gone)
        later = [frame for frame in backlog.waiting
                 if frame.key > first and frame.key not in memory_only]
        if later:
            again = {frame.key for frame in later}
            backlog.waiting = deque(
                frame for frame in backlog.waiting if frame.key not in again)
        self.known.difference_update(frame.key for frame in (*gone, *later))
        backlog.rewind(first)

    def drop_oldest(self, surplus_bytes: int, unkept: Container[int]) -> Iterator[Frame]:
        """Forget frames that are nowhere else until the surplus is gone: bulk first."""
        for lane in reversed(Lane):
            stay: deque[Frame] = deque()
            for frame in self._fresh[lane]:
                if surplus_bytes > 0 and frame.key in unkept:
                    surplus_bytes -= len(frame.points_json)
                    self.fresh_bytes -= len(frame.points_json)
                    self.known.discard(frame.key)
                    yield frame
                else:
                    stay.append(frame)
            self._fresh[lane] = stay

    def restart(self) -> None:
        """Say that the journal is another file now."""
        for lane, backlog in self._backlogs.items():
            backlog.restart()
            self._unreadable_until[lane] = 0.0

    @property
    def file_damaged(self) -> bool:
        """Whether the journal's file cannot be read any more as it is."""
        return self._reader.damaged

    def in_memory(self) -> Iterator[Frame]:
        """Yield all frames that are here."""
        for fresh in self._fresh.values():
            yield from fresh
        for backlog in self._backlogs.values():
            yield from backlog.waiting
        for taken in (*self._taken.values(), *self._postponed.values()):
            yield from taken.parts

    # -- out

    def take(self, turn: Turn, room_points: int | None, split: Callable[[Frame], bool]
             ) -> Frame | None:
        """Return a turn's next frame; one that is too long is handed to `split` instead."""
        taken = self._take(turn, room_points)
        if taken is None:
            return None
        first = taken.parts[0]
        # Frames that an earlier version wrote can be too long for a slow link. Their halves
        # come with the next flush, and only then the next frame, so that few are in memory.
        if len(first.points_json) > MAX_FRAME_BYTES and split(first):
            return None
        self._taken[first.key] = taken
        if len(taken.parts) == 1:
            return first
        return first._replace(points=sum(part.points for part in taken.parts),
                              points_json=b','.join(part.points_json for part in taken.parts))

    def _take(self, turn: Turn, room_points: int | None) -> _Taken | None:
        if turn is Turn.BACKLOG:
            return (self._from_backlog(Lane.STATE, room_points)
                    or self._from_backlog(Lane.BULK, room_points)
                    or self._from_postponed(room_points))
        fresh = self._fresh[_LANES[turn]]
        if parts := self._bundle(fresh, room_points):
            self.fresh_bytes -= sum(len(part.points_json) for part in parts)
            return _Taken(parts, from_backlog=False)
        # What was urgent in an outage is not kept waiting for bulk.
        return self._from_backlog(Lane.URGENT, room_points) if turn is Turn.STATE else None

    def _from_backlog(self, lane: Lane, room_points: int | None) -> _Taken | None:
        backlog = self._backlogs[lane]
        while not backlog.waiting:
            if backlog.drained or not self._read_on(lane):
                return None
        parts = self._bundle(backlog.waiting, room_points)
        return _Taken(parts, from_backlog=True) if parts else None

    def _from_postponed(self, room_points: int | None) -> _Taken | None:
        for key, taken in self._postponed.items():
            if room_points is None or sum(part.points for part in taken.parts) <= room_points:
                return self._postponed.pop(key)
        return None

    def _bundle(self, queue: deque[Frame], room_points: int | None) -> tuple[Frame, ...]:
        """Take the next frame of a queue, and as many after it as may go with it."""
        if not queue or (room_points is not None and queue[0].points > room_points):
            return ()
        parts = [queue.popleft()]
        points, size = parts[0].points, len(parts[0].points_json)
        most_points = MAX_FRAME_POINTS if room_points is None else min(
            room_points, MAX_FRAME_POINTS)
        while queue and not self._alone.intersection((parts[0].key, queue[0].key)):
            points += queue[0].points
            size += 1 + len(queue[0].points_json)
            if points > most_points or size > self.bundle_bytes:
                break
            parts.append(queue.popleft())
        return tuple(parts)

    def _read_on(self, lane: Lane) -> bool:
        """Read more of a lane's backlog; False if it cannot be read for now."""
        if time.monotonic() < self._unreadable_until[lane]:
            return False
        try:
            rows = self._backlogs[lane].read_on(BACKLOG_READ_BYTES)
        except JournalError as error:
            self._unreadable_until[lane] = time.monotonic() + UNREADABLE_S
            self._counters.add('backlog_unreadable')
            if not self._told_unreadable:
                self._told_unreadable = True
                log.error('%s; they stay there and are tried again every %.0f s, what is '
                          'measured now is sent', error, UNREADABLE_S)
            return False
        self.known.update(frame.key for frame in (*rows.frames, *rows.damaged))
        self._damaged += rows.damaged
        return True

    def take_damaged(self) -> list[Frame]:
        """Return, once, what was read back and is not what was written."""
        damaged, self._damaged = self._damaged, []
        return damaged

    # -- what became of frames that were taken

    def taken_parts(self, key: int) -> tuple[Frame, ...]:
        """Return the frames that left under a key, none if it is gone already."""
        taken = self._taken.get(key)
        return taken.parts if taken else ()

    def let_go(self, keys: Iterable[int]) -> list[Frame]:
        """Return the frames that left under these keys; they are not held here any more."""
        frames = [part for key in keys if key in self._taken
                  for part in self._taken.pop(key).parts]
        self._alone.difference_update(frame.key for frame in frames)
        return frames

    def postpone(self, key: int) -> None:
        """Put what left under a key behind all others; what left together is tried one by one."""
        together = len(self.taken_parts(key)) > 1
        if together or len(self._postponed) >= MAX_POSTPONED_FRAMES:
            self.give_back([key], alone=together)
        elif key in self._taken:
            self._postponed[key] = self._taken.pop(key)

    def give_back(self, keys: Iterable[int], *, alone: bool = False) -> int:
        """Queue again what left under these keys, in its old order; returns how many frames."""
        returned = [self._taken.pop(key) for key in keys if key in self._taken]
        for taken in reversed(returned):
            for part in reversed(taken.parts):
                if alone:
                    self._alone.add(part.key)
                if taken.from_backlog:
                    self._backlogs[part.lane].waiting.appendleft(part)
                else:
                    self._fresh[part.lane].appendleft(part)
                    self.fresh_bytes += len(part.points_json)
        return len(returned)

    # -- how it is

    @property
    def waits(self) -> bool:
        """Whether something may wait to be taken."""
        return (any(self._fresh.values()) or bool(self._postponed)
                or not all(one.drained and not one.waiting for one in self._backlogs.values()))

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be taken and nothing is on its way."""
        return not self._taken and not self.waits

    def sizes(self, lane: Lane) -> tuple[int, int, int]:
        """Return frames and bytes of a lane that wait in memory, and frames on their way."""
        waiting = (*self._fresh[lane], *self._backlogs[lane].waiting)
        flying = sum(len(taken.parts) for taken in list(self._taken.values())
                     if taken.parts[0].lane is lane)
        return len(waiting), sum(len(frame.points_json) for frame in waiting), flying

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

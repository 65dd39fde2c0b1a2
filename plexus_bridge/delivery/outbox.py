# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Between the thread that makes frames and the thread that sends them.

Fresh frames pass through memory; what the link could not take in time is read back from the
journal when there is room. Fresh ones go first, so that an operator sees the present while an
outage's backlog drains.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
import threading
import time

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal import Backlog
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.errors import JournalError

MAX_FRESH_BYTES = 4_000_000
MAX_UNWRITTEN_BYTES = 16_000_000
BACKLOG_READ_BYTES = 1_000_000


class Outbox:
    """
    `flush` belongs to the making thread; `take`, `settle` and `give_back` to the sending one.

    A frame that was taken stays in the journal until it is settled. `wake` is called when
    there is something to take.
    """

    def __init__(self, lanes: Lanes, journal: Journal, counters: Counters):
        self._lanes = lanes
        self._journal = journal
        self._counters = counters
        self._lock = threading.Lock()
        # Collected, but the disk has refused them so far.
        self._unwritten: deque[Frame] = deque()
        self._unwritten_bytes = 0
        self._fresh: dict[Lane, deque[Frame]] = {lane: deque() for lane in Lane}
        self._fresh_bytes = 0
        self._taken: dict[int, Frame] = {}
        # Settled frames that the journal still has: `_forgetting` while it is being told.
        self._settled: list[Frame] = []
        self._forgetting: list[Frame] = []
        self._settled_keys: set[int] = set()
        # Every unsettled frame from this key on is in _fresh or _taken; older ones may be
        # on disk only, and are read from there, up to `_read_to` so far.
        self._fresh_from = journal.last_key + 1
        self._backlog = Backlog(journal.path)
        self._read: dict[Lane, deque[Frame]] = {lane: deque() for lane in Lane}
        self._read_to = dict.fromkeys(Lane, 0)
        self._drained = dict.fromkeys(Lane, False)
        self.wake: Callable[[], None] = _nobody

    def flush(self) -> None:
        """
        Write what was collected to the journal, then offer it to the sending thread.

        JournalError says that the disk refuses; what was collected is tried again next time.
        """
        for frame in self._lanes.flush(time.time_ns() // 1_000_000):
            self._unwritten.append(frame)
            self._unwritten_bytes += len(frame.points_json)
        with self._lock:
            self._forgetting, self._settled = self._settled, []
        if not self._unwritten and not self._forgetting:
            return
        try:
            kept = self._journal.write(self._unwritten, self._forgetting)
        except JournalError:
            with self._lock:
                self._settled += self._forgetting
                self._forgetting = []
            self._bound_unwritten()
            raise
        self._unwritten.clear()
        self._unwritten_bytes = 0
        with self._lock:
            self._settled_keys.difference_update(frame.key for frame in self._forgetting)
            self._forgetting = []
            self._offer(kept)
        if kept:
            self.wake()

    def _bound_unwritten(self) -> None:
        while self._unwritten_bytes > MAX_UNWRITTEN_BYTES:
            frame = self._unwritten.popleft()
            self._unwritten_bytes -= len(frame.points_json)
            self._counters.drop('disk_refused', frame.points)

    def _offer(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._fresh[frame.lane].append(frame)
            self._fresh_bytes += len(frame.points_json)
        if self._fresh_bytes <= MAX_FRESH_BYTES:
            return
        # The link is slower than the robot, or down: leave them to the disk, which has them all.
        self._fresh_from = frames[-1].key + 1
        for lane, fresh in self._fresh.items():
            if fresh:
                # What was read and not taken yet is read again, or it would be passed over.
                first = min(frame.key for frame in (*fresh, *self._read[lane]))
                self._read_to[lane] = min(self._read_to[lane], first - 1)
                self._read[lane].clear()
                self._drained[lane] = False
                fresh.clear()
        self._fresh_bytes = 0

    def take(self) -> Frame | None:
        """Return the next frame to send: fresh before backlog, urgent before bulk."""
        with self._lock:
            frame = self._take_fresh() or self._take_from_backlog()
            if frame:
                self._taken[frame.key] = frame
            return frame

    def _take_fresh(self) -> Frame | None:
        for fresh in self._fresh.values():
            if fresh:
                frame = fresh.popleft()
                self._fresh_bytes -= len(frame.points_json)
                return frame
        return None

    def _take_from_backlog(self) -> Frame | None:
        for lane in Lane:
            while not self._drained[lane]:
                if not self._read[lane]:
                    self._read_on(lane)
                    continue
                frame = self._read[lane].popleft()
                if not self._is_known(frame.key):
                    return frame
        return None

    def _read_on(self, lane: Lane) -> None:
        frames = self._backlog.read(
            lane, self._read_to[lane], self._fresh_from, BACKLOG_READ_BYTES)
        if frames:
            self._read[lane].extend(frames)
            self._read_to[lane] = frames[-1].key
        else:
            self._drained[lane] = True

    def _is_known(self, key: int) -> bool:
        """Tell whether a frame that is still on disk is on its way, or done with already."""
        return key in self._taken or key in self._settled_keys

    def settle(self, keys: Iterable[int]) -> int:
        """Let frames go: they are stored, or will never be. Returns how many points they had."""
        points = 0
        with self._lock:
            for key in keys:
                frame = self._taken.pop(key, None)
                if frame:
                    points += frame.points
                    self._settled.append(frame)
                    self._settled_keys.add(key)
        return points

    def give_back(self, keys: Iterable[int]) -> int:
        """Say that frames did not arrive: they are taken next, in their old order."""
        with self._lock:
            frames = [self._taken.pop(key) for key in keys if key in self._taken]
            for frame in reversed(frames):
                self._fresh[frame.lane].appendleft(frame)
                self._fresh_bytes += len(frame.points_json)
        return len(frames)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be taken and nothing is on its way."""
        with self._lock:
            return (not self._taken and not any(self._fresh.values())
                    and all(self._drained.values()) and not any(self._read.values()))

    def pending(self) -> tuple[int, int]:
        """Return points and bytes that the journal keeps."""
        return self._journal.points, self._journal.size_bytes

    def close_backlog(self) -> None:
        """Let go of the reading end; called by the sending thread when it ends."""
        self._backlog.close()


def _nobody() -> None:
    """Stand in until a link is there to be woken."""

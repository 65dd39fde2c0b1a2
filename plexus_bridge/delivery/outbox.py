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
import logging
import threading
import time

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import halves_of
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.frames import MAX_FRAME_BYTES
from plexus_bridge.delivery.journal import Backlog
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.errors import JournalError

MAX_FRESH_BYTES = 4_000_000
MAX_UNWRITTEN_BYTES = 16_000_000
BACKLOG_READ_BYTES = 1_000_000
# So many frames may be passed over for others; if more fail, it is not the frames' fault.
MAX_POSTPONED_FRAMES = 16
# Halves of refused frames in memory; they pile up only while the disk refuses, too.
MAX_UNWRITTEN_HALVES = 64
# A backlog that could not be read is tried again after this.
UNREADABLE_S = 60.0

log = logging.getLogger(__name__)


class Outbox:
    """
    `flush` belongs to the making thread; `take`, `settle`, `split`, `postpone` and `give_back`
    to the sending one.

    A frame that was taken stays in the journal until it is settled. `wake` is called when
    there is something to take, `on_settled` after frames were settled.
    """

    def __init__(self, lanes: Lanes, journal: Journal, counters: Counters):
        self._lanes = lanes
        self._journal = journal
        self._counters = counters
        self._lock = threading.Lock()
        # Collected, but the disk has refused them so far.
        self._unwritten: deque[Frame] = deque()
        self._unwritten_bytes = 0
        self._unwritten_points = 0
        self._fresh: dict[Lane, deque[Frame]] = {lane: deque() for lane in Lane}
        self._fresh_bytes = 0
        self._taken: dict[int, Frame] = {}
        # Settled frames that the journal still has: `_forgetting` while it is being told.
        self._settled: list[Frame] = []
        self._forgetting: list[Frame] = []
        self._settled_keys: set[int] = set()
        # What replaces frames in _settled: written by the very transaction that forgets those.
        self._halves: list[Frame] = []
        # Taken in vain, and behind all others now.
        self._postponed: dict[int, Frame] = {}
        # Every unsettled frame from this key on is in _fresh or _taken; older ones may be
        # on disk only, and are read from there, up to `_read_to` so far.
        self._fresh_from = journal.last_key + 1
        self._backlog = Backlog(journal.path)
        self._read: dict[Lane, deque[Frame]] = {lane: deque() for lane in Lane}
        self._read_to = dict.fromkeys(Lane, 0)
        self._drained = dict.fromkeys(Lane, False)
        self._unreadable_until = dict.fromkeys(Lane, 0.0)
        self._told_unreadable = False
        self.wake: Callable[[], None] = _nobody
        self.on_settled: Callable[[], None] = _nobody

    def flush(self) -> None:
        """
        Write what was collected to the journal, then offer it to the sending thread.

        JournalError says that the disk refuses; what was collected is tried again next time.
        """
        for frame in self._lanes.flush(time.time_ns() // 1_000_000):
            self._unwritten.append(frame)
            self._unwritten_bytes += len(frame.points_json)
            self._unwritten_points += frame.points
        with self._lock:
            self._forgetting, self._settled = self._settled, []
            halves, self._halves = self._halves, []
        if not self._unwritten and not self._forgetting:
            return
        try:
            kept = self._journal.write([*halves, *self._unwritten], self._forgetting)
        except JournalError:
            with self._lock:
                self._settled += self._forgetting
                self._forgetting = []
                self._halves += halves
            self._bound_unwritten()
            raise
        self._unwritten.clear()
        self._unwritten_bytes = self._unwritten_points = 0
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
            self._unwritten_points -= frame.points
            self._counters.drop('disk_refused', frame.points)

    def _offer(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._fresh[frame.lane].append(frame)
            self._fresh_bytes += len(frame.points_json)
        if not frames or self._fresh_bytes <= MAX_FRESH_BYTES:
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
            frame = (self._take_fresh() or self._take_from_backlog()
                     or self._take_postponed())
            if frame is None:
                return None
            # Frames that an earlier version wrote can be too long for a slow link. Their halves
            # come with the next flush, and only then the next frame, so that few are in memory.
            if len(frame.points_json) > MAX_FRAME_BYTES and self._replace_by_halves(frame):
                return None
            self._taken[frame.key] = frame
            return frame

    def _take_fresh(self) -> Frame | None:
        for fresh in self._fresh.values():
            if fresh:
                frame = fresh.popleft()
                self._fresh_bytes -= len(frame.points_json)
                return frame
        return None

    def _take_postponed(self) -> Frame | None:
        for key in self._postponed:
            return self._postponed.pop(key)
        return None

    def _take_from_backlog(self) -> Frame | None:
        for lane in Lane:
            while not self._drained[lane]:
                if not self._read[lane]:
                    if not self._read_on(lane):
                        break
                    continue
                frame = self._read[lane].popleft()
                if not self._is_known(frame.key):
                    return frame
        return None

    def _read_on(self, lane: Lane) -> bool:
        """Read more of a lane's backlog; False if it cannot be read for now."""
        if time.monotonic() < self._unreadable_until[lane]:
            return False
        try:
            frames = self._backlog.read(
                lane, self._read_to[lane], self._fresh_from, BACKLOG_READ_BYTES)
        except JournalError as error:
            self._unreadable_until[lane] = time.monotonic() + UNREADABLE_S
            self._counters.add('backlog_unreadable')
            if not self._told_unreadable:
                self._told_unreadable = True
                log.error('%s; they stay there and are tried again every %.0f s, what is '
                          'measured now is sent', error, UNREADABLE_S)
            return False
        if frames:
            self._read[lane].extend(frames)
            self._read_to[lane] = frames[-1].key
        else:
            self._drained[lane] = True
        return True

    def _is_known(self, key: int) -> bool:
        """Tell whether a frame that is still on disk is on its way, or done with already."""
        return key in self._taken or key in self._settled_keys or key in self._postponed

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
        self.on_settled()
        return points

    def split(self, key: int) -> bool:
        """
        Have a frame replaced by its halves, which are taken after the next flush.

        The journal exchanges them in one transaction: however the process ends, it has either
        the frame or both halves. False if the frame cannot be split: then it is still taken.
        While the disk refuses the halves of others, a frame is given back instead.
        """
        with self._lock:
            frame = self._taken.get(key)
            if frame is None:
                return True  # it is gone already
            if len(self._halves) < MAX_UNWRITTEN_HALVES:
                if not self._replace_by_halves(frame):
                    return False
                del self._taken[key]
                return True
        self.give_back([key])
        return True

    def _replace_by_halves(self, frame: Frame) -> bool:
        halves = halves_of(frame)
        if halves:
            self._settled.append(frame)
            self._settled_keys.add(frame.key)
            self._halves += halves
        return bool(halves)

    def postpone(self, key: int) -> None:
        """Say that a frame did not arrive, and that others are to be tried before it."""
        with self._lock:
            if len(self._postponed) < MAX_POSTPONED_FRAMES:
                frame = self._taken.pop(key, None)
                if frame:
                    self._postponed[key] = frame
                return
        self.give_back([key])

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
            return (not self._taken and not self._halves and not self._postponed
                    and not any(self._fresh.values())
                    and all(self._drained.values()) and not any(self._read.values()))

    def unsettled_points(self) -> int:
        """Return how many points are neither stored by the gateway nor given up."""
        with self._lock:
            settled = sum(frame.points for frame in (*self._settled, *self._forgetting))
        return max(0, self._journal.points - settled) + self._unwritten_points

    def pending(self) -> tuple[int, int]:
        """Return points and bytes that the journal keeps."""
        return self._journal.points, self._journal.size_bytes

    def close_backlog(self) -> None:
        """Let go of the reading end; called by the sending thread when it ends."""
        self._backlog.close()


def _nobody() -> None:
    """Stand in until a link is there to be woken."""

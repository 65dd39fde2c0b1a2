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
from collections.abc import Sequence
import threading
import time

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.durability import Durability
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import halves_of
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.journal_file import key_of
from plexus_bridge.delivery.lane_state import LaneState
from plexus_bridge.delivery.lane_state import LaneTotals
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.losses import Loss
from plexus_bridge.delivery.losses import Losses
from plexus_bridge.delivery.queues import MAX_FRESH_BYTES
from plexus_bridge.delivery.queues import Queues
from plexus_bridge.delivery.queues import Turn
from plexus_bridge.errors import JournalError

# So much that the disk refuses is kept in memory, and sent from there.
MAX_UNWRITTEN_BYTES = 16_000_000
# Halves of refused frames in memory; they pile up only while the disk refuses, too.
MAX_UNWRITTEN_HALVES = 64
# With `durability: outage`, what is not delivered within this is written.
OUTAGE_AFTER_S = 1.0
# What could not be sent within this is the past: what is measured now goes before it.
FRESH_S = 1.0
_OLDEST_S = 1.0


class Outbox:
    """
    `collect` belongs to the making thread, `write` to one that may wait for the disk (`flush` is
    both); `take`, `settle`, `lose`, `split`, `postpone` and `give_back` to the sending one; the
    rest may be read by any.

    A frame that was taken is kept until it is settled. `wake` is called when there is something
    to take, `on_settled` after frames were lost, or settled and counted; `now_ms` says what is
    stamped on frames and events (Unix ms).
    """

    def __init__(self, lanes: Lanes, journal: Journal, counters: Counters,
                 durability: Durability = Durability.ALWAYS):
        self._lanes = lanes
        self._journal = journal
        self._counters = counters
        self._durability = durability
        self._lock = threading.Lock()
        self._number = journal.last_number
        self._files = journal.number_of_files
        self._new: list[Frame] = []  # to be offered once they are written
        # Frames that are in memory only and ought to be on disk, with when they came.
        self._unkept: dict[int, tuple[Frame, float]] = {}
        # Keys that the journal is being given now, and those that it was to give up for others.
        self._writing: frozenset[int] = frozenset()
        self._memory_only: set[int] = set()
        # Settled keys that the journal still has.
        self._settled: list[int] = []
        # What replaces frames in _settled: written by the very transaction that forgets those.
        self._halves: list[Frame] = []
        self._queues = Queues(journal.path, counters)
        # Up to which number frames were made, by when.
        self._made: deque[tuple[float, int]] = deque()
        self._past = 0
        self._losses = Losses(journal.noted_losses(), time.monotonic())
        self._unsettled_points = journal.points
        self._totals = {lane: LaneTotals() for lane in Lane}
        self._oldest = dict.fromkeys(Lane, 0)
        self._next_oldest = 0.0
        self.wake: Callable[[], None] = _nobody
        self.on_settled: Callable[[], None] = _nobody
        self.now_ms: Callable[[], int] = _wall_ms

    def flush(self, *, everything: bool = False) -> None:
        """Do as `collect` and `write`."""
        self.collect()
        self.write(everything=everything)

    def collect(self) -> None:
        """Make frames of what waits in the lanes; offer what is not to wait for the disk."""
        now, made_ms = time.monotonic(), self.now_ms()
        with self._lock:
            ended = self._losses.take_ended(now)
        for loss in ended:
            self._lanes.sinks['urgent'].add(loss.point(made_ms))
        collected = self._lanes.flush(made_ms)
        at_once: list[Frame] = []
        with self._lock:
            for frame in collected:
                self._totals[frame.lane].points_accepted += frame.points
                self._unsettled_points += frame.points
            for frame in self._numbered(collected, now):
                waits = frame.lane > Lane.URGENT and self._durability is Durability.ALWAYS
                (self._new if waits else at_once).append(frame)
            self._offer(at_once, now)
        if at_once:
            self.wake()

    def write(self, *, everything: bool = False) -> None:
        """
        Write what was collected to the journal, then offer it to the sending thread.

        With `everything` also what may wait for its delivery. JournalError says that the disk
        refuses: it is tried again next time, and sent meanwhile.
        """
        now = time.monotonic()
        with self._lock:
            new, self._new = [*self._numbered(self._halves, now), *self._new], []
            self._halves = []
            forgetting, self._settled = self._settled, []
            writing = self._to_write(now, everything)
            self._writing = frozenset(frame.key for frame in writing)
            losses = self._losses.changes()
        try:
            if self._queues.file_damaged:
                self._journal.rebuild()
                with self._lock:
                    self._heed_new_file(now)
            if writing or forgetting or losses is not None:
                evicted = self._journal.write(writing, forgetting, losses)
                with self._lock:
                    self._was_written(writing, forgetting, evicted, now)
            self._journal.outlast_power_cuts()
        except JournalError:
            with self._lock:
                self._was_refused(forgetting, now)
            raise
        finally:
            with self._lock:
                self._writing = frozenset()
                self._offer(new, now)
                self._look_for_oldest(now)
            if new:
                self.wake()

    def _numbered(self, frames: Iterable[Frame], now: float) -> list[Frame]:
        """Return frames with their keys; they belong to memory for now."""
        numbered = []
        for frame in frames:
            self._number += 1
            frame = frame._replace(key=key_of(frame.lane, self._number))
            self._queues.known.add(frame.key)
            self._unkept[frame.key] = frame, now
            numbered.append(frame)
        return numbered

    def _to_write(self, now: float, everything: bool) -> list[Frame]:
        if (everything or self._durability is Durability.ALWAYS
                or self._queues.fresh_bytes > MAX_FRESH_BYTES // 2):
            return [frame for frame, _ in self._unkept.values()]
        return [frame for frame, came in self._unkept.values() if now - came >= OUTAGE_AFTER_S]

    def _was_written(self, writing: Sequence[Frame], forgetting: Sequence[int],
                     evicted: Sequence[Frame], now: float) -> None:
        for frame in writing:
            self._unkept.pop(frame.key, None)
        self._queues.known.difference_update(forgetting)
        for frame in evicted:
            # What is in memory is not lost: it can still be sent.
            if frame.key in self._queues.known:
                self._memory_only.add(frame.key)
            else:
                self._lost('journal_full', frame, now)

    def _was_refused(self, forgetting: Sequence[int], now: float) -> None:
        self._settled = [*forgetting, *self._settled]
        self._losses.not_noted()
        self._heed_new_file(now)
        too_much = self._unwritten()[1] - MAX_UNWRITTEN_BYTES
        for frame in self._queues.drop_oldest(too_much, self._unkept):
            self._unkept.pop(frame.key, None)
            self._lost('disk_refused', frame, now)

    def _heed_new_file(self, now: float) -> None:
        if self._journal.number_of_files == self._files:
            return
        self._files = self._journal.number_of_files
        self._queues.restart()
        for frame in self._queues.in_memory():  # it may not be in the new one
            self._unkept.setdefault(frame.key, (frame, now))
        for loss in self._journal.noted_losses():
            self._losses.add(loss, now)
            self._unsettled_points -= loss.points

    def _offer(self, frames: Sequence[Frame], now: float) -> None:
        self._queues.add(frames)
        self._made.append((now, self._number))
        while self._made and self._made[0][0] < now - FRESH_S:
            self._past = self._made.popleft()[1]
        if self._queues.has_fresh(self._past):
            self._queues.leave_to_disk(self._unkept, self._memory_only, up_to=self._past)
        # The link is slower than the robot, or down: leave them to the disk, which has them all.
        if frames and self._queues.fresh_bytes > MAX_FRESH_BYTES:
            for frame in self._queues.leave_to_disk(self._unkept, self._memory_only):
                self._memory_only.discard(frame.key)
                self._lost('journal_full', frame, now)

    def _look_for_oldest(self, now: float) -> None:
        if now < self._next_oldest:
            return
        self._next_oldest = now + _OLDEST_S
        for lane in Lane:
            made = [frame.made_ms for frame, _ in self._unkept.values() if frame.lane is lane]
            if self._journal.kept[lane].frames:
                made.append(self._journal.oldest_ms(lane))
            self._oldest[lane] = min(made, default=0)

    def _lost(self, reason: str, frame: Frame, now: float) -> None:
        self._unsettled_points -= frame.points
        self._counters.drop(reason, frame.points)
        self._totals[frame.lane].lost[reason] += frame.points
        self._losses.add(Loss(reason, frame.points, frame.made_ms, frame.made_ms), now)

    # -- for the sending thread

    def take(self, turn: Turn | None = None, room_points: int | None = None) -> Frame | None:
        """
        Return the next frame to send, of one turn or of all in order; None if there is none.

        Frames that wait together come as one, as long as `bundle_bytes` allows. A frame with
        more than `room_points` points is not taken.
        """
        with self._lock:
            for one in (Turn if turn is None else (turn,)):
                frame = self._queues.take(one, room_points, self._replace_by_halves)
                for lost in self._queues.take_damaged():
                    self._lost('journal_damaged', lost, time.monotonic())
                    self._settled.append(lost.key)
                if frame is not None:
                    totals = self._totals[frame.lane]
                    totals.points_sent += frame.points
                    totals.bytes_sent += len(frame.points_json)
                    return frame
        return None

    @property
    def waits(self) -> bool:
        """Whether something may wait to be taken; whoever adds to it wakes afterwards."""
        return self._queues.waits

    @property
    def bundle_bytes(self) -> int:
        """How many bytes of frames that wait may be sent as one; set it by what a link carries."""
        return self._queues.bundle_bytes

    @bundle_bytes.setter
    def bundle_bytes(self, size: int) -> None:
        self._queues.bundle_bytes = size

    def settle(self, keys: Iterable[int]) -> int:
        """Let frames go that are stored; returns how many points they had."""
        with self._lock:
            frames = self._let_go(keys)
            for frame in frames:
                self._totals[frame.lane].points_acknowledged += frame.points
                self._unsettled_points -= frame.points
        return sum(frame.points for frame in frames)

    def lose(self, keys: Iterable[int], reason: str, points: int | None = None) -> int:
        """
        Let frames go that will never be stored, count and tell it; returns how many points.

        With `points` only so many of them were lost, the others are stored.
        """
        now = time.monotonic()
        lost = 0
        with self._lock:
            for frame in self._let_go(keys):
                part = frame.points if points is None else min(points - lost, frame.points)
                self._totals[frame.lane].points_acknowledged += frame.points - part
                self._unsettled_points -= frame.points - part
                if part:
                    self._lost(reason, frame._replace(points=part), now)
                lost += part
        self.on_settled()
        return lost

    def _let_go(self, keys: Iterable[int]) -> list[Frame]:
        frames = self._queues.let_go(keys)
        for frame in frames:
            self._forget(frame.key)
        return frames

    def _forget(self, key: int) -> None:
        in_memory_only = key in self._unkept or key in self._memory_only
        self._unkept.pop(key, None)
        self._memory_only.discard(key)
        if in_memory_only and key not in self._writing:
            self._queues.known.discard(key)
        else:
            self._settled.append(key)

    def split(self, key: int) -> bool:
        """
        Have a frame sent in smaller parts, which may need a flush first.

        The journal exchanges a frame for its halves in one transaction: however the process ends,
        it has either the frame or both. False if the frame cannot be split: then it is still
        taken. While the disk refuses the halves of others, a frame is given back instead.
        """
        with self._lock:
            parts = self._queues.taken_parts(key)
            if len(parts) == 1 and len(self._halves) < MAX_UNWRITTEN_HALVES:
                if not self._replace_by_halves(parts[0]):
                    return False
                self._queues.let_go([key])
                return True
            self._queues.give_back([key], alone=len(parts) > 1)
        return True

    def _replace_by_halves(self, frame: Frame) -> bool:
        halves = halves_of(frame)
        if halves:
            self._forget(frame.key)
            self._halves += halves
        return bool(halves)

    def postpone(self, key: int) -> None:
        """Say that a frame did not arrive, and that others are to be tried before it."""
        with self._lock:
            self._queues.postpone(key)

    def give_back(self, keys: Iterable[int]) -> int:
        """Say that frames did not arrive: they are taken next, in their old order."""
        with self._lock:
            return self._queues.give_back(keys)

    # -- how it is

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be taken and nothing is on its way."""
        with self._lock:
            return not self._halves and self._queues.idle

    def unsettled_points(self) -> int:
        """Return how many points are neither stored by the gateway nor given up."""
        return self._unsettled_points

    @property
    def awaits_disk(self) -> bool:
        """Whether there is something to write, or to let go of on disk."""
        return bool(self._unkept or self._settled or self._halves)

    def unwritten(self) -> tuple[int, int]:
        """Return points and bytes that are in memory only: they end with the process."""
        with self._lock:
            return self._unwritten()

    def _unwritten(self) -> tuple[int, int]:
        frames = [frame for frame, _ in self._unkept.values()]
        return (sum(frame.points for frame in frames),
                sum(len(frame.points_json) for frame in frames))

    def pending(self) -> tuple[int, int]:
        """Return points and bytes that are kept until they are acknowledged."""
        points, size = self.unwritten()
        return self._journal.points + points, self._journal.size_bytes + size

    def lane_states(self) -> dict[Lane, LaneState]:
        """Return how each lane is."""
        kept = self._journal.kept
        with self._lock:
            return {lane: LaneState(*self._queues.sizes(lane), kept[lane], self._oldest[lane],
                                    self._totals[lane].copy()) for lane in Lane}

    @property
    def limit_bytes(self) -> int:
        """How much may wait on disk now."""
        return self._journal.limit_bytes

    def close_backlog(self) -> None:
        """Let go of the reading end; called by the sending thread when it ends."""
        self._queues.close()


def _nobody() -> None:
    """Stand in until a link is there to be woken."""


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000

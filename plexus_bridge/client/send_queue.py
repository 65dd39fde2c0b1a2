# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the points of all threads of a program wait until the next flush makes frames of them."""

from __future__ import annotations

from collections.abc import Sequence
import threading

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import encode_points
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.frames import make_frames
from plexus_bridge.delivery.frames import MAX_FRAME_POINTS
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.points import Point

# More wait only while the flushing thread cannot keep up: then those who send wait for it.
MAX_WAITING_POINTS = 200_000


class SendQueue(Lanes):
    """
    Lanes that any thread may `hand_in` to; all else is for the one thread that flushes.

    `max_frame_points` is the most that one frame gets, if that is less than what frames hold.
    """

    def __init__(self, counters: Counters):
        super().__init__(counters)
        self._totals = counters
        self._changed = threading.Condition()
        self._points: dict[Lane, list[Point]] = {lane: [] for lane in Lane}
        self._count = 0
        self._closed = False
        self._poked = False
        self.max_frame_points = MAX_FRAME_POINTS

    def __len__(self) -> int:
        return self._count

    def hand_in(self, lane: Lane, points: Sequence[Point]) -> bool:
        """Take points over; False if they come too late, because no flush will follow."""
        with self._changed:
            while self._count >= MAX_WAITING_POINTS and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            if not self._count or lane is Lane.URGENT:
                self._changed.notify_all()
            self._points[lane] += points
            self._count += len(points)
        return True

    def poke(self) -> None:
        """Say that a flush is due though nothing new came; any thread may."""
        with self._changed:
            self._poked = True
            self._changed.notify_all()

    def wait(self, timeout_s: float | None) -> bool:
        """Wait for something to flush; False once nothing will ever come again."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._count or self._closed or self._poked, timeout_s)
            self._poked = False
            return not self._closed

    def gather(self, seconds: float) -> None:
        """Let points gather for a while, but not while something urgent waits."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._points[Lane.URGENT] or self._closed
                or self._count >= MAX_WAITING_POINTS, max(0.0, seconds))

    def close(self) -> None:
        """Take no more; what is there can still be flushed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def flush(self, now_ms: int) -> list[Frame]:
        """Return all points as frames, most urgent lane first."""
        with self._changed:
            handed_in, self._points = self._points, {lane: [] for lane in Lane}
            count, self._count = self._count, 0
            if count >= MAX_WAITING_POINTS:
                self._changed.notify_all()
        self._totals.add('points_collected', count)
        frames = super().flush(now_ms)
        for lane, points in handed_in.items():
            for start in range(0, len(points), self.max_frame_points):
                some = points[start:start + self.max_frame_points]
                frames += make_frames(lane, encode_points(some, self._totals), now_ms)
        return sorted(frames, key=lambda frame: frame.lane)

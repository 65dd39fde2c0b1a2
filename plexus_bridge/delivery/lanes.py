# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Where points wait, by lane, until the next flush makes frames of them."""

from __future__ import annotations

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.frames import make_frames
from plexus_bridge.points import Point


class Lanes:
    """One list of points for each lane; owned by the thread that maps and flushes."""

    def __init__(self, counters: Counters):
        self._counters = counters
        self._points: dict[Lane, list[Point]] = {lane: [] for lane in Lane}
        # Bound once: mapping calls these for every point.
        self.sinks = {lane.name.lower(): self._points[lane].append for lane in Lane}

    def flush(self, now_ms: int) -> list[Frame]:
        """Return all that was collected as frames, most urgent lane first."""
        frames: list[Frame] = []
        for lane, points in self._points.items():
            if points:
                self._counters.add('points_collected', len(points))
                frames += make_frames(lane, points, now_ms, self._counters)
                points.clear()
        return frames

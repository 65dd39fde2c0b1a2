# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Where points wait, by lane, until the next flush makes frames of them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import encode_points
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.frames import make_frames
from plexus_bridge.delivery.rows import Columns
from plexus_bridge.delivery.rows import count_points
from plexus_bridge.delivery.rows import encode_rows
from plexus_bridge.delivery.rows import Row
from plexus_bridge.mapping.sinks import AddRow
from plexus_bridge.mapping.sinks import MetricName
from plexus_bridge.points import Point


class LaneSink:
    """One lane's points: single ones, and rows of those that come together."""

    def __init__(self, counters: Counters):
        self._counters = counters
        self._points: list[Point] = []
        self._rows: list[Row] = []
        # How much there was at `begin`.
        self._points_before = self._rows_before = 0
        # Has a look at single points before they are encoded, as rows are made of what is known.
        self.mark: Callable[[list[Point]], None] | None = None
        # Bound once: mapping calls it for every point.
        self.add = self._points.append

    def add_rows(self, metrics: Sequence[MetricName]) -> AddRow:
        """Return what takes rows of a number for each of these metrics and a stamp."""
        columns = Columns(metrics)
        append = self._rows.append

        def add_row(values: tuple[Any, ...]) -> None:
            append((columns, values))

        return add_row

    def __len__(self) -> int:
        return len(self._points) + count_points(self._rows)

    def begin(self) -> None:
        """Begin to count what is added."""
        self._points_before = len(self._points)
        self._rows_before = len(self._rows)

    def added(self) -> int:
        """Return how many points were added since `begin`; nothing was encoded meanwhile."""
        points = len(self._points) - self._points_before
        rows = len(self._rows) - self._rows_before
        return points + count_points(self._rows[-rows:]) if rows else points

    def encode(self) -> Iterator[tuple[int, bytes]]:
        """Yield all points as (how many, JSON objects with commas between them)."""
        if self.mark is not None and self._points:
            self.mark(self._points)
        yield from encode_points(self._points, self._counters)
        self._points.clear()
        yield from encode_rows(self._rows)
        self._rows.clear()


class Lanes:
    """One sink for each lane, by its name; owned by the thread that maps and flushes."""

    def __init__(self, counters: Counters):
        self._counters = counters
        self.sinks = {lane.name.lower(): LaneSink(counters) for lane in Lane}

    @property
    def urgent(self) -> bool:
        """Whether something was collected that should not wait for the next flush."""
        return len(self.sinks['urgent']) > 0

    def flush(self, now_ms: int) -> list[Frame]:
        """Return all that was collected as frames, most urgent lane first."""
        frames: list[Frame] = []
        for lane, sink in zip(Lane, self.sinks.values(), strict=True):
            if count := len(sink):
                self._counters.add('points_collected', count)
                frames += make_frames(lane, sink.encode(), now_ms)
        return frames

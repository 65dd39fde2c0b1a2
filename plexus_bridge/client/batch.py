# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``with px.batch() as b``: readings that come fast, sent together at an interval (SDK-02)."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import threading
import time
from types import TracebackType
from typing import Any

from plexus_bridge.client.intake import Intake
from plexus_bridge.errors import PlexusError
from plexus_bridge.errors import SettingError
from plexus_bridge.points import MAX_POINTS_PER_MESSAGE
from plexus_bridge.points import Point

SHORTEST_INTERVAL_MS = 2.0


class BatchSender:
    """
    Collects readings and hands them on every `interval_ms`, from `start` (or ``with``) to `close`.

    Any thread may call. Readings keep the time at which they were taken. Nothing is dropped: when
    `max_pending` readings wait, whoever sends the next hands them on. A frame has at most
    `max_points` of them.
    """

    def __init__(self, intake: Intake, interval_ms: float = 100.0, max_points: int = 5000,
                 max_pending: int = 200_000):
        if not interval_ms >= SHORTEST_INTERVAL_MS:
            raise SettingError(
                f'interval_ms: saw {interval_ms!r}, expected at least {SHORTEST_INTERVAL_MS:g}')
        for name, number in (('max_points', max_points), ('max_pending', max_pending)):
            if number < 1:
                raise SettingError(f'{name}: saw {number!r}, expected 1 or more')
        self._intake = intake
        self._interval_s = interval_ms / 1000
        self._max_points = min(max_points, MAX_POINTS_PER_MESSAGE)
        self._max_pending = max_pending
        self._lock = threading.Lock()
        self._handing = threading.Lock()
        self._points: list[Point] = []
        self._ending = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def pending(self) -> int:
        """How many readings are not handed on yet."""
        return len(self._points)

    @property
    def dropped(self) -> int:
        """Always 0: readings wait on disk for a gateway, not here."""
        return 0

    def start(self) -> BatchSender:
        """Begin to hand on at the interval; ``with`` does so itself."""
        with self._lock:
            if self._closed:
                raise RuntimeError('this batch is closed; make another one with Plexus.batch()')
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name='plexus-batch', daemon=True)
                self._thread.start()
        return self

    def send(self, metric: str, value: Any, timestamp: float | None = None,
             tags: Mapping[str, Any] | None = None, data_class: str | None = None) -> None:
        """Collect one reading; as `Plexus.send`, but for the result."""
        self._collect([self._intake.make_point(metric, value, timestamp, tags, data_class)])

    def send_batch(self, points: Iterable[Any], timestamp: float | None = None,
                   tags: Mapping[str, Any] | None = None) -> None:
        """Collect some readings; as `Plexus.send_batch`, but for the result."""
        self._collect(self._intake.make_points(points, timestamp, tags))

    def flush(self) -> None:
        """Hand on what was collected, now; raises what `Plexus.send` raises."""
        self._hand_on()
        self._intake.tell_trouble()

    def close(self) -> None:
        """Hand on what is left and end; doing so twice is harmless."""
        with self._lock:
            closed, self._closed = self._closed, True
            thread = self._thread
        self._ending.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
        if not closed:
            self._hand_on()

    def __enter__(self) -> BatchSender:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _collect(self, points: list[Point]) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError('this batch is closed; make another one with Plexus.batch()')
            self._points += points
            full = len(self._points) >= self._max_pending
        if full:
            self._hand_on()

    def _run(self) -> None:
        due = time.monotonic() + self._interval_s
        while not self._ending.wait(max(0.0, due - time.monotonic())):
            try:
                self._hand_on()
            except PlexusError:
                return  # the client was closed, and this batch by it
            # A fixed schedule; what was missed is not made up for.
            due = max(due + self._interval_s, time.monotonic())

    def _hand_on(self) -> None:
        # One at a time, so that readings stay in order. What troubles the gateway is not for this
        # thread to hear: the next `send` or `flush` of the program's own is told.
        with self._handing:
            with self._lock:
                points, self._points = self._points, []
            if points:
                self._intake.hand_in(points, self._max_points)

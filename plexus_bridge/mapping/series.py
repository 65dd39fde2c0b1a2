# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The last step of a value: left out, held back, gathered, or written as a point.

A series is one metric with its tags. Stamps are Unix ms and normally grow; where they jump back
(a recording that is looped) a series begins anew.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import math
from typing import Any
from typing import Protocol
import zlib

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.event_points import make_event
from plexus_bridge.mapping.rules import Change
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.mapping.sinks import make_point
from plexus_bridge.mapping.sinks import MetricName
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.points import MAX_EVENT_TEXT_BYTES
from plexus_bridge.points import MAX_NAME_BYTES
from plexus_bridge.points import MAX_TAG_BYTES
from plexus_bridge.points import MAX_TAGS
from plexus_bridge.points import trim

Write = Callable[[Any, int], None]


class Series(Protocol):
    """Takes the values of one metric."""

    @property
    def offer(self) -> Write:
        """What takes a number (finite) or text with its stamp."""

    def settle(self, now_ms: int) -> None:
        """Let go of what has waited long enough; `now_ms` is the time of receipt."""


def short_hash(text: str) -> str:
    """Return a few signs that tell two texts apart, to be put behind a name."""
    return f'~{zlib.crc32(text.encode(errors="replace")):08x}'


def trim_name(metric: str, tags: Mapping[str, str]) -> MetricName:
    """Return a metric's name and tags, cut to their limits; names that are cut stay different."""
    if len(metric.encode(errors='replace')) > MAX_NAME_BYTES:
        ending = short_hash(metric)
        metric = trim(metric, MAX_NAME_BYTES - len(ending)) + ending
    return MetricName(metric, {
        trim(key, MAX_TAG_BYTES): trim(value, MAX_TAG_BYTES)
        for key, value in list(tags.items())[:MAX_TAGS]})


def point_writer(metric: str, tags: Mapping[str, str], sink: Sink) -> Write:
    """Return what writes the points of one metric; names and tags are trimmed to their limits."""
    name = trim_name(metric, tags)
    add = sink.add

    def write(value: Any, stamp: int) -> None:
        add(make_point(name, value, stamp))

    return write


def event_writer(metric: str, tags: Mapping[str, str], sink: Sink) -> Write:
    """Return what writes texts as events of one name."""
    name = trim_name(metric, tags)

    def write(value: Any, stamp: int) -> None:
        sink.add({**make_point(name, trim(value, MAX_EVENT_TEXT_BYTES), stamp), 'class': 'event'})

    return write


def severity_writer(metric: str, tags: Mapping[str, str], severities: Mapping[str, str],
                    sink: Sink) -> Write:
    """Return what writes texts, truths and numbers as events, each as severe as told."""
    def write(value: Any, stamp: int) -> None:
        severity = severities.get(str(value).lower() if isinstance(value, bool) else str(value))
        sink.add(make_event(
            metric, value, stamp, tags, severities.get('', '') if severity is None else severity))

    return write


class EverySeries:
    """Passes every value on."""

    def __init__(self, write: Write):
        self.offer = write

    def settle(self, now_ms: int) -> None:
        """Do nothing: nothing waits."""


class ChangeSeries:
    """Passes on what differs enough from the last value that was passed on."""

    def __init__(self, write: Write, change: Change, counters: Counters):
        self._write = write
        self._absolute = change.absolute
        self._relative = change.relative
        self._resend_ms = math.inf if change.resend_s is None else change.resend_s * 1000
        self._counters = counters
        self._last: Any = None
        self._last_stamp = 0

    def offer(self, value: Any, stamp: int) -> None:
        """Take a number or text."""
        if self._last is not None and 0 <= stamp - self._last_stamp < self._resend_ms \
                and self._is_close(value):
            self._counters.add('values_unchanged')
            return
        self._last = value
        self._last_stamp = stamp
        self._write(value, stamp)

    def forget(self) -> None:
        """Pass the next value on, whatever it is: something else was told meanwhile."""
        self._last = None

    def _is_close(self, value: Any) -> bool:
        if isinstance(value, str) or isinstance(self._last, str):
            return bool(value == self._last)
        bound = max(self._absolute, self._relative * abs(self._last))
        return bool(abs(value - self._last) <= bound)

    def settle(self, now_ms: int) -> None:
        """Do nothing: nothing waits."""


class WindowSeries:
    """
    Gathers the values of a window and writes its statistics.

    Windows are aligned to the clock, so the same data gives the same windows live and from a
    recording. A window ends with the first stamp behind it, or when nothing has come for as
    long as it lasts. Its points carry the stamp of its last value; `rate` is values per second.
    """

    def __init__(self, writes: Mapping[str, Write], sampling: Sampling, counters: Counters):
        self._writes = writes
        self._counters = counters
        self._length_ms = sampling.window_s * 1000
        self._window: int | None = None
        self._heard_ms: int | None = None
        self._begin(0.0)

    def _begin(self, value: float) -> None:
        self._count = 0
        self._mean = 0.0
        self._squares = 0.0
        self._min = self._max = self._last = value
        self._stamp = 0

    def offer(self, value: Any, stamp: int) -> None:
        """Take a number."""
        window = int(stamp // self._length_ms)
        if self._window is not None and window == self._window - 1:
            # A little late, as with two publishers: it belongs to what is at hand, or each such
            # stamp would end a window.
            window = self._window
        if window != self._window:
            self._close()
            self._window = window
            self._begin(value)
        # Welford's recurrence: exact enough for large values with small differences.
        self._count += 1
        difference = value - self._mean
        self._mean += difference / self._count
        self._squares += difference * (value - self._mean)
        self._min = min(self._min, value)
        self._max = max(self._max, value)
        self._last = value
        self._stamp = max(self._stamp, stamp)
        self._heard_ms = None

    def settle(self, now_ms: int) -> None:
        """End a window in which nothing comes any more."""
        if self._window is None:
            return
        if self._heard_ms is None:
            self._heard_ms = now_ms
        elif now_ms - self._heard_ms >= self._length_ms:
            self._close()

    def finish(self) -> None:
        """End the window at hand: no more will come."""
        self._close()

    def _close(self) -> None:
        if self._window is None or not self._count:
            return
        statistics = {
            'mean': self._mean, 'min': self._min, 'max': self._max, 'count': self._count,
            'last': self._last, 'std': math.sqrt(max(0.0, self._squares / self._count)),
            'rate': self._count / self._length_ms * 1000}
        for name, write in self._writes.items():
            if math.isfinite(statistics[name]):
                write(statistics[name], self._stamp)
            else:  # values that are finite can be too large for their squares
                self._counters.drop('not_finite')
        self._window = None
        self._heard_ms = None

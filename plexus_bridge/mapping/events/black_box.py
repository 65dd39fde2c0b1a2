# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The black box: points at full rate in memory, sent only around an event.

A ring keeps the newest points by their stamps. An event opens a span from some time before it to
some time after; what the ring has of the span is sent, what comes later in the span goes straight
out, and all of it carries the event's identity as the tag `capture`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.events.rules import CaptureRule
from plexus_bridge.mapping.series import trim_name
from plexus_bridge.mapping.sinks import Add
from plexus_bridge.mapping.sinks import AddRow
from plexus_bridge.mapping.sinks import make_point
from plexus_bridge.mapping.sinks import MetricName
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.points import MAX_TAGS
from plexus_bridge.points import Point

CAPTURE = 'capture'
# What a point and a number of a row take in memory, roughly, in bytes.
POINT_BYTES = 600
ROW_BYTES = 120
NUMBER_BYTES = 32
# An event is stamped a little before the newest point: so much more is kept.
_SLACK_MS = 1000
# A stamp that is older than this against the newest begins anew: a recording is looped.
_JUMP_MS = 60_000

_Kept = tuple[int, int, Callable[[str], None]]


class BlackBox:
    """One ring and its spans; `out` takes what is sent. One thread's."""

    def __init__(self, rule: CaptureRule, out: Sink, counters: Counters):
        self._before_ms = round(rule.before_s * 1000)
        self._after_ms = round(rule.after_s * 1000)
        self._max_bytes = round(rule.max_mb * 1_000_000)
        self._out = out
        self._counters = counters
        self._ring: deque[_Kept] = deque()
        self._bytes = 0
        self._newest_ms = 0
        # The span at hand, if there is an event: from, to, identity.
        self._from_ms = self._to_ms = 0
        self._identity = ''
        self._names: dict[tuple[str, int], list[MetricName]] = {}

    @property
    def sink(self) -> RingSink:
        """Where the points go that are to be kept."""
        return RingSink(self)

    def watch(self, sink: Sink) -> Sink:
        """Return a sink for events: each is tagged with its capture, and passed on."""
        return _Trigger(self, sink)

    def trigger(self, name: str, stamp_ms: int) -> str:
        """Send what there is around this moment (Unix ms), and will be; returns the identity."""
        if self._identity and self._from_ms <= stamp_ms <= self._to_ms:
            self._to_ms = max(self._to_ms, stamp_ms + self._after_ms)
            self._from_ms = min(self._from_ms, stamp_ms - self._before_ms)
        else:
            self._identity = f'{name}@{stamp_ms}'
            self._from_ms = stamp_ms - self._before_ms
            self._to_ms = stamp_ms + self._after_ms
            self._names.clear()
        kept, self._ring = self._ring, deque()
        self._bytes = 0
        for entry in kept:
            if self._is_in_span(entry[0]):
                entry[2](self._identity)
            else:
                self._ring.append(entry)
                self._bytes += entry[1]
        return self._identity

    def keep(self, stamp_ms: int, size: int, send: Callable[[str], None]) -> None:
        """Keep something in the ring, or send it at once where a span asks for it."""
        if self._identity and self._is_in_span(stamp_ms):
            send(self._identity)
            return
        if stamp_ms < self._newest_ms - _JUMP_MS:
            self._ring.clear()
            self._bytes = 0
            self._newest_ms = 0
        self._newest_ms = max(self._newest_ms, stamp_ms)
        self._ring.append((stamp_ms, size, send))
        self._bytes += size
        oldest_ms = self._newest_ms - self._before_ms - _SLACK_MS
        while self._ring and (self._ring[0][0] < oldest_ms or self._bytes > self._max_bytes):
            if self._ring[0][0] >= oldest_ms:
                self._counters.add('captures_short_of_memory')
            self._bytes -= self._ring.popleft()[1]

    def _is_in_span(self, stamp_ms: int) -> bool:
        return self._from_ms <= stamp_ms <= self._to_ms

    def send_point(self, point: Point, identity: str) -> None:
        """Send one point with the event's identity."""
        self._out.add({**point, 'tags': _tagged(point.get('tags', {}), identity)})

    def send_row(self, metrics: Sequence[MetricName], row: tuple[Any, ...],
                 identity: str) -> None:
        """Send a row's points with the event's identity."""
        names = self._names.get((identity, id(metrics)))
        if names is None:
            names = self._names[identity, id(metrics)] = [
                trim_name(name.metric, _tagged(name.tags, identity)) for name in metrics]
        for name, value in zip(names, row[:-1], strict=True):
            self._out.add(make_point(name, value, row[-1]))


class RingSink:
    """A sink whose points go to a black box."""

    def __init__(self, box: BlackBox):
        self._box = box
        self.add: Add = self._add

    def _add(self, point: Point) -> None:
        box = self._box
        box.keep(point['timestamp'], POINT_BYTES,
                 lambda identity: box.send_point(point, identity))

    def add_rows(self, metrics: Sequence[MetricName]) -> AddRow:
        """Return what keeps rows as they are."""
        box = self._box
        size = ROW_BYTES + NUMBER_BYTES * len(metrics)

        def add_row(row: tuple[Any, ...]) -> None:
            box.keep(row[-1], size, lambda identity: box.send_row(metrics, row, identity))

        return add_row


class _Trigger:
    """Passes events on; each opens a span of the black box, or makes the one at hand longer."""

    def __init__(self, box: BlackBox, sink: Sink):
        self._box = box
        self._sink = sink
        self.add: Add = self._add
        self.add_rows = sink.add_rows

    def _add(self, point: Point) -> None:
        identity = self._box.trigger(point['metric'], point['timestamp'])
        self._sink.add({**point, 'tags': _tagged(point.get('tags', {}), identity)})


def _tagged(tags: Any, identity: str) -> dict[str, str]:
    return dict([(CAPTURE, identity), *tags.items()][:MAX_TAGS])

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
from collections.abc import Sequence
import math
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.event_points import fitting_tags
from plexus_bridge.mapping.events.rules import CaptureRule
from plexus_bridge.mapping.series import trim_name
from plexus_bridge.mapping.sinks import Add
from plexus_bridge.mapping.sinks import AddRow
from plexus_bridge.mapping.sinks import MetricName
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.topic import Mapper
from plexus_bridge.points import Point

CAPTURE = 'capture'
# What a point and a number of a row take in memory with all that holds them, in bytes.
POINT_BYTES = 700
ROW_BYTES = 220
NUMBER_BYTES = 34
# An event is stamped a little before the newest point: so much more is kept.
_SLACK_MS = 1000
# A stamp that is older than this against the newest begins anew: a recording is looped.
_JUMP_MS = 60_000
# So much of the rings (their memory) is sent at a time: a few ms to hand on and to encode.
PART_BYTES = 400_000

# The metrics of a row, None for a point.
_Metrics = Sequence[MetricName] | None
# Stamp (Unix ms), bytes in memory, and what was kept: a row of these metrics, or a point.
_Entry = tuple[int, int, _Metrics, Any]


class BlackBox:
    """
    Rings and the span at hand; `out` takes what is sent. One thread's.

    Each rule has a ring of its own: topics whose clocks differ do not push each other out.
    """

    def __init__(self, rule: CaptureRule, out: Sink, counters: Counters):
        self._before_ms = round(rule.before_s * 1000)
        self._after_ms = round(rule.after_s * 1000)
        self._max_bytes = round(rule.max_mb * 1_000_000)
        self._out = out
        self._counters = counters
        self._rings: list[Ring] = []
        # The span at hand, if there is an event: from, to, identity.
        self._from_ms = self._to_ms = 0
        self._identity = ''
        # What takes the rows of these metrics with the identity; the metrics are kept, so that
        # their id stays theirs.
        self._add_rows: dict[int, tuple[_Metrics, AddRow]] = {}

    @property
    def bytes(self) -> int:
        """What all rings take in memory."""
        return sum(ring.bytes for ring in self._rings)

    def make_ring(self) -> Ring:
        """Return a sink whose points are kept, or sent where a span asks for them."""
        ring = Ring(self, self._before_ms + _SLACK_MS)
        self._rings.append(ring)
        return ring

    def watch(self, sink: Sink) -> Sink:
        """Return a sink for events: each is tagged with its capture, and passed on."""
        return _Trigger(self, sink)

    def accompany(self, mapper: Mapper) -> Mapper:
        """Return a mapper of the event whose turns are used to send on what is captured."""
        return _Accompanied(mapper, self)

    def trigger(self, name: str, stamp_ms: int) -> str:
        """Have sent what there is around this moment (Unix ms), and will be; returns the identity.

        `send_on` sends it, part by part.
        """
        from_ms, to_ms = stamp_ms - self._before_ms, stamp_ms + self._after_ms
        if self._identity and from_ms <= self._to_ms and to_ms >= self._from_ms:
            self._from_ms, self._to_ms = min(self._from_ms, from_ms), max(self._to_ms, to_ms)
        else:
            self.finish()  # what is left of the span before is tagged as that
            self._identity = f'{name}@{stamp_ms}'
            self._from_ms, self._to_ms = from_ms, to_ms
            self._add_rows.clear()
        for ring in self._rings:
            ring.open()
        return self._identity

    def send_on(self, part_bytes: float = PART_BYTES) -> None:
        """Send a part of what the rings have of the span."""
        for ring in self._rings:
            part_bytes = ring.send_part(part_bytes)
            if part_bytes <= 0:
                return

    def finish(self) -> None:
        """Send all that the rings have of the span."""
        self.send_on(math.inf)

    def sent(self, stamp_ms: int, metrics: _Metrics, content: Any) -> bool:
        """Send a row of these metrics, or a point, if the span asks for it; tells whether."""
        if not self._identity or not self._from_ms <= stamp_ms <= self._to_ms:
            return False
        if metrics is None:
            self._out.add({**content, 'tags': _tagged(content.get('tags', {}), self._identity)})
            return True
        known = self._add_rows.get(id(metrics))
        if known is None:
            known = self._add_rows[id(metrics)] = (metrics, self._out.add_rows([
                trim_name(name.metric, _tagged(name.tags, self._identity)) for name in metrics]))
        known[1](content)
        return True

    def make_room(self) -> None:
        """Have the ring that takes most lose its oldest, until all of them fit."""
        excess = self.bytes - self._max_bytes
        while excess > 0:
            largest = max(self._rings, key=lambda ring: ring.bytes)
            excess -= largest.drop_oldest()
            self._counters.add('captures_short_of_memory')


class Ring:
    """A sink that keeps the newest points of one rule in memory."""

    def __init__(self, box: BlackBox, length_ms: int):
        self._box = box
        self._length_ms = length_ms
        self._kept: deque[_Entry] = deque()
        # What was kept when an event came and is still to be looked through, and what of that lay
        # outside of its span; all older than `_kept`.
        self._opened: deque[_Entry] = deque()
        self._spared: deque[_Entry] = deque()
        self._newest_ms = 0
        self._added = 0
        self.bytes = 0
        self.add: Add = self._add

    def __len__(self) -> int:
        return len(self._spared) + len(self._opened) + len(self._kept)

    def begin(self) -> None:
        """Begin to count points, kept or sent."""
        self._added = 0

    def added(self) -> int:
        """Return how many points came since `begin`."""
        return self._added

    def _add(self, point: Point) -> None:
        self._keep(point['timestamp'], POINT_BYTES, None, point)

    def add_rows(self, metrics: Sequence[MetricName]) -> AddRow:
        """Return what keeps rows as they are."""
        size = ROW_BYTES + NUMBER_BYTES * len(metrics)

        def add_row(row: tuple[Any, ...]) -> None:
            self._keep(row[-1], size, metrics, row)

        return add_row

    def _keep(self, stamp_ms: int, size: int, metrics: _Metrics, content: Any) -> None:
        self._added += 1 if metrics is None else len(metrics)
        if self._box.sent(stamp_ms, metrics, content):
            return
        if stamp_ms < self._newest_ms - _JUMP_MS:
            self.bytes -= sum(entry[1] for entry in self._kept)
            self._kept.clear()
            self._newest_ms = 0
        self._newest_ms = max(self._newest_ms, stamp_ms)
        self._kept.append((stamp_ms, size, metrics, content))
        self.bytes += size
        while self._kept and self._kept[0][0] < self._newest_ms - self._length_ms:
            self.bytes -= self._kept.popleft()[1]
        self._box.make_room()

    def drop_oldest(self) -> int:
        """Forget the oldest; returns how many bytes it took."""
        size = (self._spared or self._opened or self._kept).popleft()[1]
        self.bytes -= size
        return size

    def open(self) -> None:
        """Have all that is kept looked through for what the span asks for."""
        if self._opened:
            self._opened.extend(self._kept)
            self._kept.clear()
        else:
            self._opened, self._kept = self._kept, self._opened

    def send_part(self, part_bytes: float) -> float:
        """Look through so many bytes of it; returns how many more it might have been."""
        while self._opened and part_bytes > 0:
            entry = self._opened.popleft()
            stamp_ms, size, metrics, content = entry
            part_bytes -= size
            if self._box.sent(stamp_ms, metrics, content):
                self.bytes -= size
            else:
                self._spared.append(entry)
        if not self._opened and self._spared:
            self._kept.extendleft(reversed(self._spared))
            self._spared.clear()
        return part_bytes


class _Trigger:
    """Passes events on; each opens a span of the black box, or makes the one at hand longer."""

    def __init__(self, box: BlackBox, sink: Sink):
        self._box = box
        self._sink = sink
        self._added = 0
        self.add: Add = self._add
        self.add_rows = sink.add_rows

    def begin(self) -> None:
        """Begin to count events."""
        self._added = 0

    def added(self) -> int:
        """Return how many events came since `begin`."""
        return self._added

    def _add(self, point: Point) -> None:
        self._added += 1
        identity = self._box.trigger(point['metric'], point['timestamp'])
        self._sink.add({**point, 'tags': _tagged(point.get('tags', {}), identity)})
        self._box.send_on()


class _Accompanied:
    """Maps as another mapper does; after each round the black box sends on."""

    settles = True

    def __init__(self, mapper: Mapper, box: BlackBox):
        self._mapper = mapper
        self._box = box
        self.every = mapper.every
        self.period_s = mapper.period_s
        self.is_due = mapper.is_due
        self.take = mapper.take

    def settle(self, now_ms: int) -> None:
        self._mapper.settle(now_ms)
        self._box.send_on()

    def finish(self) -> None:
        self._mapper.finish()
        self._box.finish()


def _tagged(tags: Any, identity: str) -> dict[str, str]:
    return dict(fitting_tags({CAPTURE: identity, **tags}))

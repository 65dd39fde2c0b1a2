# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Metrics about delivery itself, ``plexus.*``: what is sent, what waits, what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.points import Point

PERIOD_S = 10.0
VIDEO = 'video'
# Name without the prefix, value, tags.
_Value = tuple[str, float, dict[str, str]]


class OwnMetrics:
    """Makes the points; used by the thread that makes frames. `now` is monotonic seconds."""

    def __init__(self, outbox: Outbox, counters: Counters, tags: Mapping[str, str]):
        self._outbox = outbox
        self._counters = counters
        self._tags = dict(tags)
        self._next = 0.0
        self._before: tuple[float, dict[str, int]] | None = None

    def points(self, now: float, now_ms: int, connections: int,
               clock: tuple[float, float] | None) -> list[Point]:
        """
        Return the metrics if it is time for them, else nothing.

        `connections` is how often the key was accepted, `clock` the gateway's time minus ours and
        the error of that, in ms.
        """
        if now < self._next:
            return []
        self._next = now + PERIOD_S
        return [self._point(name, value, now_ms, tags) for name, value, tags in (
            *self._delivery(now_ms, connections), *self._losses(), *self._rates(now),
            *(() if clock is None else (
                ('clock.offset', clock[0], {'unit': 'ms'}),
                ('clock.error', clock[1], {'unit': 'ms'}))))]

    def _point(self, name: str, value: float, now_ms: int, tags: Mapping[str, str]) -> Point:
        return {'class': 'metric', 'metric': f'plexus.{name}', 'value': value,
                'timestamp': now_ms, 'tags': {**self._tags, **tags}}

    def _delivery(self, now_ms: int, connections: int) -> Iterator[_Value]:
        points, size = self._outbox.pending()
        states = self._outbox.lane_states().values()
        oldest = min((state.oldest_ms for state in states if state.oldest_ms), default=now_ms)
        yield 'points.sent', sum(state.totals.points_sent for state in states), {}
        yield 'points.acknowledged', sum(
            state.totals.points_acknowledged for state in states), {}
        yield 'backlog.points', points, {}
        yield 'backlog.bytes', size, {'unit': 'By'}
        yield 'backlog.age', max(0, now_ms - oldest) / 1000, {'unit': 's'}
        yield 'reconnects', max(0, connections - 1), {}

    def _losses(self) -> Iterator[_Value]:
        for reason, count in self._counters.dropped().items():
            yield 'dropped', count, {'reason': reason}

    def _rates(self, now: float) -> Iterator[_Value]:
        sizes = bytes_by_lane(self._outbox, self._counters)
        before, self._before = self._before, (now, sizes)
        if before is not None and now > before[0]:
            for name, size in sizes.items():
                yield 'bytes_per_s', (size - before[1][name]) / (now - before[0]), {'lane': name}


def bytes_by_lane(outbox: Outbox, counters: Counters) -> dict[str, int]:
    """Return how many bytes each lane has sent since the start, video last."""
    sizes = {lane.name.lower(): state.totals.bytes_sent
             for lane, state in outbox.lane_states().items()}
    sizes[VIDEO] = counters['video_bytes_sent']
    return sizes

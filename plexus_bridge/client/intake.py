# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""From what a program hands in to points that are on their way, stamped and checked."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import os
import threading
import time
from typing import Any

from plexus_bridge.client.readings import make_point
from plexus_bridge.client.readings import wire_stamp
from plexus_bridge.client.sender import Sender
from plexus_bridge.client.settings import Settings
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.errors import AuthenticationError
from plexus_bridge.errors import PlexusError
from plexus_bridge.errors import PointError
from plexus_bridge.errors import RateLimitedError
from plexus_bridge.points import Point

# The first call that needs the gateway waits so long to learn how it is; later ones never wait.
FIRST_WAIT_S = 5.0
_CLOSED = 'this Plexus object is closed; make another one'


class Intake:
    """Makes points and sends them, until `close`; any thread may call."""

    def __init__(self, settings: Settings, sender: Sender, timeout_s: float):
        self._sender = sender
        self._has_socket = bool(settings.device_url)
        self.first_wait_s = min(timeout_s, FIRST_WAIT_S)
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._begun = False
        self._closed = False
        self._told_thrown_away = 0

    @property
    def is_ours(self) -> bool:
        """Whether this is still the process that made it, and none that was forked since."""
        return os.getpid() == self._process

    def check_usable(self) -> None:
        """Raise PlexusError once it is closed, and in forked processes."""
        if self._closed:
            raise PlexusError(_CLOSED)
        if not self.is_ours:
            raise PlexusError(
                'this Plexus object belongs to the process that made it, and was forked since; '
                'make one in the new process, with a source_id or buffer_path of its own')

    def begin(self) -> None:
        """Open the link; the first time, wait until it is known how it is."""
        self.check_usable()
        if not self._begun:
            self._sender.start()
            if self._has_socket:
                self._sender.wait_for_link(self.first_wait_s)
            self._begun = True

    def close(self) -> bool:
        """Take nothing more; False if it is closed already."""
        with self._lock:
            closed, self._closed = self._closed, True
        return not closed

    def make_point(self, metric: str, value: Any, timestamp: Any = None,
                   tags: Mapping[str, Any] | None = None, data_class: str | None = None) -> Point:
        """Return a point with its stamp; PointError if it can be none."""
        point = make_point(metric, value, 0, tags, data_class)
        point['timestamp'] = self._stamp(timestamp)
        return point

    def make_points(self, points: Iterable[Any], timestamp: Any = None,
                    tags: Mapping[str, Any] | None = None) -> list[Point]:
        """Return points of (metric, value) and (metric, value, timestamp)."""
        made: list[Point] = []
        for reading in points:
            if not isinstance(reading, tuple | list) or len(reading) not in (2, 3):
                raise PointError(
                    f'points[{len(made)}]: saw {str(reading)[:80]!r}, expected (metric, value) '
                    'or (metric, value, timestamp)')
            stamp = wire_stamp(reading[2], 0) if len(reading) == 3 else 0
            made.append(make_point(reading[0], reading[1], stamp, tags))
        shared = self._stamp(timestamp)
        for point in made:
            point['timestamp'] = point['timestamp'] or shared
        return made

    def send(self, points: list[Point]) -> bool:
        """
        Take points over for delivery; True.

        Raises what the caller has to know: none of it undoes that they were taken over.
        """
        self.hand_in(points)
        if not self._has_socket and not self._sender.heard:
            self._sender.wait_for_link(self.first_wait_s)
        self.tell_trouble()
        return True

    def hand_in(self, points: list[Point], frame_points: int | None = None) -> None:
        """Take points over, in frames of `frame_points` at most; PlexusError once closed."""
        self.begin()
        queue = self._sender.queue
        if frame_points is not None and frame_points < queue.max_frame_points:
            queue.max_frame_points = frame_points
        for lane, chosen in _by_lane(points):
            if not self._sender.hand_in(lane, chosen):
                raise PlexusError(_CLOSED)

    def _stamp(self, timestamp: Any) -> float:
        """Return a stamp as it travels; what has none is stamped in the gateway's time."""
        stamp = wire_stamp(timestamp, 0)
        if stamp:
            return stamp
        now_ms = time.time_ns() // 1_000_000
        # The first reading, too, is to have the right time: the gateway's is known after this.
        self.begin()
        return now_ms + self._sender.status.correction_ms

    def tell_trouble(self) -> None:
        """Raise AuthenticationError while the key is refused, RateLimitedError once a burst."""
        status = self._sender.status
        if status.refused and status.key_refused:
            raise AuthenticationError(f'{status.detail}; what was sent is kept')
        if self._sender.thrown_away > self._told_thrown_away:
            count = self._sender.thrown_away - self._told_thrown_away
            self._told_thrown_away += count
            raise RateLimitedError(
                f'the gateway has thrown away {count} points that were sent before: send fewer, '
                'larger messages, for which there is batch()')


def _by_lane(points: list[Point]) -> Iterator[tuple[Lane, list[Point]]]:
    events = [point for point in points if point['class'] == 'event']
    if not events:
        yield Lane.STATE, points
        return
    yield Lane.URGENT, events
    if len(events) < len(points):
        yield Lane.STATE, [point for point in points if point['class'] != 'event']

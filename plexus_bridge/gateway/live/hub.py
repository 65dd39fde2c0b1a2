# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Who looks at what, and how it gets to them.

A frame is encoded once for all viewers that see the same of it. A source that nobody looks at
costs one look into a dictionary. Everything here is called on the event loop, and nothing waits:
each viewer has a bounded queue (`queues`), which its socket empties at the viewer's pace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
from dataclasses import field

from plexus_bridge.counters import Counters
from plexus_bridge.gateway.live.frames import event_frame
from plexus_bridge.gateway.live.frames import telemetry_frame
from plexus_bridge.gateway.live.frames import video_frame
from plexus_bridge.gateway.live.queues import FrameQueue
from plexus_bridge.gateway.live.queues import NewestFrames
from plexus_bridge.gateway.live.queues import RecentFrames
from plexus_bridge.points import ReceivedPoint
from plexus_bridge.protocol.video import Picture
from plexus_bridge.protocol.video import Thermal

FLUSH_S = 0.025
# What is shown of one source in one flush; beyond, the oldest points are left out.
MAX_PENDING_POINTS = 5_000
# Keeps frames well below 1 MiB, which is as much as many WebSocket clients take.
MAX_FRAME_POINTS = 1_000
# A device that names a new camera with each frame must not fill the memory.
MAX_CAMERAS = 64

# Called with source, camera and the number of viewers that it has now.
ViewersChanged = Callable[[str, str, int], None]
Names = frozenset[str]


@dataclass
class _Audience:
    """Who looks at one source; `pending` waits for the next flush."""

    metrics: dict[FrameQueue, Names | None] = field(default_factory=dict)
    events: set[FrameQueue] = field(default_factory=set)
    cameras: dict[str, set[FrameQueue]] = field(default_factory=dict)
    pending: list[ReceivedPoint] = field(default_factory=list)
    views: int = 0


class Hub:
    """
    Takes what devices send, hands it to the viewers of each stream.

    Drops are counted: ``live_points`` (more at once than is shown), ``live_frames`` and
    ``live_video_frames`` (a viewer was too slow for them).
    """

    def __init__(self, counters: Counters):
        self._counters = counters
        self._audiences: dict[str, _Audience] = {}
        self._cameras: dict[str, dict[str, None]] = {}
        self._listeners: list[ViewersChanged] = []

    # -- what devices send

    def publish_points(self, source_id: str, points: Sequence[ReceivedPoint]) -> None:
        """Show points that have been stored; metrics go out with the next flush."""
        audience = self._audiences.get(source_id)
        if audience is None:
            return
        if audience.metrics:
            self._add_pending(
                source_id, audience, [point for point in points if point.point_class == 'metric'])
        if audience.events:
            for point in points:
                if point.point_class == 'event':
                    self._put(audience.events, event_frame(source_id, point), 'live_frames')

    def publish_video(
            self, source_id: str, picture: Picture, thermal: Thermal | None = None) -> None:
        """Show a picture, and note that its camera is there."""
        camera_id = picture.camera_id
        self.add_cameras(source_id, (camera_id,))
        audience = self._audiences.get(source_id)
        queues = audience.cameras.get(camera_id) if audience else None
        if queues:
            frame = video_frame(source_id, picture, thermal)
            self._put(queues, frame, 'live_video_frames', camera_id)

    def add_cameras(self, source_id: str, camera_ids: Iterable[str]) -> None:
        """Note cameras that a connected device has told of, or that have sent a picture."""
        known = self._cameras.setdefault(source_id, {})
        for camera_id in camera_ids:
            if len(known) < MAX_CAMERAS:
                known[camera_id] = None

    def forget_cameras(self, source_id: str) -> None:
        """Note that a device has left."""
        self._cameras.pop(source_id, None)

    # -- who looks at it

    @property
    def open_views(self) -> int:
        """Return how many streams are looked at now."""
        return sum(audience.views for audience in self._audiences.values())

    def cameras(self, source_id: str) -> list[str]:
        """Return the cameras of a connected device, in the order in which they were noted."""
        return list(self._cameras.get(source_id, ()))

    def viewers(self, source_id: str, camera_id: str) -> int:
        """Return how many look at a camera now."""
        audience = self._audiences.get(source_id)
        return len(audience.cameras.get(camera_id, ())) if audience else 0

    def metric_viewers(self, source_id: str) -> int:
        """Return how many look at a source's metrics now."""
        audience = self._audiences.get(source_id)
        return len(audience.metrics) if audience else 0

    def listen(self, callback: ViewersChanged) -> None:
        """Have `callback` called whenever the number of a camera's viewers changes."""
        self._listeners.append(callback)

    @contextlib.contextmanager
    def metrics(self, source_id: str, names: Names | None) -> Iterator[FrameQueue]:
        """Look at a source's metrics, all of them or those named."""
        queue = RecentFrames()
        with self._audience(source_id) as audience:
            audience.metrics[queue] = names
            try:
                yield queue
            finally:
                del audience.metrics[queue]

    @contextlib.contextmanager
    def events(self, source_id: str) -> Iterator[FrameQueue]:
        """Look at a source's events."""
        queue = RecentFrames()
        with self._audience(source_id) as audience:
            audience.events.add(queue)
            try:
                yield queue
            finally:
                audience.events.remove(queue)

    @contextlib.contextmanager
    def video(self, source_id: str, camera_ids: Iterable[str]) -> Iterator[FrameQueue]:
        """Look at cameras of a source."""
        queue = NewestFrames()
        wanted = list(dict.fromkeys(camera_ids))
        with self._audience(source_id) as audience:
            for camera_id in wanted:
                audience.cameras.setdefault(camera_id, set()).add(queue)
                self._tell(source_id, camera_id)
            try:
                yield queue
            finally:
                for camera_id in wanted:
                    audience.cameras[camera_id].remove(queue)
                    if not audience.cameras[camera_id]:
                        del audience.cameras[camera_id]
                    self._tell(source_id, camera_id)

    @contextlib.contextmanager
    def _audience(self, source_id: str) -> Iterator[_Audience]:
        audience = self._audiences.setdefault(source_id, _Audience())
        audience.views += 1
        try:
            yield audience
        finally:
            audience.views -= 1
            if not audience.views:
                del self._audiences[source_id]

    def _tell(self, source_id: str, camera_id: str) -> None:
        count = self.viewers(source_id, camera_id)
        for callback in self._listeners:
            callback(source_id, camera_id, count)

    # -- from one side to the other

    def _add_pending(
            self, source_id: str, audience: _Audience, points: list[ReceivedPoint]) -> None:
        if not points:
            return
        if not audience.pending:
            loop = asyncio.get_running_loop()
            loop.call_later(FLUSH_S, self._flush, source_id, audience)
        audience.pending += points
        excess = len(audience.pending) - MAX_PENDING_POINTS
        if excess > 0:
            del audience.pending[:excess]
            self._counters.drop('live_points', excess)

    def _flush(self, source_id: str, audience: _Audience) -> None:
        points, audience.pending = audience.pending, []
        by_names: dict[Names | None, list[FrameQueue]] = {}
        for queue, names in audience.metrics.items():
            by_names.setdefault(names, []).append(queue)
        for names, queues in by_names.items():
            wanted = points if names is None else [
                point for point in points if point.metric in names]
            for begin in range(0, len(wanted), MAX_FRAME_POINTS):
                frame = telemetry_frame(source_id, wanted[begin:begin + MAX_FRAME_POINTS])
                self._put(queues, frame, 'live_frames')

    def _put(
            self, queues: Iterable[FrameQueue], frame: str, reason: str,
            camera_id: str = '') -> None:
        lost = sum(queue.put(frame, camera_id) for queue in queues)
        if lost:
            self._counters.drop(reason, lost)

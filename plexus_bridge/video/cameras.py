# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""All cameras of a robot, and what a dashboard may ask of them (protocol section 11.3)."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import time
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.points import Point
from plexus_bridge.video.camera import Camera
from plexus_bridge.video.pacing import Demand
from plexus_bridge.video.rules import CameraRule

REPORT_S = 5.0
EVERY_CAMERA = '*'
# What a dashboard may ask for; beyond lies a mistake.
MAX_RATE_HZ = 120.0


class Cameras:
    """
    `start`, `stop` and `configure` are for any thread; so are the cameras' statistics.

    `changed` is called after each, so that whoever takes pictures looks again. As long as the
    gateway has said nothing, all cameras send; whoever hears `start` or `stop` for one knows that
    it tells.
    """

    def __init__(self, rules: Sequence[CameraRule], source_id: str, frames: VideoFrames,
                 counters: Counters, *, simulated: bool = False):
        self.all = tuple(
            Camera(rule, source_id, frames, counters, simulated=simulated) for rule in rules)
        self._by_id = {camera.rule.camera_id: camera for camera in self.all}
        self.changed: Callable[[], None] = _nobody
        self._report_at = 0.0
        self._reported_at: float | None = None
        frames.on_sent = self._sent

    def announced(self) -> list[dict[str, Any]]:
        """Return what `device_auth` says of cameras (section 6.2)."""
        return [{'camera_id': camera.rule.camera_id, 'frame_rate': camera.rule.rate_hz,
                 'quality': camera.rule.quality} for camera in self.all]

    def start(self, camera_id: str, *, frame_rate: float | None = None,
              resolution: Sequence[int] | None = None, quality: int | None = None) -> bool:
        """
        Send a camera's pictures (``*``: all), as asked or as the map has it.

        `frame_rate` in Hz and `resolution`, of which only the width counts, never exceed what the
        map allows for. False if there is no such camera.
        """
        return self._each(camera_id, Demand.WATCHED, frame_rate, resolution, quality)

    def stop(self, camera_id: str) -> bool:
        """Send no more than a preview of a camera (``*``: all); False if there is none."""
        return self._each(camera_id, Demand.UNWATCHED)

    def configure(self, camera_id: str, config: Mapping[str, Any]) -> bool:
        """
        Change `frame_rate`, `resolution` and `quality`; False if there is no such camera.

        Values that are none are left aside.
        """
        return self._each(camera_id, None, config.get('frame_rate'), config.get('resolution'),
                          config.get('quality'))

    def lost(self) -> None:
        """Forget what the gateway said: another one may tell nothing."""
        for camera in self.all:
            camera.configure()
            camera.pace.set_demand(Demand.UNKNOWN, time.monotonic())
        self.changed()

    def _each(self, camera_id: str, demand: Demand | None, frame_rate: Any = None,
              resolution: Any = None, quality: Any = None) -> bool:
        cameras = self.all if camera_id == EVERY_CAMERA else tuple(
            camera for camera in (self._by_id.get(camera_id),) if camera)
        for camera in cameras:
            if (frame_rate, resolution, quality) != (None, None, None):
                camera.configure(*_asked(camera.asked, frame_rate, resolution, quality))
            if demand is not None:
                camera.pace.set_demand(demand, time.monotonic())
        self.changed()
        return bool(cameras)

    def report(self, now: float, now_ms: int) -> Iterator[Point]:
        """Yield the metrics of all cameras, once in REPORT_S."""
        if now < self._report_at:
            return
        self._report_at = now + REPORT_S
        seconds = now - self._reported_at if self._reported_at is not None else REPORT_S
        self._reported_at = now
        for camera in self.all:
            for name, value, unit in camera.statistics.report(seconds):
                yield {'class': 'metric', 'metric': f'video.{camera.rule.camera_id}.{name}',
                       'value': value, 'timestamp': now_ms, 'tags': {'unit': unit}}

    def _sent(self, frame: VideoFrame, now: float) -> None:
        camera = self._by_id.get(frame.camera_id)
        if camera is not None:
            camera.statistics.sent(len(frame.message.payload), now - frame.captured_at)
            if camera.blocked:
                self.changed()


def _asked(rule: CameraRule, frame_rate: Any, resolution: Any, quality: Any
           ) -> tuple[float | None, int | None, int | None]:
    """Return rate, quality and width within what the map allows; None for what is no value."""
    width = resolution[0] if isinstance(resolution, list | tuple) and resolution else 0
    rate = float(frame_rate) if _is_number(frame_rate) else None
    return (
        min(rate, rule.rate_hz, MAX_RATE_HZ) if rate else None,
        max(1, min(int(quality), 100)) if _is_number(quality) else None,
        min(int(width), rule.max_width or int(width)) if _is_number(width) else None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6


def _nobody() -> None:
    """Stand in until somebody takes pictures."""

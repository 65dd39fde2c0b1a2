# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Video frames on their way to the link: few, new, and each camera in its turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import threading

from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Text


@dataclass(frozen=True)
class VideoFrame:
    """
    One encoded picture, ready to be sent (protocol section 7.1 or 7.2).

    `captured_at` is monotonic seconds: when the picture came, from which its age is told.
    """

    camera_id: str
    message: Binary | Text
    captured_at: float


class VideoFrames:
    """
    The newest frame of each camera; `put` is for any thread, `take` and `sent` the link's.

    `wake` is called when there is something to take; `on_sent` with every frame that was handed
    to the network whole, so that the encoders learn what the link carries. `bytes_per_s` is what
    the link has for video now, measured while it is pressed and within `delivery.max_bytes_per_s`;
    None while nobody knows a bound. Encoders that stay below it keep nothing else waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, VideoFrame] = {}
        self.bytes_per_s: float | None = None
        self.wake: Callable[[], None] = _nobody
        self.on_sent: Callable[[VideoFrame, float], None] = _nothing

    @property
    def waiting(self) -> bool:
        """Whether there is something to take."""
        return bool(self._waiting)

    def put(self, frame: VideoFrame) -> VideoFrame | None:
        """Offer a frame; returns the older one that gives way to it, if any."""
        with self._lock:
            replaced = self._waiting.get(frame.camera_id)
            # A camera keeps its place in the queue: it must not fall back for being quick.
            self._waiting[frame.camera_id] = frame
        self.wake()
        return replaced

    def take(self) -> VideoFrame | None:
        """Return the next frame to send, None if there is none."""
        with self._lock:
            for camera_id in self._waiting:
                return self._waiting.pop(camera_id)
        return None

    def clear(self) -> int:
        """Forget what waits, because nobody can be sent it; returns how many frames."""
        with self._lock:
            count = len(self._waiting)
            self._waiting.clear()
        return count

    def sent(self, frame: VideoFrame, now: float) -> None:
        """Say that a frame has left (monotonic seconds)."""
        self.on_sent(frame, now)


def _nobody() -> None:
    """Stand in until a link is there to be woken."""


def _nothing(frame: VideoFrame, now: float) -> None:
    """Stand in until somebody wants to know."""

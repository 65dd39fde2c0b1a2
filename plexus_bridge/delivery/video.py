# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Video frames on their way to the link: few, new, and each camera in its turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import threading

from plexus_bridge.delivery.gauge import LinkGauge
from plexus_bridge.delivery.gauge import SMALLEST_FRAME_BYTES
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Text

# A frame is no more than what video may use in so long, or the pictures would be few.
SHARE_S = 0.1


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
    The newest frame of each camera; `put` is for any thread, the rest the link's.

    `wake` is called when there is something to take; `on_sent` with every frame that was handed
    to the network whole. `live` tells whether somebody is there to be sent frames. `bytes_per_s`
    is what the link has for video now, measured while it is pressed and within
    `delivery.max_bytes_per_s`; None while nobody knows a bound. Encoders whose frames have no
    more than `frame_bytes` keep nothing else waiting.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, VideoFrame] = {}
        self._gauge = LinkGauge()
        self.live = False
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

    def waits(self, camera_id: str) -> bool:
        """Tell whether a frame of a camera has not been taken yet."""
        return camera_id in self._waiting

    @property
    def frame_bytes(self) -> int:
        """How many bytes a frame may have, so that nothing urgent waits long behind it."""
        allowed = self._gauge.frame_bytes
        if self.bytes_per_s is None:
            return allowed
        return max(SMALLEST_FRAME_BYTES, min(allowed, int(self.bytes_per_s * SHARE_S)))

    @property
    def measured_bytes_per_s(self) -> float | None:
        """What the link carries, measured with the frames themselves; None if it is not known."""
        return self._gauge.bytes_per_s

    def opened(self) -> None:
        """Say that frames can be sent from now on."""
        self._gauge.reset()
        self.live = True

    def take(self, now: float) -> VideoFrame | None:
        """Return the next frame to send, None if there is none or others fill the link."""
        if not self._waiting or not self._gauge.may_send(now):
            return None
        with self._lock:
            for camera_id in self._waiting:
                return self._waiting.pop(camera_id)
        return None

    def clear(self) -> int:
        """Forget what waits, because nobody can be sent it; returns how many frames."""
        self.live = False
        with self._lock:
            count = len(self._waiting)
            self._waiting.clear()
        return count

    def take_all(self) -> list[VideoFrame]:
        """Return all that waits, whatever the link carries."""
        with self._lock:
            frames = list(self._waiting.values())
            self._waiting.clear()
        return frames

    def begin(self, frame: VideoFrame, now: float) -> int | None:
        """Say that a frame is handed on; return the number of the ping before it, if any."""
        return self._gauge.begin(len(frame.message.payload), now)

    def answered(self, ping: int, now: float) -> None:
        """Say that a ping was answered; the one behind a frame has the next number."""
        self._gauge.answered(ping, now)

    def sent(self, frame: VideoFrame, now: float) -> None:
        """Say that a frame has left (monotonic seconds)."""
        self.on_sent(frame, now)


def _nobody() -> None:
    """Stand in until a link is there to be woken."""


def _nothing(frame: VideoFrame, now: float) -> None:
    """Stand in until somebody wants to know."""

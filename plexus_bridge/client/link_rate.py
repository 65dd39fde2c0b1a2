# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How many bytes per second the link carries, known only while it is what holds us up."""

from __future__ import annotations

_WINDOW_S = 0.5
_SMOOTHING = 0.5
# So long without pressure, and the link may have become faster than it was.
_FORGET_S = 5.0
# Video is offered a little less than is left, so that it does not make the others wait.
_VIDEO_SHARE = 0.9


class LinkRate:
    """
    Watches bytes that were handed to the network; `now` is monotonic seconds.

    `bytes_per_s` is what the link carried while more was waiting, None while nothing has been.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: the connection is another one."""
        self.bytes_per_s: float | None = None
        self._other_per_s = 0.0
        self._pressed_at = 0.0
        self._always_pressed = False
        self._from: tuple[float, int, int] | None = None

    def note(self, telemetry_bytes: int, video_bytes: int, unsent_bytes: int, now: float) -> None:
        """Note how many bytes were sent in all until now, of which so many are still here."""
        gone = telemetry_bytes + video_bytes - unsent_bytes
        if not unsent_bytes:
            self._always_pressed = False
        if self._from is None:
            self._from = now, gone, telemetry_bytes
            self._always_pressed = bool(unsent_bytes)
            return
        since, gone_before, telemetry_before = self._from
        elapsed = now - since
        if elapsed < _WINDOW_S:
            return
        self._other_per_s = _smooth(
            self._other_per_s, (telemetry_bytes - telemetry_before) / elapsed)
        if self._always_pressed:
            self._pressed_at = now
            self.bytes_per_s = _smooth(self.bytes_per_s, (gone - gone_before) / elapsed)
        elif now - self._pressed_at > _FORGET_S:
            self.bytes_per_s = None
        self._from = now, gone, telemetry_bytes
        self._always_pressed = bool(unsent_bytes)

    def left_for_video(self, limit_bytes_per_s: float | None) -> float | None:
        """Return what telemetry leaves of the link or of the limit; None: nobody knows a bound."""
        bounds = [bound for bound in (self.bytes_per_s, limit_bytes_per_s) if bound is not None]
        return max(0.0, min(bounds) - self._other_per_s) * _VIDEO_SHARE if bounds else None


def _smooth(before: float | None, value: float) -> float:
    return value if before is None else before + (value - before) * _SMOOTHING

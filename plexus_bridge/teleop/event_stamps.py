# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Stamps under which the events of driving keep their order."""

from __future__ import annotations

# A clock that was set back by more is followed.
_MAX_LEAD_MS = 1000


class EventStamps:
    """
    Turns the moments of events into Unix ms.

    Gateways sort by stamp and leave open what comes first of events with the same one. A stop and
    what follows from it happen within the same millisecond, so each is at least one later.
    """

    def __init__(self) -> None:
        self._newest_ms = 0

    def stamp_ms(self, at: float, now: float, now_ms: int) -> int:
        """Return an event's stamp; `now_ms` (Unix ms) and `now` (as `at`) are the same moment."""
        stamp_ms = now_ms - round((now - at) * 1000)
        if 0 <= self._newest_ms - stamp_ms < _MAX_LEAD_MS:
            stamp_ms = self._newest_ms + 1
        self._newest_ms = stamp_ms
        return stamp_ms

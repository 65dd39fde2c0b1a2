# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The levels of many named statuses: which of them changed, and which are heard no more."""

from __future__ import annotations

from collections.abc import Iterator

OK, WARN, ERROR, STALE = range(4)
LEVEL_NAMES = {OK: 'OK', WARN: 'WARN', ERROR: 'ERROR', STALE: 'STALE'}
LEVEL_SEVERITIES = {OK: 'info', WARN: 'warn', ERROR: 'error', STALE: 'error'}
# A robot whose status names never repeat must not fill the memory.
MAX_STATUSES = 4096


class Levels:
    """
    Levels of diagnostic_msgs/msg/DiagnosticStatus by name; `now_ms` is a clock that only grows.

    A status that begins with OK is no news; one that begins otherwise is.
    """

    def __init__(self, stale_s: float):
        self._stale_ms = stale_s * 1000
        self._levels: dict[str, int] = {}
        # Heard since the last look at the clock, and before: the one longest ago first.
        self._fresh: dict[str, None] = {}
        self._heard: dict[str, int] = {}
        # Heard no more; the first to be forgotten.
        self._gone: dict[str, None] = {}

    def heard(self, name: str, level: int) -> int | None:
        """Take a status; returns the level that it had before if that is another one."""
        before = self._levels.get(name, OK)
        self._levels[name] = level
        self._fresh[name] = None
        self._gone.pop(name, None)
        if len(self._levels) > MAX_STATUSES:
            oldest = next(iter(self._gone or self._heard or self._fresh))
            for known in (self._gone, self._heard, self._fresh, self._levels):
                known.pop(oldest, None)
        return before if level != before else None

    def gone(self, now_ms: int) -> Iterator[tuple[str, int]]:
        """Yield, once, the name and last level of those that are heard no more."""
        for name in self._fresh:
            self._heard.pop(name, None)
            self._heard[name] = now_ms
        self._fresh.clear()
        for name, heard_ms in list(self._heard.items()):
            if now_ms - heard_ms < self._stale_ms:
                return
            del self._heard[name]
            self._gone[name] = None
            if self._levels[name] != STALE:
                yield name, self._levels[name]
                self._levels[name] = STALE

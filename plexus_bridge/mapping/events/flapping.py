# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes that come again and again: told one by one at first, then together, none in silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic
from typing import TypeVar

# Two nodes that tell of the same status at 10 Hz, one that it is well and one that it is not, must
# not fill the urgent lane.
BURST = 10
PERIOD_MS = 5_000
# How often is looked for what was kept back for long enough.
LOOK_MS = 500
# Names whose changes are rationed at a time; the oldest makes room.
MAX_NAMES = 4096

News = TypeVar('News')


@dataclass
class _Ration(Generic[News]):
    """What a name has left, and what waits: the newest, and how many there were."""

    left: float
    filled_ms: int
    waiting: News | None = None
    more: int = 0


class Flapping(Generic[News]):
    """
    Rations the news of each name: `BURST` at once, then one for each `PERIOD_MS`.

    `now_ms` is any clock that only grows; `offer` goes by the last one that `due` was told.
    """

    def __init__(self) -> None:
        self._rations: dict[str, _Ration[News]] = {}
        self._now_ms = 0
        self._next_look_ms = 0
        # Of names that had to make room.
        self._spilled: list[tuple[News, int]] = []

    def offer(self, name: str, news: News) -> int | None:
        """Return how many were kept back before this one, None if it is kept back as well."""
        ration = self._rations.get(name)
        if ration is None:
            self._make_room()
            ration = self._rations[name] = _Ration(BURST, self._now_ms)
        self._fill(ration)
        if ration.left < 1:
            ration.waiting = news
            ration.more += 1
            return None
        ration.left -= 1
        kept_back, ration.more, ration.waiting = ration.more, 0, None
        return kept_back

    def due(self, now_ms: int) -> Iterator[tuple[News, int]]:
        """Yield the newest of what was kept back for long enough, and how many were before it."""
        self._now_ms = now_ms
        if now_ms < self._next_look_ms:
            return
        self._next_look_ms = now_ms + LOOK_MS
        spilled, self._spilled = self._spilled, []
        yield from spilled
        for name, ration in list(self._rations.items()):
            self._fill(ration)
            if ration.waiting is not None and ration.left >= 1:
                # The newest of them stands for the others.
                news, more = ration.waiting, ration.more - 1
                ration.left -= 1
                ration.waiting, ration.more = None, 0
                yield news, more
            elif ration.left >= BURST:
                del self._rations[name]

    def _make_room(self) -> None:
        if len(self._rations) >= MAX_NAMES:
            oldest = self._rations.pop(next(iter(self._rations)))
            if oldest.waiting is not None:
                self._spilled.append((oldest.waiting, oldest.more - 1))

    def _fill(self, ration: _Ration[News]) -> None:
        ration.left = min(BURST, ration.left + (self._now_ms - ration.filled_ms) / PERIOD_MS)
        ration.filled_ms = self._now_ms

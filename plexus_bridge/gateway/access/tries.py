# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How often somebody may try what can be guessed."""

from __future__ import annotations

from collections import OrderedDict
import math

from plexus_bridge.errors import TooOftenError

WINDOW_S = 60.0
MAX_REMEMBERED = 10_000


class RateLimit:
    """So many tries in a minute for each address; remembers a bounded number of addresses."""

    def __init__(self, tries: int):
        self._tries = tries
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, address: str, now: float) -> None:
        """Count a try, or raise TooOftenError if none is left; `now` is monotonic seconds."""
        began, count = self._windows.get(address, (now, 0))
        if now - began >= WINDOW_S:
            began, count = now, 0
        if count >= self._tries:
            raise TooOftenError(max(1, math.ceil(began + WINDOW_S - now)))
        self._windows[address] = (began, count + 1)
        self._windows.move_to_end(address)
        while len(self._windows) > MAX_REMEMBERED:
            self._windows.popitem(last=False)

    def give_back(self, address: str) -> None:
        """Take back the last try: it was no guess."""
        began, count = self._windows.get(address, (0.0, 1))
        self._windows[address] = (began, count - 1)

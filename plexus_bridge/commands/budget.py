# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How many there may be in a second, and at once: a token bucket."""

from __future__ import annotations


class Budget:
    """`per_s` in the long run, `at_once` after a pause; `now` is monotonic seconds."""

    def __init__(self, per_s: float, at_once: int):
        self._per_s = per_s
        self._at_once = at_once
        self._left = float(at_once)
        self._at = 0.0

    def take(self, now: float, amount: int = 1) -> bool:
        """Take so many; False, and none is taken, if there are not so many left."""
        self._left = min(self._at_once, self._left + max(0.0, now - self._at) * self._per_s)
        self._at = now
        if self._left < amount:
            return False
        self._left -= amount
        return True

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How long to wait before the next attempt (protocol section 6.9)."""

from __future__ import annotations

import random

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
SPREAD = 0.25
GOODBYE_DELAY_S = (0.1, 0.5)
# A gateway that refuses the key is not asked more often than this.
REFUSED_DELAY_S = 60.0
_MAX_EXPONENT = 10


class Backoff:
    """
    Delays that double from 1 to 60 s, spread by ±25 %, so that a fleet does not return as one.

    After a goodbye the gateway is expected back at once, hence 0.1 to 0.5 s.
    """

    def __init__(self, chance: random.Random | None = None, *,
                 first_s: float = FIRST_DELAY_S, longest_s: float = LONGEST_DELAY_S,
                 factor: float = 2.0, spread: float = SPREAD):
        self._chance = chance or random.Random()
        self._first_s = first_s
        self._longest_s = longest_s
        self._factor = factor
        self._spread = spread
        self._failures = 0

    @property
    def failures(self) -> int:
        """Attempts since the last success."""
        return self._failures

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0

    def next_delay(self, *, goodbye: bool = False) -> float:
        """Return seconds to wait, and count one more failure."""
        exponent = min(self._failures, _MAX_EXPONENT)
        self._failures += 1
        if goodbye:
            return self._chance.uniform(*GOODBYE_DELAY_S)
        delay = min(self._first_s * self._factor ** exponent, self._longest_s)
        return float(delay * self._chance.uniform(1 - self._spread, 1 + self._spread))

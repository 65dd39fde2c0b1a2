# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""When a camera's next picture is wanted."""

from __future__ import annotations

import enum
import math


class Demand(enum.Enum):
    """What is known of those who watch."""

    UNKNOWN = 'the gateway does not tell'
    WATCHED = 'somebody watches'
    UNWATCHED = 'nobody watches'


class Pace:
    """
    A camera's clock; monotonic seconds.

    Where nobody watches there is one picture each `preview_s`, or none.
    """

    def __init__(self, rate_hz: float, preview_s: float | None):
        self._rate_hz = rate_hz
        self._preview_s = preview_s
        self._demand = Demand.UNKNOWN
        self._due = -math.inf

    @property
    def demand(self) -> Demand:
        """What is known of those who watch."""
        return self._demand

    @property
    def due(self) -> float:
        """When the next picture is wanted, infinite for never."""
        return self._due

    def set_rate(self, rate_hz: float) -> None:
        """Go at another rate from now on."""
        self._rate_hz = rate_hz

    def set_demand(self, demand: Demand, now: float) -> None:
        """Say whether somebody watches; whoever begins to is not kept waiting."""
        if demand is self._demand:
            return
        self._demand = demand
        if demand is Demand.UNWATCHED:
            self._due = now + self._period_s
        else:
            self._due = min(self._due, now)

    def took(self, now: float) -> None:
        """Say that a picture was taken."""
        # From the last moment on, so that the rate holds on average; anew after a pause.
        period_s = self._period_s
        self._due = max(self._due + period_s, now + period_s / 2)

    @property
    def _period_s(self) -> float:
        if self._demand is Demand.UNWATCHED:
            return math.inf if self._preview_s is None else self._preview_s
        return 1 / self._rate_hz

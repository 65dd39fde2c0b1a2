# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The gateway's time as seen from here, and what follows for stamps that we make."""

from __future__ import annotations

from dataclasses import dataclass

# A computer's steady clock runs so much fast or slow, at worst: 0.1 ms in a second.
DRIFT = 1e-4
# A change of the system clock against the steady one that is no mere adjusting of its speed.
STEP_MS = 100.0
# Corrections into the past are made so slowly that no two stamps fall together, if they are small.
LARGEST_SLEW_MS = 2000.0
SLEW_MS = 1.0


@dataclass(frozen=True)
class ClockEstimate:
    """
    The gateway's clock read `gateway_ms` (Unix ms), ± `error_ms`, at `at` (monotonic seconds).

    It is told by the steady clock, so that jumps of the system clock do not matter to it.
    """

    gateway_ms: float
    error_ms: float
    at: float

    @staticmethod
    def from_round_trip(server_time_ms: float, round_trip_s: float, received_at: float
                        ) -> ClockEstimate:
        """Return what follows from an answer: the clock was read somewhere within the trip."""
        half_s = round_trip_s / 2
        return ClockEstimate(server_time_ms, half_s * 1000, received_at - half_s)

    def now_ms(self, now: float) -> float:
        """Return the gateway's time at a moment (monotonic seconds)."""
        return self.gateway_ms + (now - self.at) * 1000

    def error_at(self, now: float) -> float:
        """Return how far off `now_ms` can be."""
        return self.error_ms + abs(now - self.at) * 1000 * DRIFT

    def better(self, other: ClockEstimate | None, now: float) -> ClockEstimate:
        """Return the more exact of two; of two that contradict each other, this newer one."""
        if other is None or self.error_at(now) <= other.error_at(now):
            return self
        apart = abs(self.now_ms(now) - other.now_ms(now))
        return self if apart > self.error_at(now) + other.error_at(now) else other


class StampClock:
    """
    What to add to the system clock for stamps in the gateway's time; for one thread.

    Steps of the system clock are taken out again at once, so that the stamps of an outage neither
    go back nor leap. Before the gateway's time is known, steps forward are believed: that is a
    computer which has just learnt the time.
    """

    def __init__(self) -> None:
        self._correction_ms = 0.0
        self._before_ms: float | None = None
        self.steps = 0

    def correction_ms(self, wall_ms: float, now: float, estimate: ClockEstimate | None) -> int:
        """Return the correction; `wall_ms` is the system clock at `now` (monotonic seconds)."""
        ahead_ms = wall_ms - now * 1000
        if self._before_ms is not None:
            step = ahead_ms - self._before_ms
            if abs(step) > STEP_MS:
                self.steps += 1
                if estimate is not None or step < 0:
                    self._correction_ms -= step
        self._before_ms = ahead_ms
        if estimate is not None:
            self._follow(estimate.now_ms(now) - wall_ms, estimate.error_at(now))
        return round(self._correction_ms)

    def _follow(self, target_ms: float, error_ms: float) -> None:
        """Move towards the gateway's time, unless the difference could be mere delay."""
        change = target_ms - self._correction_ms
        if abs(change) <= error_ms:
            return
        if -LARGEST_SLEW_MS <= change < 0:
            change = max(change, -SLEW_MS)
        self._correction_ms += change

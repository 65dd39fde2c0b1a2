# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the stamps that we make in the gateway's time, whatever becomes of the system clock."""

from __future__ import annotations

import logging
import time

from plexus_bridge.client.gateway_clock import ClockEstimate
from plexus_bridge.client.gateway_clock import StampClock
from plexus_bridge.counters import Counters
from plexus_bridge.ros.intake import Intake

log = logging.getLogger(__name__)


class Stamping:
    """Tells an intake what to add to the system clock; `follow` goes before each of its polls."""

    def __init__(self, intake: Intake, counters: Counters):
        self._intake = intake
        self._counters = counters
        self._clock = StampClock()

    def follow(self, now: float, estimate: ClockEstimate | None) -> None:
        """Look at the system clock; `estimate` is what is known of the gateway's."""
        steps = self._clock.steps
        self._intake.clock_correction_ms = self._clock.correction_ms(
            time.time() * 1000, now, estimate)
        # What was received before a step was stamped by the clock of before.
        self._intake.trust_receive_stamps = self._clock.steps == steps
        if self._clock.steps != steps:
            self._counters.add('clock_steps')
            log.warning('the system clock was changed; stamps go on as if it had not been')

    def now_ms(self) -> int:
        """Return the time in the gateway's terms (Unix ms)."""
        return time.time_ns() // 1_000_000 + self._intake.clock_correction_ms

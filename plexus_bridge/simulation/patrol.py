# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A patrol without a plan: ahead where there is space, else to the freer side."""

from __future__ import annotations

import math

import numpy as np

from plexus_bridge.simulation.drive import Pose
from plexus_bridge.simulation.room import Room

_LOOKS = np.radians([-60.0, -30.0, 0.0, 30.0, 60.0])


class Patrol:
    """Decides the speeds of a robot that nobody drives."""

    def __init__(self, room: Room, speed: float = 0.5, turn_rate: float = 0.8):
        self._room = room
        self._speed = speed
        self._turn_rate = turn_rate
        self._turning = 0.0

    @property
    def turning(self) -> str:
        """The side that it turns to because the way is blocked: left, right, or empty."""
        return '' if not self._turning else ('left' if self._turning > 0 else 'right')

    def decide(self, pose: Pose, elapsed: float) -> tuple[float, float]:
        """Return the speeds (m/s, rad/s) wanted at `pose`; `elapsed` (s) lets it sway a little."""
        gaps, _ = self._room.cast(pose.x, pose.y, pose.yaw + _LOOKS, see_glass=True)
        right, ahead, left = gaps[:2].min(), gaps[1:4].min(), gaps[3:].min()
        # A turn goes on to the same side until there is space, so that no corner traps it.
        if ahead > (1.4 if self._turning else 0.9):
            self._turning = 0.0
            free = min(1.0, float(ahead) / 2.0)
            return self._speed * free, 0.35 * self._turn_rate * math.sin(0.4 * elapsed)
        if not self._turning:
            self._turning = self._turn_rate if left >= right else -self._turn_rate
        return 0.0, self._turning

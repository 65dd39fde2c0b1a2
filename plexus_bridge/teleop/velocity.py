# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Velocities as six axes, and what a robot's map allows on each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math

# In the order of geometry_msgs/msg/Twist: m/s, then rad/s (REP-103).
AXES = ('linear.x', 'linear.y', 'linear.z', 'angular.x', 'angular.y', 'angular.z')

Velocity = tuple[float, float, float, float, float, float]
STANDSTILL: Velocity = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class AxisLimit:
    """
    What one axis may do, in its unit (m/s or rad/s, and per second for the acceleration).

    Inputs within `dead_zone` of zero are zero: a stick at rest does not creep.
    """

    lowest: float
    highest: float
    acceleration: float = math.inf
    dead_zone: float = 0.0

    def clamp(self, value: float) -> float:
        """Return the nearest value that the axis may have."""
        if abs(value) <= self.dead_zone:
            return 0.0
        return min(max(value, self.lowest), self.highest)

    def approach(self, present: float, target: float, seconds: float) -> float:
        """
        Return the value after so much time on the way to the target.

        Only speeding up is limited. To slow down is always safe to do as told; where it is not
        (a tall robot), the base's own controller knows better.
        """
        if present * target < 0:
            present = 0.0  # a change of direction passes through rest
        if abs(target) <= abs(present):
            return target
        step = self.acceleration * seconds
        return min(target, present + step) if target > 0 else max(target, present - step)


class Limits:
    """The axes that may move; all others stay at rest."""

    def __init__(self, axes: Mapping[str, AxisLimit]):
        self.axes = dict(axes)
        self._by_index = [(AXES.index(name), limit) for name, limit in self.axes.items()]

    def read(self, wanted: Mapping[str, float]) -> Velocity:
        """
        Return the velocity that was asked for, brought within the limits.

        ValueError for a number that is not finite and for an axis that is not to be moved.
        """
        for name, value in wanted.items():
            if not math.isfinite(value):
                raise ValueError(f'saw {value} for {name}, expected a finite number')
            if value and name not in self.axes:
                raise ValueError(
                    f'saw {value} for {name}, which the map does not allow to move; it has limits '
                    f'for {", ".join(self.axes)}')
        values = list(STANDSTILL)
        for index, limit in self._by_index:
            values[index] = limit.clamp(wanted.get(AXES[index], 0.0))
        return _velocity(values)

    def approach(self, present: Velocity, target: Velocity, seconds: float) -> Velocity:
        """Return the velocity after so many seconds on the way from one to the other."""
        values = list(STANDSTILL)
        for index, limit in self._by_index:
            values[index] = limit.approach(present[index], target[index], seconds)
        return _velocity(values)


def scaled(velocity: Velocity, factor: float) -> Velocity:
    """Return the velocity times a factor: the same path, more slowly."""
    return _velocity([value * factor for value in velocity])


def _velocity(values: list[float]) -> Velocity:
    x, y, z, roll, pitch, yaw = values
    return x, y, z, roll, pitch, yaw

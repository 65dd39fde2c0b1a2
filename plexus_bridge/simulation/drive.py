# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
How a differential-drive base moves.

Units are SI (REP-103): metres, radians, seconds; x forward, yaw counter-clockwise. Nothing here
reads a clock: the same calls give the same path.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
import math


@dataclass(frozen=True)
class Pose:
    """Position and heading; `yaw` is within [-π, π)."""

    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0

    def relative_to(self, origin: Pose) -> Pose:
        """Return this pose as seen from `origin`."""
        dx, dy = self.x - origin.x, self.y - origin.y
        cos, sin = math.cos(origin.yaw), math.sin(origin.yaw)
        return Pose(cos * dx + sin * dy, cos * dy - sin * dx, wrap_angle(self.yaw - origin.yaw))


def wrap_angle(angle: float) -> float:
    """Return the same direction within [-π, π)."""
    return (angle + math.pi) % math.tau - math.pi


def travel_arc(pose: Pose, linear: float, angular: float, dt: float) -> Pose:
    """Return where `dt` seconds at constant speeds (m/s, rad/s) lead; the arc is exact."""
    turned = angular * dt
    half = turned / 2
    # The chord of an arc has the length r·2·sin(φ/2) and points half the turn to the side.
    chord = linear * dt * (math.sin(half) / half if abs(half) > 1e-9 else 1.0)
    return Pose(
        pose.x + chord * math.cos(pose.yaw + half),
        pose.y + chord * math.sin(pose.yaw + half),
        wrap_angle(pose.yaw + turned))


def approach(value: float, target: float, step: float) -> float:
    """Return `value` moved towards `target` by no more than `step`."""
    return min(target, value + step) if target > value else max(target, value - step)


def clamp(value: float, limit: float) -> float:
    """Return `value` held within [-limit, limit]."""
    return max(-limit, min(limit, value))


@dataclass(frozen=True)
class DriveLimits:
    """What the base can do: m/s, m/s², rad/s, rad/s²."""

    speed: float = 1.0
    acceleration: float = 1.0
    turn_rate: float = 1.5
    turn_acceleration: float = 3.0


@dataclass
class Drive:
    """The base's speeds and what it was told; after `timeout_s` a command counts as zero."""

    limits: DriveLimits = field(default_factory=DriveLimits)
    timeout_s: float = 0.5
    linear: float = 0.0
    angular: float = 0.0
    acceleration: float = 0.0
    _target: tuple[float, float] = (0.0, 0.0)
    _command_age: float = math.inf

    def command(self, linear: float, angular: float) -> bool:
        """Take a command (m/s, rad/s), clamped to the limits; False if it is not finite."""
        if not (math.isfinite(linear) and math.isfinite(angular)):
            return False
        self._target = clamp(linear, self.limits.speed), clamp(angular, self.limits.turn_rate)
        self._command_age = 0.0
        return True

    @property
    def commanded(self) -> bool:
        """Whether a command is in force."""
        return self._command_age < self.timeout_s

    @property
    def moving(self) -> bool:
        """Whether the base still moves."""
        return self.linear != 0.0 or self.angular != 0.0

    def step(self, dt: float, *, powered: bool = True) -> tuple[float, float]:
        """
        Let `dt` seconds pass and return the mean speeds of that time (m/s, rad/s).

        Without a command in force, and without power, the base brakes to a stop.
        """
        linear, angular = self._target if self.commanded and powered else (0.0, 0.0)
        self._command_age += dt
        before = self.linear, self.angular
        self.linear = approach(self.linear, linear, self.limits.acceleration * dt)
        self.angular = approach(self.angular, angular, self.limits.turn_acceleration * dt)
        self.acceleration = (self.linear - before[0]) / dt
        return (before[0] + self.linear) / 2, (before[1] + self.angular) / 2

    def halt(self) -> None:
        """Stop at once, as against a wall; the command stays in force and the base may turn on."""
        self.linear = 0.0

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The room that the simulated robot drives in: what its laser meets and what it bumps into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Wall:
    """A straight wall between two points (m); light passes through glass, a robot does not."""

    x0: float
    y0: float
    x1: float
    y1: float
    glass: bool = False


@dataclass(frozen=True)
class Pillar:
    """A round pillar (m)."""

    x: float
    y: float
    radius: float


class Room:
    """
    Walls and pillars on a plane.

    Surfaces are numbered: the walls in their order, then the pillars.
    """

    def __init__(self, walls: Sequence[Wall], pillars: Sequence[Pillar] = ()):
        self.walls = tuple(walls)
        self.pillars = tuple(pillars)
        ends: Any = np.array([(w.x0, w.y0, w.x1, w.y1) for w in walls], float).reshape(-1, 4)
        self._start: Floats = ends[:, :2]
        self._along: Floats = ends[:, 2:] - ends[:, :2]
        self._length2: Floats = (self._along**2).sum(axis=1)
        self._opaque = np.array([not wall.glass for wall in walls], bool)
        self._round: Floats = np.array(
            [(p.x, p.y, p.radius) for p in pillars], float).reshape(-1, 3)

    def cast(self, x: float, y: float, angles: Floats, *, see_glass: bool = False,
             ) -> tuple[Floats, NDArray[np.intp]]:
        """
        Return the distance (m) and surface number that each ray meets; inf and -1 = nothing.

        `angles` are directions in the room's frame (rad). Glass is met only with `see_glass`.
        """
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        nothing = np.full((len(angles), 1), np.inf)  # an empty room has a nearest surface too
        reach = np.concatenate([
            self._to_walls(x, y, cos, sin, see_glass), self._to_pillars(x, y, cos, sin), nothing],
            axis=1)
        surface = reach.argmin(axis=1)
        distance: Floats = reach[np.arange(len(angles)), surface]
        return distance, np.where(np.isfinite(distance), surface, -1)

    def _to_walls(self, x: float, y: float, cos: Floats, sin: Floats, see_glass: bool) -> Floats:
        # p + t·d = a + u·e, solved by cross products; u in [0, 1] lies on the wall, t > 0 ahead.
        ex, ey = self._along[:, 0], self._along[:, 1]
        ax, ay = self._start[:, 0] - x, self._start[:, 1] - y
        with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
            scale = 1.0 / (cos * ey - sin * ex)
            ahead = (ax * ey - ay * ex) * scale
            along = (ax * sin - ay * cos) * scale
        # A hair wider than the wall, or rays slip through where two walls meet.
        met = (ahead > 0) & (along >= -1e-9) & (along <= 1 + 1e-9)
        if not see_glass:
            met &= self._opaque
        return np.where(met, ahead, np.inf)

    def _to_pillars(self, x: float, y: float, cos: Floats, sin: Floats) -> Floats:
        px, py, radius = self._round[:, 0] - x, self._round[:, 1] - y, self._round[:, 2]
        ahead = px * cos + py * sin
        under_root = radius**2 - (px * sin - py * cos) ** 2
        reach = ahead - np.sqrt(np.maximum(under_root, 0.0))
        return np.where((under_root >= 0) & (reach > 0), reach, np.inf)

    def clearance(self, x: float, y: float) -> float:
        """Return the distance from a point to the nearest surface (m), glass included."""
        nearest = math.inf
        if len(self._start):
            dx, dy = x - self._start[:, 0], y - self._start[:, 1]
            ex, ey = self._along[:, 0], self._along[:, 1]
            along = np.clip((dx * ex + dy * ey) / self._length2, 0.0, 1.0)
            nearest = float(np.hypot(dx - along * ex, dy - along * ey).min())
        if len(self._round):
            gaps = np.hypot(self._round[:, 0] - x, self._round[:, 1] - y) - self._round[:, 2]
            nearest = min(nearest, float(gaps.min()))
        return nearest


def furnished_room() -> Room:
    """Return the demo's room: 10 m by 8 m around the origin, a window, a shelf and two pillars."""
    return Room(
        walls=(
            Wall(-5, -4, 5, -4), Wall(5, -4, 5, -1.5), Wall(5, -1.5, 5, 1.5, glass=True),
            Wall(5, 1.5, 5, 4), Wall(5, 4, -5, 4), Wall(-5, 4, -5, -4),
            Wall(-5, 1.5, -3, 1.5), Wall(-3, 1.5, -3, 2.0), Wall(-3, 2.0, -5, 2.0)),
        pillars=(Pillar(2.2, 1.8, 0.3), Pillar(1.5, -2.2, 0.4)))

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from plexus_bridge.simulation.room import furnished_room
from plexus_bridge.simulation.room import Pillar
from plexus_bridge.simulation.room import Room
from plexus_bridge.simulation.room import Wall

SQUARE = (Wall(-2, -2, 2, -2), Wall(2, -2, 2, 2), Wall(2, 2, -2, 2), Wall(-2, 2, -2, -2))


def cast(room: Room, x: float, y: float, *angles: float, see_glass: bool = False) -> list[float]:
    return list(room.cast(x, y, np.array(angles), see_glass=see_glass)[0])


@given(st.floats(-1.9, 1.9), st.floats(-1.9, 1.9), st.floats(-math.pi, math.pi))
def test_rays_in_a_square_are_as_long_as_geometry_says(x: float, y: float, angle: float) -> None:
    cos, sin = math.cos(angle), math.sin(angle)
    to_x = ((2 if cos > 0 else -2) - x) / cos if abs(cos) > 1e-12 else math.inf
    to_y = ((2 if sin > 0 else -2) - y) / sin if abs(sin) > 1e-12 else math.inf
    assert cast(Room(SQUARE), x, y, angle)[0] == pytest.approx(min(to_x, to_y), rel=1e-6)


def test_the_surface_that_is_met_is_named() -> None:
    room = Room(SQUARE, (Pillar(1.0, 0.0, 0.25),))
    distance, surface = room.cast(0, 0, np.array([0.0, math.pi / 2, math.pi, -math.pi / 2]))
    assert list(surface) == [4, 2, 3, 0]
    assert list(distance) == pytest.approx([0.75, 2, 2, 2])


def test_nothing_there_is_infinitely_far() -> None:
    distance, surface = Room((Wall(1, -1, 1, 1),)).cast(0, 0, np.array([math.pi, math.pi / 2]))
    assert list(distance) == [math.inf, math.inf]
    assert list(surface) == [-1, -1]


def test_a_ray_along_a_wall_meets_nothing_and_warns_of_nothing() -> None:
    assert cast(Room((Wall(1, 0, 2, 0),)), 0, 0, 0.0) == [math.inf]


def test_light_goes_through_glass_and_a_robot_does_not() -> None:
    room = Room((Wall(1, -1, 1, 1, glass=True), Wall(3, -1, 3, 1)))
    assert cast(room, 0, 0, 0.0) == pytest.approx([3.0])
    assert cast(room, 0, 0, 0.0, see_glass=True) == pytest.approx([1.0])
    assert room.clearance(0, 0) == pytest.approx(1.0)


@given(st.floats(0.5, 5), st.floats(0.1, 0.4), st.floats(-0.9, 0.9))
def test_a_pillar_is_round(away: float, radius: float, off: float) -> None:
    room = Room((), (Pillar(away, off * radius, radius),))
    expected = away - math.sqrt(radius**2 - (off * radius)**2)
    assert cast(room, 0, 0, 0.0) == pytest.approx([expected])
    assert cast(room, 0, 0, math.pi) == [math.inf]


def test_clearance_is_measured_to_ends_sides_and_pillars() -> None:
    room = Room((Wall(0, 0, 2, 0),), (Pillar(0, 5, 1),))
    assert room.clearance(1, 0.5) == pytest.approx(0.5)
    assert room.clearance(5, -4) == pytest.approx(5.0)
    assert room.clearance(0, 3.5) == pytest.approx(0.5)
    assert Room(()).clearance(0, 0) == math.inf


def test_the_demo_room_is_closed_but_for_its_window() -> None:
    room = furnished_room()
    angles = np.linspace(-math.pi, math.pi, 720, endpoint=False)
    assert np.isfinite(room.cast(0, 0, angles, see_glass=True)[0]).all()
    through = np.isinf(room.cast(0, 0, angles)[0])
    assert through.any()
    # 1.5 m up and down, five metres away.
    assert abs(angles[through]).max() <= math.atan2(1.5, 5) + 0.01

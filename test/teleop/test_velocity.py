# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Velocities stay within what the map allows, however they are asked for."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge.teleop.velocity import AxisLimit
from plexus_bridge.teleop.velocity import Limits
from plexus_bridge.teleop.velocity import scaled
from plexus_bridge.teleop.velocity import STANDSTILL

LIMITS = Limits({
    'linear.x': AxisLimit(-0.5, 1.0, acceleration=2.0, dead_zone=0.05),
    'angular.z': AxisLimit(-1.5, 1.5, acceleration=3.0)})


def test_what_is_asked_for_is_brought_within_the_limits():
    assert LIMITS.read({'linear.x': 7.0, 'angular.z': -0.5}) == (1.0, 0, 0, 0, 0, -0.5)
    assert LIMITS.read({'linear.x': -7.0}) == (-0.5, 0, 0, 0, 0, 0)


def test_a_stick_at_rest_does_not_creep():
    assert LIMITS.read({'linear.x': 0.05}) == STANDSTILL
    assert LIMITS.read({'linear.x': 0.06})[0] == 0.06


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match='expected a finite number'):
        LIMITS.read({'linear.x': value})


def test_an_axis_without_limits_may_not_move_but_may_be_told_to_rest():
    assert LIMITS.read({'linear.y': 0.0}) == STANDSTILL
    with pytest.raises(ValueError, match=r'linear\.y, which the map does not allow'):
        LIMITS.read({'linear.y': 0.1})


def test_speeding_up_takes_its_time_and_slowing_down_does_not():
    half, full = (0.5, 0, 0, 0, 0, 0), (1.0, 0, 0, 0, 0, 0)
    assert LIMITS.approach(STANDSTILL, full, 0.1)[0] == pytest.approx(0.2)
    assert LIMITS.approach(full, half, 0.1) == half
    assert LIMITS.approach(full, STANDSTILL, 0.0) == STANDSTILL


def test_a_change_of_direction_starts_from_rest():
    assert LIMITS.approach((1.0, 0, 0, 0, 0, 0), (-0.5, 0, 0, 0, 0, 0), 0.1)[0] == (
        pytest.approx(-0.2))


@given(wanted=st.floats(-10, 10), present=st.floats(-0.5, 1.0), seconds=st.floats(0, 0.1))
def test_no_step_leaves_the_limits_or_exceeds_the_acceleration(wanted, present, seconds):
    target = LIMITS.read({'linear.x': wanted})
    speed = LIMITS.approach((present, 0, 0, 0, 0, 0), target, seconds)[0]
    assert -0.5 <= speed <= 1.0
    assert abs(speed) <= max(abs(present), 2.0 * seconds + (
        abs(present) if present * speed > 0 else 0.0)) + 1e-9


def test_scaling_keeps_the_path():
    assert scaled((1.0, 0, 0, 0, 0, -0.5), 0.5) == (0.5, 0, 0, 0, 0, -0.25)

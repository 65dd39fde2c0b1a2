# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What as: makes of values."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.transforms import apply
from plexus_bridge.mapping.transforms import bit
from plexus_bridge.mapping.transforms import chain
from plexus_bridge.mapping.transforms import Number
from plexus_bridge.mapping.transforms import Numbers
from plexus_bridge.mapping.transforms import Parts
from plexus_bridge.mapping.transforms import QUATERNION
from plexus_bridge.mapping.transforms import roll_pitch_yaw
from plexus_bridge.mapping.transforms import Text

ANGLES = st.floats(-math.pi, math.pi)


def quaternion(roll: float, pitch: float, yaw: float) -> tuple[float, float, float, float]:
    """Return x, y, z, w by the product of the three single turns."""
    def product(a, b):
        ax, ay, az, aw = a
        bx, by, bz, bw = b
        return (aw * bx + ax * bw + ay * bz - az * by, aw * by - ax * bz + ay * bw + az * bx,
                aw * bz + ax * by - ay * bx + az * bw, aw * bw - ax * bx - ay * by - az * bz)

    turns = [(math.sin(roll / 2), 0, 0, math.cos(roll / 2)),
             (0, math.sin(pitch / 2), 0, math.cos(pitch / 2)),
             (0, 0, math.sin(yaw / 2), math.cos(yaw / 2))]
    return product(turns[2], product(turns[1], turns[0]))


@given(ANGLES, st.floats(-1.5, 1.5), ANGLES, st.floats(0.5, 2))
def test_angles_come_back_from_their_quaternion(roll, pitch, yaw, length):
    scaled = tuple(length * part for part in quaternion(roll, pitch, yaw))
    for found, expected in zip(roll_pitch_yaw(scaled), (roll, pitch, yaw), strict=True):
        assert math.isclose(math.cos(found - expected), 1, abs_tol=1e-9)


def test_looking_straight_up_is_no_error():
    assert roll_pitch_yaw(quaternion(0, math.pi / 2, 0))[1] == pytest.approx(math.pi / 2)


def test_a_quaternion_that_nobody_has_set_has_no_angles():
    assert all(map(math.isnan, roll_pitch_yaw((0, 0, 0, 0))))


@pytest.mark.parametrize(('name', 'form', 'value', 'expected'), [
    ('yaw', QUATERNION, quaternion(0, 0, 0.5), 0.5),
    ('norm', Parts(('x', 'y', 'z')), (2.0, 3.0, 6.0), 7),
    ('norm', Numbers(), np.array([3.0, 4.0]), 5),
    ('degrees', Number(), math.pi, 180),
    ('degrees', Parts(('x', 'y')), (math.pi, 0), (180, 0)),
    ('degrees', Numbers(), [math.pi], [180]),
    ('celsius', Number(), 300.0, 26.85),
    ('bool', Number(), 7, 1), ('bool', Number(), 0.0, 0),
    ('count', Numbers(), np.array([1, 2, math.nan]), 3),
    ('min', Numbers(), np.array([3.0, math.nan, 1, math.inf, -math.inf]), 1),
    ('max', Numbers(), np.array([3.0, math.nan, 1, math.inf]), 3),
    ('mean', Numbers(), [1, 2, 6], 3),
    ('std', Numbers(), [1, 3], 1),
    ('p50', Numbers(), [1, 2, 9], 2), ('p0', Numbers(), [4, 2], 2), ('p100', Numbers(), [4], 4),
    ('p99.5', Numbers(), list(range(1001)), 995),
])
def test_values_are_transformed(name, form, value, expected):
    assert apply(name, form)[1](value) == pytest.approx(expected)


@pytest.mark.parametrize('name', ['min', 'max', 'mean', 'std', 'p50'])
@pytest.mark.parametrize('values', [[], [math.nan], [math.inf, -math.inf]])
def test_statistics_of_nothing_are_nothing(name, values):
    assert apply(name, Numbers())[1](values) is None


@pytest.mark.parametrize(('name', 'form', 'message'), [
    ('rpy', Parts(('x', 'y', 'z')), 'as: rpy needs a quaternion .x, y, z, w., saw a message of x'),
    ('yaw', Number(), 'saw one number'), ('norm', Number(), 'cannot be made of one number'),
    ('min', Number(), 'cannot be made of one number'), ('bool', Text(), 'made of a text'),
    ('degrees', Text(), 'made of a text'), ('count', Parts(('x',)), 'of a message of x')])
def test_a_transform_that_does_not_fit_is_explained(name, form, message):
    with pytest.raises(MappingError, match=message):
        apply(name, form)


def test_bits_are_counted_from_zero():
    assert [bit(number)(0b1010) for number in range(4)] == [0, 1, 0, 1]
    assert bit(63)(1 << 63) == 1
    assert bit(7)(-1) == 1


def test_steps_are_done_in_order():
    assert chain([lambda value: value + 1, lambda value: value * 10])(1) == 20
    assert chain([]) is None

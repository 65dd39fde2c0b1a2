# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import pairwise
import math

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge.simulation.drive import approach
from plexus_bridge.simulation.drive import Drive
from plexus_bridge.simulation.drive import DriveLimits
from plexus_bridge.simulation.drive import Pose
from plexus_bridge.simulation.drive import travel_arc
from plexus_bridge.simulation.drive import wrap_angle

speeds = st.floats(-2, 2)
times = st.floats(0, 5)


def close(a: Pose, b: Pose, tolerance: float = 1e-9) -> bool:
    return (math.hypot(a.x - b.x, a.y - b.y) < tolerance
            and abs(wrap_angle(a.yaw - b.yaw)) < tolerance)


def test_a_quarter_circle_ends_where_geometry_says() -> None:
    end = travel_arc(Pose(1.0, 2.0, 0.0), 1.0, math.pi / 2, 1.0)
    radius = 2 / math.pi
    assert close(end, Pose(1 + radius, 2 + radius, math.pi / 2))


def test_straight_on_and_turning_on_the_spot_are_limits_of_the_arc() -> None:
    assert close(travel_arc(Pose(yaw=math.pi / 2), 0.5, 0.0, 2.0), Pose(0, 1, math.pi / 2))
    assert close(travel_arc(Pose(3, 4, 3.0), 0.0, 1.0, 1.0), Pose(3, 4, 4.0 - math.tau))


@given(speeds, speeds, times, times)
def test_two_arcs_at_the_same_speeds_are_one(v: float, w: float, t1: float, t2: float) -> None:
    start = Pose(0.3, -0.7, 1.1)
    assert close(travel_arc(travel_arc(start, v, w, t1), v, w, t2),
                 travel_arc(start, v, w, t1 + t2), 1e-6)


@given(speeds, speeds)
def test_an_arc_is_what_many_small_straight_steps_approach(v: float, w: float) -> None:
    pose = Pose(yaw=-2.0)
    steps = 2000
    x = y = 0.0
    for k in range(steps):
        x += v / steps * math.cos(-2.0 + w * (k + 0.5) / steps)
        y += v / steps * math.sin(-2.0 + w * (k + 0.5) / steps)
    assert close(travel_arc(pose, v, w, 1.0), Pose(x, y, wrap_angle(-2.0 + w)), 1e-5)


@given(st.floats(-1e4, 1e4))
def test_wrapping_keeps_the_direction(angle: float) -> None:
    wrapped = wrap_angle(angle)
    assert -math.pi <= wrapped <= math.pi
    assert math.cos(wrapped) == pytest.approx(math.cos(angle), abs=1e-9)


@given(speeds, speeds, st.floats(-3, 3))
def test_a_pose_relative_to_another_leads_back(x: float, y: float, yaw: float) -> None:
    origin, pose = Pose(1.0, -2.0, 0.7), Pose(x, y, yaw)
    seen = pose.relative_to(origin)
    back = Pose(
        1.0 + seen.x * math.cos(0.7) - seen.y * math.sin(0.7),
        -2.0 + seen.x * math.sin(0.7) + seen.y * math.cos(0.7), wrap_angle(seen.yaw + 0.7))
    assert close(back, pose)


def test_approaching_never_overshoots() -> None:
    assert approach(0.0, 1.0, 0.3) == 0.3
    assert approach(0.9, 1.0, 0.3) == 1.0
    assert approach(0.0, -1.0, 0.3) == -0.3
    assert approach(-0.9, -1.0, 0.3) == -1.0


def test_speed_follows_the_command_within_the_acceleration_limit() -> None:
    drive = Drive(DriveLimits(speed=1.0, acceleration=0.5, turn_rate=1.5, turn_acceleration=2.0),
                  timeout_s=10.0)
    assert drive.command(0.8, -1.0)
    speeds = [drive.step(0.1) for _ in range(20)]
    assert drive.linear == pytest.approx(0.8)
    assert drive.angular == pytest.approx(-1.0)
    assert speeds[0] == pytest.approx((0.025, -0.1))  # the means of the first tenth
    steps = [b[0] - a[0] for a, b in pairwise(speeds)]
    assert max(steps) <= 0.05 + 1e-9


def test_a_command_beyond_the_limits_is_clamped() -> None:
    drive = Drive(timeout_s=10.0)
    drive.command(99.0, -99.0)
    for _ in range(100):
        drive.step(0.05)
    assert (drive.linear, drive.angular) == (drive.limits.speed, -drive.limits.turn_rate)


@pytest.mark.parametrize('linear', [math.nan, math.inf])
def test_a_command_that_is_not_finite_changes_nothing(linear: float) -> None:
    drive = Drive(timeout_s=10.0)
    drive.command(0.5, 0.0)
    assert not drive.command(linear, 0.0)
    for _ in range(40):
        drive.step(0.05)
    assert drive.linear == pytest.approx(0.5)


def test_without_commands_it_stops_by_itself() -> None:
    drive = Drive(timeout_s=0.5)
    drive.command(1.0, 1.0)
    for _ in range(11):
        drive.step(0.05)
    assert not drive.commanded
    assert drive.moving
    for _ in range(30):
        drive.step(0.05)
    assert not drive.moving


def test_repeated_commands_keep_it_going_and_zero_brakes_it() -> None:
    drive = Drive(timeout_s=0.2)
    for _ in range(100):
        drive.command(0.4, 0.0)
        drive.step(0.1)
    assert drive.linear == pytest.approx(0.4)
    drive.command(0.0, 0.0)
    drive.step(0.1)
    assert drive.linear == pytest.approx(0.3)
    assert drive.acceleration == pytest.approx(-1.0)


def test_without_power_it_brakes_although_commanded() -> None:
    drive = Drive(timeout_s=10.0)
    drive.command(1.0, 0.0)
    for _ in range(50):
        drive.step(0.05)
    for _ in range(50):
        drive.step(0.05, powered=False)
    assert not drive.moving

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from plexus_bridge.simulation.battery import Battery
from plexus_bridge.simulation.drive import Drive
from plexus_bridge.simulation.drive import Pose
from plexus_bridge.simulation.patrol import Patrol
from plexus_bridge.simulation.robot import Level
from plexus_bridge.simulation.robot import RADIUS_M
from plexus_bridge.simulation.robot import Robot
from plexus_bridge.simulation.robot import TRACK_M
from plexus_bridge.simulation.robot import WHEEL_RADIUS_M
from plexus_bridge.simulation.room import furnished_room
from plexus_bridge.simulation.room import Room
from plexus_bridge.simulation.room import Wall


def run(robot: Robot, seconds: float, command: tuple[float, float] | None = None) -> None:
    for _ in range(round(seconds / 0.02)):
        if command:
            robot.command(*command)
        robot.step(0.02)


def texts(robot: Robot) -> list[str]:
    return [happening.text for happening in robot.happenings()]


def level(robot: Robot, name: str) -> Level:
    return {status.name: status.level for status in robot.diagnostics()}[name]


def test_odometry_wheels_and_pose_follow_the_command() -> None:
    robot = Robot(Room(()), pose=Pose(1, 2, 0.5))
    run(robot, 4.0, (0.5, 0.3))
    assert robot.drive.linear == pytest.approx(0.5)
    left, right, _, _ = robot.wheel_rates
    assert (right - left) * WHEEL_RADIUS_M / TRACK_M == pytest.approx(0.3)
    # Both ramps cost half their time: 0.5 m/s at 1 m/s², 0.3 rad/s at 3 rad/s².
    assert robot.odometry.yaw == pytest.approx(0.3 * (4.0 - 0.05), abs=1e-3)
    path = sum(robot.wheel_angles[:2]) / 2 * WHEEL_RADIUS_M
    assert path == pytest.approx(0.5 * (4.0 - 0.25), abs=0.01)
    radius = 0.5 / 0.3
    assert math.hypot(robot.odometry.x, robot.odometry.y) == pytest.approx(
        2 * radius * math.sin(path / radius / 2), abs=0.02)


def test_how_time_is_cut_makes_no_difference_worth_a_millimetre() -> None:
    fine, coarse = Robot(furnished_room()), Robot(furnished_room())
    for robot in (fine, coarse):
        robot.command(0.4, 0.2)
    for _ in range(20):
        fine.step(0.02)
    coarse.step(0.4)
    assert coarse.pose.x == pytest.approx(fine.pose.x, abs=1e-3)
    assert coarse.pose.yaw == pytest.approx(fine.pose.yaw, abs=1e-3)


def test_the_same_steps_lead_to_the_same_place() -> None:
    room = furnished_room()
    one, other = Robot(room, patrol=Patrol(room)), Robot(room, patrol=Patrol(room))
    run(one, 20.0)
    run(other, 20.0)
    assert one.pose == other.pose
    assert one.battery == other.battery


def test_of_a_jump_of_the_clock_one_second_counts() -> None:
    robot = Robot(Room(()), drive=Drive(timeout_s=1e9))
    run(robot, 2.0, (1.0, 0.0))
    before = robot.odometry.x
    robot.step(3600.0)
    assert robot.odometry.x - before == pytest.approx(1.0)


def test_a_wall_stops_it_and_it_can_turn_away() -> None:
    robot = Robot(Room((Wall(2, -5, 2, 5),)), pose=Pose())
    run(robot, 6.0, (1.0, 0.0))
    assert robot.pose.x == pytest.approx(2 - RADIUS_M, abs=0.03)
    assert robot.drive.linear == pytest.approx(0.0, abs=0.03)
    assert level(robot, 'bumper') == Level.WARN
    assert 'bumper: in contact' in texts(robot)
    run(robot, 3.0, (0.0, math.pi / 3))
    run(robot, 2.0, (0.5, 0.0))
    assert robot.pose.x < 1.5
    assert level(robot, 'bumper') == Level.OK
    assert 'bumper: free' in texts(robot)


def test_moving_drains_the_battery_faster() -> None:
    parked, driven = Robot(Room(())), Robot(Room(()))
    run(parked, 60.0)
    run(driven, 60.0, (1.0, 0.0))
    assert 1.0 - driven.battery.charge > 5 * (1.0 - parked.battery.charge)
    assert driven.motor_c > parked.motor_c


def test_the_switches_change_what_it_does_and_says() -> None:
    robot = Robot(Room(()))
    run(robot, 2.0, (0.5, 0.0))
    robot.motors_enabled = False
    run(robot, 2.0, (0.5, 0.0))
    assert not robot.drive.moving
    assert level(robot, 'motors') == Level.WARN
    robot.motors_enabled, robot.emergency_stop = True, True
    run(robot, 1.0, (0.5, 0.0))
    assert not robot.drive.moving
    assert level(robot, 'emergency stop') == Level.ERROR
    robot.emergency_stop = False
    run(robot, 1.0, (0.5, 0.0))
    assert robot.drive.moving
    robot.lights = True
    run(robot, 0.2)
    assert {'motors: disabled', 'motors: enabled', 'emergency stop: pressed',
            'emergency stop: released', 'lights: on'} <= set(texts(robot))


def test_tare_sets_odometry_to_zero_and_leaves_the_robot_where_it_is() -> None:
    robot = Robot(Room(()))
    run(robot, 3.0, (0.5, 0.3))
    pose = robot.pose
    robot.tare()
    assert robot.pose == pose
    assert robot.odometry == Pose()
    assert robot.wheel_angles == [0.0] * 4


def test_what_does_not_change_is_not_told_again() -> None:
    robot = Robot(Room(()))
    run(robot, 1.0)
    robot.happenings()
    run(robot, 10.0)
    assert texts(robot) == []


def test_a_low_battery_warns_and_an_empty_one_stops_it() -> None:
    robot = Robot(Room(()), battery=Battery(capacity_ah=0.2, charge=0.21))
    run(robot, 10.0, (1.0, 0.0))
    assert level(robot, 'battery') == Level.WARN
    assert any(text.startswith('battery: low') for text in texts(robot))
    run(robot, 60.0, (1.0, 0.0))
    assert level(robot, 'battery') == Level.ERROR
    assert not robot.drive.moving


def test_docking_charges_until_it_is_driven_or_full() -> None:
    robot = Robot(Room(()), battery=Battery(capacity_ah=0.5, charge=0.3))
    assert robot.dock()
    assert not robot.dock()
    run(robot, 5.0)
    assert robot.battery.current_a > 0
    assert 0.3 < robot.battery.charge < 0.9
    run(robot, 1.0, (0.5, 0.0))
    assert robot.drive.moving
    assert robot.dock()
    run(robot, 120.0)
    assert not robot.charging
    assert 'dock: off the charger' in texts(robot)
    robot.battery.charge = 1.0
    assert not robot.dock()


def test_a_patrol_keeps_moving_covers_the_room_and_touches_nothing_for_long() -> None:
    room = furnished_room()
    robot = Robot(room, patrol=Patrol(room))
    places, contact = set(), 0
    for second in range(300):
        run(robot, 1.0)
        places.add((round(robot.pose.x), round(robot.pose.y)))
        contact += level(robot, 'bumper') != Level.OK
        assert robot.drive.moving, f'it stands still after {second} s at {robot.pose}'
    assert len(places) > 15
    assert contact < 10
    assert any('the way is blocked' in text for text in texts(robot))


def test_a_patrol_gives_way_to_commands_and_comes_back() -> None:
    room = furnished_room()
    robot = Robot(room, patrol=Patrol(room))
    run(robot, 2.0)
    run(robot, 1.0, (0.0, -1.0))
    assert robot.drive.angular == pytest.approx(-1.0)
    run(robot, 2.0)
    assert not robot.drive.moving
    run(robot, 3.0)
    assert robot.drive.moving
    told = texts(robot)
    assert told.index('mode: following commands') < told.index('mode: waiting for commands')
    assert told[-1] == 'mode: on patrol' or 'mode: on patrol' in told


def test_a_patrol_charges_before_the_battery_is_empty() -> None:
    room = furnished_room()
    robot = Robot(room, patrol=Patrol(room), battery=Battery(capacity_ah=0.3, charge=0.12))
    run(robot, 60.0)
    assert 'dock: charging' in texts(robot)
    run(robot, 60.0)
    assert robot.drive.moving
    assert robot.battery.charge > 0.2

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated robot as a whole: base, battery, joints, switches, and its self-diagnosis."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
import math

from plexus_bridge.simulation.battery import Battery
from plexus_bridge.simulation.drive import Drive
from plexus_bridge.simulation.drive import Pose
from plexus_bridge.simulation.drive import travel_arc
from plexus_bridge.simulation.patrol import Patrol
from plexus_bridge.simulation.room import Room

RADIUS_M = 0.3
WHEEL_RADIUS_M = 0.1
TRACK_M = 0.44
WHEELS = ('front_left', 'front_right', 'rear_left', 'rear_right')
AMBIENT_C = 24.0

_STEP_S = 0.03
_LONGEST_S = 1.0
_PATROL_EVERY_S = 0.1
_WATCH_EVERY_S = 0.1
_PATROL_AFTER_S = 3.0
_IDLE_W = 12.0
_LIGHTS_W = 15.0
_CHARGER_W = 600.0
_EMPTY = 0.02
_LOW = 0.2
_FULL = 0.95


class Level(IntEnum):
    """The levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Status:
    """One line of the robot's self-diagnosis."""

    name: str
    level: Level
    message: str
    values: dict[str, str]


@dataclass(frozen=True)
class Happening:
    """Something that is worth a log line."""

    level: Level
    text: str


class Robot:
    """
    A four-wheeled robot with a camera on a pan joint; `step` lets time pass.

    Not thread-safe. `pose` is in the room's frame, `odometry` counts from the last `tare`.
    """

    def __init__(self, room: Room, *, drive: Drive | None = None, battery: Battery | None = None,
                 patrol: Patrol | None = None, pose: Pose | None = None):
        self.room = room
        self.drive = drive or Drive()
        self.battery = battery or Battery()
        self.pose = pose or Pose(-1.0, -1.0, 0.3)
        self.origin = self.pose
        self.elapsed_s = 0.0
        self.wheel_angles = [0.0] * len(WHEELS)
        self.pan = 0.0
        self.pan_rate = 0.0
        self.motor_c = AMBIENT_C
        self.motors_enabled = True
        self.emergency_stop = False
        self.lights = False
        self.charging = False
        self.patrol = patrol
        self._since_patrol = math.inf
        self._since_command = math.inf
        self._since_watch = 0.0
        self._in_contact = False
        self._free_m = 0.0
        self._was: dict[str, str] = {}
        self._happenings: list[Happening] = []
        self._watch()
        self._happenings.clear()

    @property
    def odometry(self) -> Pose:
        """The pose as the wheels count it."""
        return self.pose.relative_to(self.origin)

    @property
    def powered(self) -> bool:
        """Whether the motors would follow a command."""
        return (self.motors_enabled and not self.emergency_stop and not self.charging
                and self.battery.charge > _EMPTY)

    @property
    def wheel_rates(self) -> list[float]:
        """The wheels' speeds (rad/s), in the order of WHEELS."""
        left = (self.drive.linear - self.drive.angular * TRACK_M / 2) / WHEEL_RADIUS_M
        right = (self.drive.linear + self.drive.angular * TRACK_M / 2) / WHEEL_RADIUS_M
        return [left, right, left, right]

    def command(self, linear: float, angular: float) -> bool:
        """Take a velocity command from outside (m/s, rad/s); False if it is not finite."""
        if not self.drive.command(linear, angular):
            return False
        self._since_command = 0.0
        if self.charging and (linear or angular):
            self.charging = False
        return True

    def tare(self) -> None:
        """Count odometry and wheel angles from here."""
        self.origin = self.pose
        self.wheel_angles = [0.0] * len(WHEELS)
        self._happenings.append(Happening(Level.OK, 'odometry: set to zero'))

    def dock(self) -> bool:
        """Start charging where it stands, until full or driven; False if charging or full."""
        if self.charging or self.battery.charge >= _FULL:
            return False
        self.charging = True
        return True

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass; of a jump of the clock only one second counts."""
        span = min(dt, _LONGEST_S)
        parts = max(1, math.ceil(span / _STEP_S))
        for _ in range(parts if span > 0 else 0):
            self._step(span / parts)
        self._since_watch += span
        if self._since_watch >= _WATCH_EVERY_S:
            self._since_watch = 0.0
            self._watch()

    def happenings(self) -> list[Happening]:
        """Return what happened since the last call."""
        happened, self._happenings = self._happenings, []
        return happened

    def _step(self, dt: float) -> None:
        self._let_patrol_decide(dt)
        linear, angular = self.drive.step(dt, powered=self.powered)
        if linear or angular:
            self._move(travel_arc(self.pose, linear, angular, dt))
        for wheel, rate in enumerate(self.wheel_rates):
            self.wheel_angles[wheel] += rate * dt
        self.elapsed_s += dt
        self.pan, self.pan_rate = (
            0.6 * math.sin(0.5 * self.elapsed_s), 0.3 * math.cos(0.5 * self.elapsed_s))
        effort = abs(self.drive.linear) + 0.3 * abs(self.drive.angular)
        self.motor_c += (AMBIENT_C + 45.0 * effort - self.motor_c) * min(1.0, dt / 90.0)
        if self.charging:
            self.battery.step(dt, -_CHARGER_W)
            self.charging = self.battery.charge < _FULL
        else:
            self.battery.step(
                dt, _IDLE_W + 120.0 * effort + (_LIGHTS_W if self.lights else 0.0))

    def _let_patrol_decide(self, dt: float) -> None:
        self._since_command += dt
        self._since_patrol += dt
        if self.patrol is None or self._since_command < _PATROL_AFTER_S:
            return
        if self.battery.charge < _LOW / 2 and not self.charging:
            self.charging = True
        if self.powered and self._since_patrol >= _PATROL_EVERY_S:
            self._since_patrol = 0.0
            self.drive.command(*self.patrol.decide(self.pose, self.elapsed_s))

    def _move(self, target: Pose) -> None:
        # Looking round is dear: where there was space, there still is less the way gone since.
        self._free_m -= math.hypot(target.x - self.pose.x, target.y - self.pose.y)
        if self._free_m > 2 * RADIUS_M:
            self.pose = target
            return
        self._free_m = gap = self.room.clearance(target.x, target.y)
        if gap >= RADIUS_M or gap > self.room.clearance(self.pose.x, self.pose.y):
            self.pose = target
            self._in_contact = self._in_contact and gap < RADIUS_M + 0.02
        else:
            self.pose = Pose(self.pose.x, self.pose.y, target.yaw)
            self._free_m = 0.0
            self.drive.halt()
            self._in_contact = True

    def diagnostics(self) -> list[Status]:
        """Return what the robot says about its parts."""
        battery, percent = self.battery, 100 * self.battery.charge
        if self.charging:
            charge = Level.OK, f'charging, {percent:.0f} %'
        elif battery.charge <= _EMPTY:
            charge = Level.ERROR, 'empty: the motors are off'
        elif battery.charge < _LOW:
            charge = Level.WARN, f'low: {percent:.0f} %'
        else:
            charge = Level.OK, f'{percent:.0f} %'
        hot = Level.ERROR if self.motor_c > 85 else Level.WARN if self.motor_c > 65 else Level.OK
        stop = (Level.ERROR, 'pressed') if self.emergency_stop else (Level.OK, 'released')
        motors = (Level.OK, 'enabled') if self.motors_enabled else (Level.WARN, 'disabled')
        bumper = (Level.WARN, 'in contact') if self._in_contact else (Level.OK, 'free')
        return [
            Status('battery', *charge, {
                'percentage': f'{percent:.1f}', 'voltage': f'{battery.voltage_v:.2f}',
                'temperature': f'{battery.temperature_c:.1f}'}),
            Status('motor temperature', hot, f'{self.motor_c:.0f} °C', {
                'temperature': f'{self.motor_c:.1f}'}),
            Status('emergency stop', *stop, {'pressed': str(self.emergency_stop)}),
            Status('motors', *motors, {'enabled': str(self.motors_enabled)}),
            Status('bumper', *bumper, {'contact': str(self._in_contact)})]

    def _mode(self) -> str:
        if not self.powered:
            return 'standing'
        if self._since_command < _PATROL_AFTER_S:
            return 'following commands' if self.drive.commanded else 'waiting for commands'
        return 'standing' if self.patrol is None else 'on patrol'

    def _watch(self) -> None:
        """Turn changes of state into log lines."""
        patrol = self.patrol.turning if self.patrol and self._mode() == 'on patrol' else ''
        now = {
            'mode': self._mode(),
            'lights': 'on' if self.lights else 'off',
            'patrol': f'the way is blocked, turning {patrol}' if patrol else '',
            'dock': 'charging' if self.charging else 'off the charger'}
        for what, value in now.items():
            if value and self._was.get(what) != value:
                self._happenings.append(Happening(Level.OK, f'{what}: {value}'))
        # The level, not the text: a percentage changes all the time.
        for status in self.diagnostics():
            level = status.level.name
            if self._was.get(status.name, 'OK') != level:
                self._happenings.append(
                    Happening(status.level, f'{status.name}: {status.message}'))
            now[status.name] = level
        self._was = now

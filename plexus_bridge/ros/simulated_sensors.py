# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The simulated robot's sensors as ROS messages.

Each class owns one message that it fills anew: building a message costs more than filling it.
Frames and signs follow REP-103 and REP-105, the IMU REP-145, ranges REP-117.
"""

from __future__ import annotations

import array
from dataclasses import dataclass
import math
import random
import struct
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import BatteryState
from sensor_msgs.msg import Image
from sensor_msgs.msg import Imu
from sensor_msgs.msg import JointState
from sensor_msgs.msg import LaserScan
from sensor_msgs.msg import NavSatFix
from sensor_msgs.msg import NavSatStatus

from plexus_bridge.simulation.camera import Camera
from plexus_bridge.simulation.robot import Robot
from plexus_bridge.simulation.robot import WHEELS

_GRAVITY = 9.80665
_EARTH_RADIUS_M = 6371000.0
_BEAMS = 360
_SCAN_REACH_M = 6.0


@dataclass(frozen=True)
class Origin:
    """Where on Earth the middle of the room is (degrees, m above the ellipsoid)."""

    latitude: float = 48.1371
    longitude: float = 11.5754
    altitude: float = 519.0


def set_stamp(message: Any, now_ns: int) -> None:
    """Write a time into a message's header."""
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 1_000_000_000)


def _yaw_to(quaternion: Any, yaw: float) -> None:
    quaternion.z, quaternion.w = math.sin(yaw / 2), math.cos(yaw / 2)


def _diagonal(size: int, *variances: float) -> list[float]:
    matrix = [0.0] * (size * size)
    matrix[::size + 1] = variances
    return matrix


class ImuSensor:
    """sensor_msgs/Imu: acceleration with gravity, as an accelerometer at rest reads +g upwards."""

    def __init__(self, frame: str):
        self._noise = random.Random(1)
        self._message = Imu()
        self._message.header.frame_id = frame
        self._message.orientation_covariance = _diagonal(3, 1e-6, 1e-6, 1e-4)
        self._message.angular_velocity_covariance = _diagonal(3, *[0.002**2] * 3)
        self._message.linear_acceleration_covariance = _diagonal(3, *[0.02**2] * 3)

    def read(self, robot: Robot, now_ns: int) -> Imu:
        """Return the message for now."""
        message, noise = self._message, self._noise.gauss
        set_stamp(message, now_ns)
        _yaw_to(message.orientation, robot.pose.yaw)
        rates, forces = message.angular_velocity, message.linear_acceleration
        rates.x, rates.y = noise(0.0, 0.002), noise(0.0, 0.002)
        rates.z = robot.drive.angular + noise(0.0, 0.002)
        forces.x = robot.drive.acceleration + noise(0.0, 0.02)
        forces.y = robot.drive.linear * robot.drive.angular + noise(0.0, 0.02)
        forces.z = _GRAVITY + noise(0.0, 0.02)
        return message


class OdometrySensor:
    """nav_msgs/Odometry: pose in the odom frame, twist in the base's own frame."""

    def __init__(self, frame: str, child_frame: str):
        self._message = Odometry()
        self._message.header.frame_id = frame
        self._message.child_frame_id = child_frame
        self._message.pose.covariance = _diagonal(6, 1e-3, 1e-3, 1e6, 1e6, 1e6, 1e-3)
        self._message.twist.covariance = _diagonal(6, 1e-4, 1e-4, 1e6, 1e6, 1e6, 1e-4)

    def read(self, robot: Robot, now_ns: int) -> Odometry:
        """Return the message for now."""
        message, odometry = self._message, robot.odometry
        set_stamp(message, now_ns)
        position = message.pose.pose.position
        position.x, position.y = odometry.x, odometry.y
        _yaw_to(message.pose.pose.orientation, odometry.yaw)
        message.twist.twist.linear.x = robot.drive.linear
        message.twist.twist.angular.z = robot.drive.angular
        return message


class JointSensor:
    """sensor_msgs/JointState: four wheels and the camera's pan joint."""

    def __init__(self) -> None:
        self._message = JointState()
        self._message.name = [*(f'{wheel}_wheel_joint' for wheel in WHEELS), 'camera_pan_joint']

    def read(self, robot: Robot, now_ns: int) -> JointState:
        """Return the message for now."""
        message = self._message
        set_stamp(message, now_ns)
        message.position = array.array('d', [*robot.wheel_angles, robot.pan])
        message.velocity = array.array('d', [*robot.wheel_rates, robot.pan_rate])
        return message


class ScanSensor:
    """sensor_msgs/LaserScan: all round; beyond its reach it reads +inf (REP-117)."""

    def __init__(self, frame: str, rate_hz: float):
        self._angles = np.linspace(
            -math.pi, math.pi, _BEAMS, endpoint=False, dtype=np.float64)
        self._message = message = LaserScan()
        message.header.frame_id = frame
        message.angle_min = -math.pi
        message.angle_increment = math.tau / _BEAMS
        message.angle_max = math.pi - math.tau / _BEAMS
        message.range_min, message.range_max = 0.05, _SCAN_REACH_M
        message.scan_time = 1.0 / rate_hz if rate_hz else 0.0
        message.time_increment = message.scan_time / _BEAMS

    def read(self, robot: Robot, now_ns: int) -> LaserScan:
        """Return the message for now."""
        pose = robot.pose
        reach, _ = robot.room.cast(pose.x, pose.y, pose.yaw + self._angles)
        reach[reach > _SCAN_REACH_M] = np.inf
        set_stamp(self._message, now_ns)
        self._message.ranges = array.array('f', reach.astype(np.float32).tobytes())
        return self._message


class BatterySensor:
    """sensor_msgs/BatteryState: percentage is 0 … 1, a discharging current negative."""

    def __init__(self, frame: str):
        self._message = message = BatteryState()
        message.header.frame_id = frame
        message.power_supply_technology = BatteryState.POWER_SUPPLY_TECHNOLOGY_LION
        message.power_supply_health = BatteryState.POWER_SUPPLY_HEALTH_GOOD
        message.present = True
        message.location = 'base'
        message.serial_number = 'SIM-0001'

    def read(self, robot: Robot, now_ns: int) -> BatteryState:
        """Return the message for now."""
        message, battery = self._message, robot.battery
        set_stamp(message, now_ns)
        message.voltage = battery.voltage_v
        message.temperature = battery.temperature_c
        message.current = battery.current_a
        message.capacity = message.design_capacity = battery.capacity_ah
        message.charge = battery.charge * battery.capacity_ah
        message.percentage = battery.charge
        message.cell_voltage = array.array(
            'f', [battery.voltage_v / battery.cells] * battery.cells)
        message.power_supply_status = (
            BatteryState.POWER_SUPPLY_STATUS_CHARGING if robot.charging
            else BatteryState.POWER_SUPPLY_STATUS_DISCHARGING)
        return message


class FixSensor:
    """sensor_msgs/NavSatFix: the room's x points east and its y north."""

    def __init__(self, frame: str, origin: Origin):
        self._origin = origin
        self._east_m = _EARTH_RADIUS_M * math.cos(math.radians(origin.latitude))
        self._message = message = NavSatFix()
        message.header.frame_id = frame
        message.status.status = NavSatStatus.STATUS_FIX
        message.status.service = NavSatStatus.SERVICE_GPS
        message.altitude = origin.altitude
        message.position_covariance = _diagonal(3, 0.01, 0.01, 0.04)
        message.position_covariance_type = NavSatFix.COVARIANCE_TYPE_DIAGONAL_KNOWN

    def read(self, robot: Robot, now_ns: int) -> NavSatFix:
        """Return the message for now."""
        set_stamp(self._message, now_ns)
        self._message.latitude = self._origin.latitude + math.degrees(
            robot.pose.y / _EARTH_RADIUS_M)
        self._message.longitude = self._origin.longitude + math.degrees(
            robot.pose.x / self._east_m)
        return self._message


class DiagnosticSensor:
    """diagnostic_msgs/DiagnosticArray: one status for each part, named `node: part` (REP-107)."""

    def __init__(self, node: str, hardware_id: str):
        self._node = node
        self._hardware_id = hardware_id
        self._message = DiagnosticArray()

    def read(self, robot: Robot, now_ns: int) -> DiagnosticArray:
        """Return the message for now."""
        set_stamp(self._message, now_ns)
        self._message.status = [
            DiagnosticStatus(
                level=bytes([status.level]), name=f'{self._node}: {status.name}',
                message=status.message, hardware_id=self._hardware_id,
                values=[KeyValue(key=key, value=value) for key, value in status.values.items()])
            for status in robot.diagnostics()]
        return self._message


class CameraSensor:
    """
    sensor_msgs/Image (rgb8) as CDR bytes, ready to publish.

    The head is serialised once and only its stamp is written anew; pictures go behind it as they
    are, which saves copying each through a message object.
    """

    def __init__(self, frame: str, camera: Camera, width: int, height: int):
        self._camera = camera
        image = Image(height=height, width=width, encoding='rgb8', step=3 * width)
        image.header.frame_id = frame
        # Without pixels the message ends in their count, the last four bytes.
        self._head = bytearray(serialize_message(image))
        struct.pack_into('<I', self._head, len(self._head) - 4, 3 * width * height)

    def read(self, robot: Robot, now_ns: int) -> bytes:
        """Return the message for now."""
        # CDR: four bytes of encapsulation, then the header's stamp.
        struct.pack_into('<iI', self._head, 4, *divmod(now_ns, 1_000_000_000))
        pose = robot.pose
        picture = self._camera.draw(
            pose.x, pose.y, pose.yaw + robot.pan, robot.elapsed_s, lit=robot.lights)
        return b''.join((self._head, picture.data))

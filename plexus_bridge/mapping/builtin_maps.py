# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The metrics of a topic whose rule names no fields: a row for each value.

Units are those of the message definitions (SI, REP-103). Metric names are the rule's prefix and
the row's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A value of a message type: its path, the end of its metric's name, its unit."""

    path: str
    name: str
    unit: str | None = None
    key: str | None = None


_TWIST = (
    Row('twist.twist.linear', 'linear', 'm/s'),
    Row('twist.twist.angular', 'angular', 'rad/s'),
)

BUILTIN_MAPS: Mapping[str, tuple[Row, ...]] = {
    'sensor_msgs/msg/Imu': (
        Row('orientation', 'orientation'),
        Row('angular_velocity', 'angular_velocity', 'rad/s'),
        Row('linear_acceleration', 'linear_acceleration', 'm/s2'),
    ),
    'sensor_msgs/msg/BatteryState': (
        Row('voltage', 'voltage', 'V'),
        Row('temperature', 'temperature', 'Cel'),
        Row('current', 'current', 'A'),
        Row('charge', 'charge', 'A.h'),
        Row('percentage', 'percentage'),
        Row('power_supply_status', 'power_supply_status'),
    ),
    'nav_msgs/msg/Odometry': (
        Row('pose.pose.position', 'position', 'm'),
        Row('pose.pose.orientation', 'orientation'),
        *_TWIST,
    ),
    'sensor_msgs/msg/NavSatFix': (
        Row('latitude', 'latitude', 'deg'),
        Row('longitude', 'longitude', 'deg'),
        Row('altitude', 'altitude', 'm'),
        Row('status.status', 'status'),
    ),
    'sensor_msgs/msg/JointState': (
        Row('position[*]', '{name}.position', None, 'name[*]'),
        Row('velocity[*]', '{name}.velocity', None, 'name[*]'),
        Row('effort[*]', '{name}.effort', None, 'name[*]'),
    ),
}

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The metrics of a topic whose rule names no fields: a row for each value.

Units are UCUM and those of the message definitions (SI, REP-103). A metric's name is the rule's
prefix and the row's name; an empty name leaves the prefix alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.paths import ROOT
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.stamps import HEADER


@dataclass(frozen=True)
class Row:
    """A value of a message type: its path, the end of its metric's name, its unit, as:."""

    path: str
    name: str
    unit: str | None = None
    transforms: tuple[str, ...] = ()
    key: str | None = None
    covariance: str | None = None


def _within(path: str, rows: tuple[Row, ...], name: str | None = None) -> tuple[Row, ...]:
    """Return rows of a message for where it stands as a field of another."""
    return tuple(replace(
        row, path=f'{path}.{row.path}' if row.path else path,
        name='.'.join(filter(None, (path if name is None else name, row.name)))) for row in rows)


def _vector(unit: str | None) -> tuple[Row, ...]:
    return (Row('x', 'x', unit), Row('y', 'y', unit), Row('z', 'z', unit))


_POINT = _vector('m')
_ANGLES = (Row('', '', 'rad', ('rpy',)),)
_POSE = (*_within('position', _POINT), *_within('orientation', _ANGLES))
_TWIST = (*_within('linear', _vector('m/s')), *_within('angular', _vector('rad/s')))
_ACCEL = (*_within('linear', _vector('m/s2')), *_within('angular', _vector('rad/s2')))
_WRENCH = (*_within('force', _vector('N')), *_within('torque', _vector('N.m')))
_TRANSFORM = (*_within('translation', _POINT), *_within('rotation', _ANGLES))
_POSE_2D = (Row('x', 'x', 'm'), Row('y', 'y', 'm'), Row('theta', 'theta', 'rad'))
_INERTIA = (Row('m', 'mass', 'kg'), *_within('com', _POINT, 'center_of_mass'))
_POLYGON = (Row('points', 'points', None, ('count',)),)
_MAP = (Row('resolution', 'resolution', 'm'), Row('width', 'width'), Row('height', 'height'))
_DATA = (Row('data', ''),)
_EACH = (Row('data[*]', ''),)
_LEVELS = (Row('status[*].level', '{name}.level', key='status[*].name'),)
_IMU_PARTS = {
    'orientation': Row('', '', 'rad', ('rpy',)),
    'angular_velocity': Row('', '', 'rad/s'),
    'linear_acceleration': Row('', '', 'm/s2'),
}

BUILTIN_MAPS: Mapping[str, tuple[Row, ...]] = {
    'diagnostic_msgs/msg/DiagnosticArray': _LEVELS,
    'diagnostic_msgs/msg/DiagnosticStatus': (Row('level', 'level'),),

    'geometry_msgs/msg/Accel': _ACCEL,
    'geometry_msgs/msg/AccelStamped': _within('accel', _ACCEL, ''),
    'geometry_msgs/msg/AccelWithCovariance': _within('accel', _ACCEL, ''),
    'geometry_msgs/msg/AccelWithCovarianceStamped': _within('accel.accel', _ACCEL, ''),
    'geometry_msgs/msg/Inertia': _INERTIA,
    'geometry_msgs/msg/InertiaStamped': _within('inertia', _INERTIA, ''),
    'geometry_msgs/msg/Point': _POINT,
    'geometry_msgs/msg/Point32': _POINT,
    'geometry_msgs/msg/PointStamped': _within('point', _POINT, ''),
    'geometry_msgs/msg/Polygon': _POLYGON,
    'geometry_msgs/msg/PolygonStamped': _within('polygon', _POLYGON, ''),
    'geometry_msgs/msg/PolygonInstance': _within('polygon', _POLYGON, ''),
    'geometry_msgs/msg/PolygonInstanceStamped': _within('polygon.polygon', _POLYGON, ''),
    'geometry_msgs/msg/Pose': _POSE,
    'geometry_msgs/msg/Pose2D': _POSE_2D,
    'geometry_msgs/msg/PoseArray': (Row('poses', 'poses', None, ('count',)),),
    'geometry_msgs/msg/PoseStamped': _within('pose', _POSE, ''),
    'geometry_msgs/msg/PoseStampedArray': (Row('poses', 'poses', None, ('count',)),),
    'geometry_msgs/msg/PoseWithCovariance': _within('pose', _POSE, ''),
    'geometry_msgs/msg/PoseWithCovarianceStamped': _within('pose.pose', _POSE, ''),
    'geometry_msgs/msg/Quaternion': _ANGLES,
    'geometry_msgs/msg/QuaternionStamped': _within('quaternion', _ANGLES, ''),
    'geometry_msgs/msg/Transform': _TRANSFORM,
    'geometry_msgs/msg/TransformStamped': _within('transform', _TRANSFORM, ''),
    'geometry_msgs/msg/Twist': _TWIST,
    'geometry_msgs/msg/TwistStamped': _within('twist', _TWIST, ''),
    'geometry_msgs/msg/TwistWithCovariance': _within('twist', _TWIST, ''),
    'geometry_msgs/msg/TwistWithCovarianceStamped': _within('twist.twist', _TWIST, ''),
    'geometry_msgs/msg/Vector3': _vector(None),
    'geometry_msgs/msg/Vector3Stamped': _within('vector', _vector(None), ''),
    'geometry_msgs/msg/VelocityStamped': _within('velocity', _TWIST, ''),
    'geometry_msgs/msg/Wrench': _WRENCH,
    'geometry_msgs/msg/WrenchStamped': _within('wrench', _WRENCH, ''),

    'nav_msgs/msg/Goals': (Row('goals', 'goals', None, ('count',)),),
    'nav_msgs/msg/GridCells': (Row('cells', 'cells', None, ('count',)),),
    'nav_msgs/msg/MapMetaData': _MAP,
    'nav_msgs/msg/OccupancyGrid': _within('info', _MAP, ''),
    'nav_msgs/msg/Odometry': (
        *_within('pose.pose', _POSE, ''), *_within('twist.twist', _TWIST, '')),
    'nav_msgs/msg/Path': (Row('poses', 'poses', None, ('count',)),),
    'nav_msgs/msg/Trajectory': (Row('points', 'points', None, ('count',)),),
    'nav_msgs/msg/TrajectoryPoint': (
        *_within('pose', _POSE, ''), *_within('velocity', _TWIST, 'velocity')),

    'sensor_msgs/msg/BatteryState': (
        Row('voltage', 'voltage', 'V'),
        Row('temperature', 'temperature', 'Cel'),
        Row('current', 'current', 'A'),
        Row('charge', 'charge', 'A.h'),
        Row('capacity', 'capacity', 'A.h'),
        Row('percentage', 'percentage'),
        Row('power_supply_status', 'power_supply_status'),
        Row('power_supply_health', 'power_supply_health'),
        Row('cell_voltage[*]', 'cell_voltage', 'V'),
        Row('cell_temperature[*]', 'cell_temperature', 'Cel'),
    ),
    'sensor_msgs/msg/FluidPressure': (Row('fluid_pressure', 'pressure', 'Pa'),),
    'sensor_msgs/msg/Illuminance': (Row('illuminance', 'illuminance', 'lx'),),
    'sensor_msgs/msg/Imu': tuple(
        replace(row, path=part, name=part, covariance=f'{part}_covariance[0]')
        for part, row in _IMU_PARTS.items()),
    'sensor_msgs/msg/JointState': (
        Row('position[*]', '{name}.position', None, (), 'name'),
        Row('velocity[*]', '{name}.velocity', None, (), 'name'),
        Row('effort[*]', '{name}.effort', None, (), 'name'),
    ),
    'sensor_msgs/msg/Joy': (Row('axes[*]', 'axes'), Row('buttons[*]', 'buttons')),
    'sensor_msgs/msg/LaserScan': (
        Row('ranges', 'nearest', 'm', ('min',)), Row('ranges', 'farthest', 'm', ('max',))),
    'sensor_msgs/msg/MagneticField': (Row('magnetic_field', 'magnetic_field', 'T'),),
    # Rotations are left out: nobody reads quaternions, and as: takes one at a time.
    'sensor_msgs/msg/MultiDOFJointState': tuple(
        Row(f'{part}[*].{row.path}', f'{{joint_names}}.{name}.{row.path}', row.unit, (),
            'joint_names')
        for part, rows, name in (
            ('transforms', _within('translation', _POINT), 'transform'),
            ('twist', _TWIST, 'twist'), ('wrench', _WRENCH, 'wrench'))
        for row in rows),
    'sensor_msgs/msg/NavSatFix': (
        Row('latitude', 'latitude', 'deg'),
        Row('longitude', 'longitude', 'deg'),
        Row('altitude', 'altitude', 'm'),
        Row('status.status', 'status'),
    ),
    'sensor_msgs/msg/NavSatStatus': (Row('status', 'status'), Row('service', 'service')),
    'sensor_msgs/msg/PointCloud': (Row('points', 'points', None, ('count',)),),
    'sensor_msgs/msg/PointCloud2': (Row('width', 'width'), Row('height', 'height')),
    'sensor_msgs/msg/Range': (Row('range', 'range', 'm'),),
    'sensor_msgs/msg/RelativeHumidity': (Row('relative_humidity', 'relative_humidity'),),
    'sensor_msgs/msg/Temperature': (Row('temperature', 'temperature', 'Cel'),),

    'std_msgs/msg/ColorRGBA': tuple(Row(part, part) for part in 'rgba'),
    'std_msgs/msg/String': _DATA,
    **{f'std_msgs/msg/{name}': _DATA for name in (
        'Bool', 'Byte', 'Char', 'Float32', 'Float64', 'Int8', 'Int16', 'Int32', 'Int64', 'UInt8',
        'UInt16', 'UInt32', 'UInt64')},
    **{f'std_msgs/msg/{name}MultiArray': _EACH for name in (
        'Byte', 'Float32', 'Float64', 'Int8', 'Int16', 'Int32', 'Int64', 'UInt8', 'UInt16',
        'UInt32', 'UInt64')},
}


# Where in a map topics of these types belong.
_SECTIONS = {
    'sensor_msgs/msg/Image': 'video', 'sensor_msgs/msg/CompressedImage': 'video',
    'rcl_interfaces/msg/Log': 'events', 'action_msgs/msg/GoalStatusArray': 'events',
    'lifecycle_msgs/msg/TransitionEvent': 'events', 'plexus_msgs/msg/Event': 'events'}


def builtin_fields(rule: MetricRule, message: Message, topic: str) -> tuple[FieldRule, ...]:
    """Return the built-in map of a message type; MappingError if there is none."""
    rows = BUILTIN_MAPS.get(message.name)
    if rows is None:
        raise MappingError(f'{message.name} has no built-in map; {_instead(message)}')
    prefix = rule.prefix or topic.strip('/').replace('/', '.')
    return tuple(
        FieldRule(
            path=parse_path(row.path) if row.path else ROOT,
            metric=f'{prefix}.{row.name}' if row.name else prefix,
            key=parse_path(row.key) if row.key else None,
            transforms=row.transforms,
            covariance=parse_path(row.covariance) if row.covariance else None,
            sampling=rule.sampling, lane=rule.lane,
            tags={**rule.tags, 'unit': row.unit} if row.unit else rule.tags)
        for row in rows)


def _instead(message: Message) -> str:
    if message.name in _SECTIONS:
        return f'its topics stand under {_SECTIONS[message.name]}:'
    first = _first_number(message)
    return 'name the values under fields:, for example ' \
        f'{{path: {first}, metric: …}}' if first else 'it has no single numbers either'


def _first_number(message: Message) -> str:
    for name, layout in message.fields:
        if isinstance(layout, Primitive):
            return name
        if isinstance(layout, Message) and layout.name != HEADER:
            inner = _first_number(layout)
            if inner:
                return f'{name}.{inner}'
    return ''

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a message says of its own values: which are no measurement.

REP-117: a range beyond the limits that its message names. REP-145: what has no estimate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.paths import Field
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.paths import Path

# By type: the field of the distances, and those of the least and the greatest that count.
_LIMITS = {
    'sensor_msgs/msg/LaserScan': ('ranges', 'range_min', 'range_max'),
    'sensor_msgs/msg/Range': ('range', 'min_range', 'max_range')}
# REP-145: this in the first element of a covariance says that there is no such estimate.
NO_ESTIMATE = -1
_IMU = 'sensor_msgs/msg/Imu'
_ESTIMATES = ('orientation', 'angular_velocity', 'linear_acceleration')


def covariance_of(path: Path, message: Message) -> Path | None:
    """Return the path of what says whether there is an estimate, None for other values."""
    first = path.steps[0] if path.steps else None
    if message.name == _IMU and isinstance(first, Field) and first.name in _ESTIMATES:
        return parse_path(f'{first.name}_covariance[0]')
    return None


def limits_of(path: Path, message: Message) -> tuple[Path, ...]:
    """Return the paths of the least and the greatest distance that count, () for other values."""
    field, *limits = _LIMITS.get(message.name, ('',))
    return tuple(map(parse_path, limits)) if path.steps[:1] == (Field(field),) else ()


def within(distances: Any, least: float, greatest: float) -> Any:
    """
    Return what counts of some distances, or of one; None if none does of those that are finite.

    Limits that nobody has set, and those of a sensor that sees at one distance only, are none.
    """
    if not greatest > least:
        return distances
    counts = (distances >= least) & (distances <= greatest)
    if not np.any(counts):
        return None if np.any(np.isfinite(distances)) else distances
    return distances[counts] if isinstance(distances, np.ndarray) else distances

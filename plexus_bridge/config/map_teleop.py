# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The section `teleop` of a map as typed objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plexus_bridge.config.document import Document
from plexus_bridge.teleop.teleop import TeleopSettings
from plexus_bridge.teleop.velocity import AxisLimit
from plexus_bridge.teleop.velocity import Limits

PLACE = ('teleop',)
# The commands that the section brings along.
DRIVING = ('drive', 'release', 'stop', 'estop')


@dataclass(frozen=True)
class StopConfirm:
    """The odometry by which a stop is confirmed; speeds in m/s and rad/s."""

    topic: str
    linear: float = 0.02
    angular: float = 0.05


@dataclass(frozen=True)
class TeleopRule:
    """What the map says about driving by hand; see the schema for each."""

    topic: str
    settings: TeleopSettings
    stamped: bool = False
    frame_id: str = 'base_link'
    rate_hz: float = 20.0
    stop_confirm: StopConfirm | None = None
    lock_topic: str = '~/teleop_lock'
    emergency_stop_topic: str | None = None


def read_teleop(document: Document, body: dict[str, Any]) -> TeleopRule:
    """Return the section as an object, noting in the document what does not fit together."""
    latency = body.get('latency_ms', {'slow': 200.0, 'stop': 500.0})
    if latency['slow'] >= latency['stop']:
        document.problem(
            (*PLACE, 'latency_ms'), f'saw slow {latency["slow"]} and stop {latency["stop"]}, '
            'expected slow to be less than stop')
    confirm = body.get('stop_confirm')
    settings = TeleopSettings(
        limits=_limits(document, body),
        deadman_ms=body.get('deadman_ms', 300.0),
        max_age_ms=body.get('max_age_ms', 500.0),
        latency_slow_ms=latency['slow'],
        latency_stop_ms=latency['stop'],
        lease_s=body.get('lease_s', 3.0),
        stop_confirmed=confirm is not None,
        stamps_required=body.get('require_stamps', True))
    given = {key: body[key] for key in (
        'frame_id', 'rate_hz', 'lock_topic', 'emergency_stop_topic') if key in body}
    return TeleopRule(
        topic=body['topic'], settings=settings,
        stamped=body.get('type') == 'geometry_msgs/msg/TwistStamped',
        stop_confirm=StopConfirm(**confirm) if confirm else None, **given)


def _limits(document: Document, body: dict[str, Any]) -> Limits:
    axes = {}
    for axis, (lowest, highest) in body['limits'].items():
        if not lowest <= 0 <= highest:
            document.problem(
                (*PLACE, 'limits', axis), f'saw [{lowest}, {highest}], expected the lowest '
                'velocity and then the highest, with zero between them: a robot must be able to '
                'stand')
        axes[axis] = AxisLimit(
            lowest, highest,
            **({'acceleration': body['acceleration'][axis]}
               if axis in body.get('acceleration', {}) else {}),
            dead_zone=body.get('dead_zone', {}).get(axis, 0.0))
    for key in ('acceleration', 'dead_zone'):
        for axis in body.get(key, {}):
            if axis not in axes:
                document.problem(
                    (*PLACE, key, axis), 'has no meaning for an axis without limits, which does '
                    f'not move; there are limits for {", ".join(axes)}')
    return Limits(axes)

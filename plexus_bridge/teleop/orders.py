# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What operators ask for and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import enum


@dataclass(frozen=True)
class Order:
    """
    One `drive`: the axes' velocities in m/s and rad/s, and what tells its order and age.

    `seq` grows with each order of a lease; `issued_ms` is the operator's clock, any epoch;
    `echo_ms` the robot's clock as the newest answer brought it, if the operator heeds it. A
    `lease` that is empty asks for one.
    """

    operator: str
    velocity: Mapping[str, float] = field(default_factory=dict)
    lease: str = ''
    seq: int | None = None
    issued_ms: float | None = None
    echo_ms: float | None = None


@dataclass(frozen=True)
class Granted:
    """The operator may drive from now on, with this lease in each order."""

    lease: str


@dataclass(frozen=True)
class Accepted:
    """
    The order is being followed; it was at most so old when it came (None: it had no stamp).

    `speed_factor` is what the latency leaves of the speed, 0 to 1.
    """

    age_ms: float | None
    speed_factor: float = 1.0


class Why(enum.Enum):
    """Why an order is not followed."""

    INVALID = 'invalid'
    EMERGENCY_STOP = 'emergency_stop'
    HELD = 'held_by_another'
    NO_LEASE = 'no_lease'
    OUT_OF_LEASE = 'out_of_lease'
    REORDERED = 'reordered'
    STALE = 'stale'
    CLOCK = 'clock'
    # Nobody would stop the robot in time.
    UNATTENDED = 'unattended'


@dataclass(frozen=True)
class Refused:
    """The order is not followed, and why."""

    why: Why
    text: str


class Severity(enum.Enum):
    """How grave an event is; the names of rcl_interfaces/msg/Log in small letters."""

    INFO = 'info'
    WARN = 'warn'
    ERROR = 'error'


@dataclass(frozen=True)
class TeleopEvent:
    """
    Something for the timeline: `name` such as `teleop.started`, a sentence, who did it.

    `at` is when it happened, in monotonic seconds.
    """

    name: str
    text: str
    operator: str
    at: float
    severity: Severity = Severity.INFO

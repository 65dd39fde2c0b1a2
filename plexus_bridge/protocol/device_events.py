# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a device session tells its owner."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_REMEDIES = {'commands_not_permitted': (
    'telemetry goes on, but nobody can command or drive this device: pair it anew (plexus-bridge '
    'gateway pair; then on the device plexus-bridge pair --code CODE --force), or give it a key '
    'that may (plexus-bridge gateway keys create --receive-commands)')}

@dataclass(frozen=True)
class Authenticated:
    """
    We are in. `round_trip_s` is the time between question and answer: the gateway's clock read
    `server_time_ms` somewhere within it. `acks` tells whether telemetry is acknowledged; `answer`
    is the whole message.
    """

    acks: bool
    server_time_ms: float | None
    round_trip_s: float
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Refused:
    """The gateway does not let us in; `code` is empty with gateways that give none."""

    code: str
    detail: str


@dataclass(frozen=True)
class FramesStored:
    """The gateway has these frames safe on disk."""

    keys: Sequence[int]


@dataclass(frozen=True)
class FramesDiscarded:
    """The gateway threw these frames away: as they are, sending them again is pointless."""

    keys: Sequence[int]
    code: str
    detail: str


@dataclass(frozen=True)
class FramesReturned:
    """Nobody knows what became of these frames, oldest first: send them again."""

    keys: Sequence[int]


@dataclass(frozen=True)
class Trouble:
    """The gateway complains about something that is no telemetry frame, or makes no sense."""

    code: str
    detail: str

    @property
    def remedy(self) -> str:
        """What whoever runs the device can do about it, empty if that is not known."""
        return _REMEDIES.get(self.code, '')


@dataclass(frozen=True)
class MessageReceived:
    """Another message of the gateway's; `body` is its JSON object."""

    kind: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Disconnected:
    """The connection is over; `goodbye` if the gateway closed it with a frame, whose `code`."""

    reason: str
    goodbye: bool
    code: int | None = None


@dataclass(frozen=True)
class ClockRead:
    """The gateway's clock read `server_time_ms` somewhere within the round trip before this."""

    server_time_ms: float
    round_trip_s: float


DeviceEvent = (Authenticated | Refused | FramesStored | FramesDiscarded | FramesReturned | Trouble
               | MessageReceived | ClockRead | Disconnected)

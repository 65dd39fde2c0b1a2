# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a `GatewaySession` tells its owner (protocol section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from plexus_bridge.points import ReceivedPoint
from plexus_bridge.protocol.hello import DeviceHello
from plexus_bridge.protocol.video import Picture
from plexus_bridge.protocol.video import Thermal


@dataclass(frozen=True)
class HelloReceived:
    """A device asks to be let in: answer with `accept` or `refuse`."""

    hello: DeviceHello


@dataclass(frozen=True)
class TelemetryReceived:
    """
    A valid frame: store its points, then call `stored`, `discarded` or `storage_failed`.

    The frame's session, if it names one, is a tag of every point (section 11.4).
    """

    ticket: int
    points: Sequence[ReceivedPoint]
    session_id: str | None


@dataclass(frozen=True)
class HeartbeatReceived:
    """The device is alive (section 6.7); agents say for how long."""

    uptime_s: float | None = None


@dataclass(frozen=True)
class VideoReceived:
    """A picture of a camera, from a binary or a text frame (section 7); its stamp may be 0."""

    picture: Picture
    thermal: Thermal | None = None


@dataclass(frozen=True)
class MessageReceived:
    """Another message that a device may send; `body` is its JSON object."""

    kind: str
    body: dict[str, Any]


@dataclass(frozen=True)
class InvalidReceived:
    """The device sent what the contract does not allow; it has been told where that is due."""

    code: str
    detail: str


@dataclass(frozen=True)
class DeviceLeft:
    """The device closed the connection."""

    code: int


GatewayEvent = (HelloReceived | TelemetryReceived | HeartbeatReceived | VideoReceived
                | MessageReceived | InvalidReceived | DeviceLeft)

# Accepted from devices beside telemetry and heartbeats (sections 6.4 and 11.4).
DEVICE_MESSAGES = frozenset((
    'command_status', 'command_sync', 'command_result', 'device_error', 'pong',
    'session_started', 'session_stopped', 'output', 'command_ack'))

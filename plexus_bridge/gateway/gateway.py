# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the routes of one gateway share."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
import time

from starlette.requests import HTTPConnection

from plexus_bridge.gateway.devices import Devices
from plexus_bridge.gateway.keys import KeyRing
from plexus_bridge.gateway.storage.store import Store


@dataclass
class Gateway:
    """The store, the keys and the devices that are connected; `started` is monotonic seconds."""

    store: Store
    keys: KeyRing
    devices: Devices = field(default_factory=Devices)
    started: float = field(default_factory=time.monotonic)


def gateway_of(connection: HTTPConnection) -> Gateway:
    """Return the gateway that a request or socket came to."""
    gateway: Gateway = connection.app.state.gateway
    return gateway


def wall_ms() -> int:
    """Return the time as integer Unix ms."""
    return time.time_ns() // 1_000_000

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What is kept and shown of a device's introduction: never its key."""

from __future__ import annotations

from typing import Any

from plexus_bridge import encoding
from plexus_bridge.gateway.commands.records import DeviceRow
from plexus_bridge.protocol.hello import Declared
from plexus_bridge.protocol.hello import DeviceHello

MAX_INVENTORY_BYTES = 256 * 1024


def introduction(hello: DeviceHello) -> dict[str, Any]:
    """Return what a device says of itself; an inventory beyond reason is left out."""
    inventory = hello.inventory()
    try:
        if len(encoding.dumps(inventory)) > MAX_INVENTORY_BYTES:
            inventory = {}
    except (TypeError, ValueError):
        inventory = {}
    return {'platform': hello.platform[:256], 'agent_version': hello.agent_version[:256],
            'acks': hello.acks, 'hears_goodbye': hello.hears_goodbye,
            'speaks_commands': hello.speaks_commands, **inventory}


def commands_of(declared: Declared) -> dict[str, Any]:
    """Return the commands that a device declared, and the names that an old SDK told."""
    try:
        legacy: list[Any] = encoding.loads(encoding.dumps(list(declared.legacy)))
    except (TypeError, ValueError):
        legacy = []
    return {'commands': [command.body for command in declared.commands.values()],
            'legacy': legacy}


def row_of(hello: DeviceHello, declared: Declared, now_ms: int) -> DeviceRow:
    """Return what is kept of a device, for the time when it is away."""
    return DeviceRow(now_ms, introduction(hello), commands_of(declared))


def camera_ids(hello: DeviceHello) -> list[str]:
    """Return the cameras of an agent's inventory (section 11.2)."""
    cameras = hello.body.get('cameras')
    if not isinstance(cameras, list):
        return []
    return [camera['camera_id'] for camera in cameras
            if isinstance(camera, dict) and isinstance(camera.get('camera_id'), str)]

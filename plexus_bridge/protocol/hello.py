# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a device says of itself in `device_auth`, the first message of its socket."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field
from typing import Any

from plexus_bridge.points import check_source_id


@dataclass(frozen=True)
class DeviceHello:
    """A device's introduction (protocol sections 6.2 and 11.2); `body` is all that it sent."""

    api_key: str
    device_token: str
    source_id: str
    platform: str = ''
    agent_version: str = ''
    hears_goodbye: bool = False
    acks: bool = False
    body: dict[str, Any] = field(default_factory=dict)


def read_hello(body: dict[str, Any]) -> DeviceHello:
    """Read a `device_auth` message; PointError if its source_id is none."""

    def text(key: str) -> str:
        value = body.get(key, '')
        return value if isinstance(value, str) else ''

    return DeviceHello(
        api_key=text('api_key'), device_token=text('device_token'),
        source_id=check_source_id(body.get('source_id')), platform=text('platform'),
        agent_version=text('agent_version'), hears_goodbye=body.get('hears_goodbye') is True,
        acks=body.get('acks') is True, body=body)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a device says of itself in the first message of its socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from plexus_bridge.errors import RemoteProtocolError
from plexus_bridge.points import check_source_id
from plexus_bridge.protocol.declarations import Declaration
from plexus_bridge.protocol.declarations import read_declaration

# The oldest agents bring their key in headers and begin with a handshake (section 2.2).
FIRST_MESSAGES = ('device_auth', 'handshake')
MAX_DECLARATIONS = 256
# What agents tell of their hardware and their machine (section 11.2).
INVENTORY = ('sensors', 'cameras', 'can', 'mavlink', 'source_name', 'hostname', 'ip_addresses',
             'os_detail', 'python_version')


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

    @property
    def speaks_commands(self) -> bool:
        """Whether the device knows the commands protocol v1 (section 8)."""
        protocol = self.body.get('protocol')
        return type(protocol) is int and protocol >= 1

    def inventory(self) -> dict[str, Any]:
        """Return what an agent told of its sensors, cameras and machine."""
        return {key: self.body[key] for key in INVENTORY if self.body.get(key) is not None}

    def declared(self) -> Declared:
        """Return the commands in the introduction, those that cannot be read apart."""
        raw = self.body.get('commands')
        if raw is None:
            return Declared()
        if not isinstance(raw, list):
            return Declared(problems=('commands: expected a list',))
        if not self.speaks_commands:
            # SDKs before 0.12 told names only (section 9); these are kept for the list.
            return Declared(legacy=tuple(one for one in raw[:MAX_DECLARATIONS] if _is_legacy(one)))
        commands: dict[str, Declaration] = {}
        problems = []
        for index, one in enumerate(raw[:MAX_DECLARATIONS]):
            try:
                declaration = read_declaration(one)
            except RemoteProtocolError as error:
                problems.append(f'commands[{index}]: {error}')
            else:
                commands[declaration.name] = declaration
        if len(raw) > MAX_DECLARATIONS:
            problems.append(f'commands: saw {len(raw)}, took the first {MAX_DECLARATIONS}')
        return Declared(commands, tuple(problems))


@dataclass(frozen=True)
class Declared:
    """The commands that a device has: by declaration, or as a list of names from old SDKs."""

    commands: Mapping[str, Declaration] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    legacy: tuple[Mapping[str, Any], ...] = ()


def read_hello(body: dict[str, Any], headers: Mapping[str, str] | None = None) -> DeviceHello:
    """
    Read a `device_auth` or `handshake` message; PointError if its source_id is none.

    `headers` are those of the upgrade in lower case: what the message lacks is taken from there.
    """
    given = headers or {}

    def text(key: str, header: str) -> str:
        value = body.get(key)
        return value if isinstance(value, str) else given.get(header, '')

    source_id = body.get('source_id')
    if source_id is None:
        source_id = body.get('device_id') or given.get('x-device-id')
    return DeviceHello(
        api_key=text('api_key', 'x-api-key'), device_token=text('device_token', ''),
        source_id=check_source_id(source_id), platform=text('platform', 'x-platform'),
        agent_version=text('agent_version', ''), hears_goodbye=body.get('hears_goodbye') is True,
        acks=body.get('acks') is True, body=body)


def _is_legacy(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get('name'), str)

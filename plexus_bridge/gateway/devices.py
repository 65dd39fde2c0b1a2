# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Which devices are connected at present: one socket for each source, the newest wins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Protocol

from plexus_bridge.protocol.hello import Declared


class Connection(Protocol):
    """A device's open socket."""

    @property
    def declared(self) -> Declared:
        """The commands that the device may be sent."""

    @property
    def has_room(self) -> bool:
        """Whether the device reads what it is sent; where it does not, nothing is added."""

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; ignored once the connection is over."""

    def describe(self) -> dict[str, Any]:
        """Return what is known of the device and its connection, for people to read."""

    def displace(self) -> None:
        """Drop the connection without a word: another one took its place (section 3)."""

    async def say_goodbye(self, reason: str) -> None:
        """Answer what came, close with 1001 and return when that is done (section 6.8)."""


class Devices:
    """The open sockets by source; used on the event loop alone."""

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}

    def __contains__(self, source_id: object) -> bool:
        return source_id in self._connections

    def __iter__(self) -> Iterator[str]:
        return iter(self._connections)

    def __len__(self) -> int:
        return len(self._connections)

    def find(self, source_id: str) -> Connection | None:
        """Return the connection of a source, None if it has none."""
        return self._connections.get(source_id)

    def enter(self, source_id: str, connection: Connection) -> None:
        """Note a device that was let in, displacing an older socket of the same source."""
        older = self._connections.get(source_id)
        self._connections[source_id] = connection
        if older is not None:
            older.displace()

    def leave(self, source_id: str, connection: Connection) -> bool:
        """Note that a socket is gone; False if a newer one of the same source stays."""
        if self._connections.get(source_id) is not connection:
            return False
        del self._connections[source_id]
        return True

    async def say_goodbye(self, reason: str) -> None:
        """Close every socket properly, all at once."""
        await asyncio.gather(
            *(connection.say_goodbye(reason) for connection in self._connections.values()))

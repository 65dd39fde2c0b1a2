# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Which devices are connected at present: one socket for each source, the newest wins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Protocol


class Connection(Protocol):
    """A device's open socket."""

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

    def enter(self, source_id: str, connection: Connection) -> None:
        """Note a device that was let in, displacing an older socket of the same source."""
        older = self._connections.get(source_id)
        self._connections[source_id] = connection
        if older is not None:
            older.displace()

    def leave(self, source_id: str, connection: Connection) -> None:
        """Note that a socket is gone; a newer one of the same source stays."""
        if self._connections.get(source_id) is connection:
            del self._connections[source_id]

    async def say_goodbye(self, reason: str) -> None:
        """Close every socket properly, all at once."""
        await asyncio.gather(
            *(connection.say_goodbye(reason) for connection in self._connections.values()))

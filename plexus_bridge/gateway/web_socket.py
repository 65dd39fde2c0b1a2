# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The WebSocket implementation below the device socket: uvicorn's on sans-I/O websockets.

It unmasks in C, stops reading from the network while the application is busy, and pings. What it
does not hand to an application are pongs, which tell that a silent device is alive, and the end
of the connection after our own close frame; a socket can have itself told of both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

_ON_PONG = 'plexus_bridge.on_pong'
_ON_LOST = 'plexus_bridge.on_lost'


class DeviceWebSocketProtocol(WebSocketsSansIOProtocol):
    """As uvicorn's, with the two callbacks of `watch`."""

    def handle_pong(self, event: Frame) -> None:
        """Tell of an answer to a ping."""
        super().handle_pong(event)
        self._tell(_ON_PONG)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of the end of the TCP connection."""
        super().connection_lost(exc)
        self._tell(_ON_LOST)

    def _tell(self, name: str) -> None:
        # Absent before the handshake, and where nobody watches.
        scope: Any = getattr(self, 'scope', None)
        callback = scope['state'].get(name) if scope else None
        if callback is not None:
            callback()


def watch(
        websocket: WebSocket, *, on_pong: Callable[[], None], on_lost: Callable[[], None]) -> None:
    """Have the callbacks called; does nothing above another WebSocket implementation."""
    state = websocket.scope.setdefault('state', {})
    state[_ON_PONG] = on_pong
    state[_ON_LOST] = on_lost

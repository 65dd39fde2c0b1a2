# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The WebSocket implementation below the device socket: uvicorn's on sans-I/O websockets.

It unmasks in C, stops reading from the network while the application is busy, and pings. What it
does not hand to an application are pongs, which tell that a silent device is alive, and the end
of the connection after our own close frame; a socket can have itself told of both. Text that is
not UTF-8 would end the connection with a traceback; here it reaches the application, whose answer
to it is the protocol's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

_ON_PONG = 'plexus_bridge.on_pong'
_ON_LOST = 'plexus_bridge.on_lost'

# A little more than uvicorn itself waits for the answer to a close frame.
CUT_TIMEOUT_S = 11.0
# Of who has said nothing yet: room for 256 declared commands, and not for those who fill the
# memory with first messages that never end.
MAX_FIRST_BYTES = 512 * 1024


class DeviceWebSocketProtocol(WebSocketsSansIOProtocol):
    """As uvicorn's, with the two callbacks of `watch`."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.conn.max_message_size = MAX_FIRST_BYTES

    def handle_pong(self, event: Frame) -> None:
        """Tell of an answer to a ping."""
        super().handle_pong(event)
        self._tell(_ON_PONG)

    def send_receive_event_to_app(self) -> None:
        """Hand on a whole message; of text that is not UTF-8 every byte can be had back."""
        self.conn.max_message_size = self.config.ws_max_size
        if self.curr_msg_data_type != 'text' or self.close_sent:
            super().send_receive_event_to_app()
            return
        text = b''.join(self.frames).decode(errors='surrogateescape')
        self.frames = []
        self.queue.put_nowait({'type': 'websocket.receive', 'text': text})
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    async def run_asgi(self) -> None:
        """Run the application, and cut off a peer that then does not take what waits for it."""
        await super().run_asgi()
        # Closing alone would wait for ever until the peer has read everything.
        self.loop.call_later(CUT_TIMEOUT_S, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """Cut off a peer that answers no ping, with whatever it has not read."""
        super().keepalive_timeout()
        self.transport.abort()

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


def payload_of(text: str) -> bytes:
    """Return the bytes of a text message as they came, even where they were not UTF-8."""
    return text.encode(errors='surrogateescape')

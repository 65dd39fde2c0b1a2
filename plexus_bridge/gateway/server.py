# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How uvicorn serves the gateway: signals, limits and the goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import logging
import signal
import socket

import uvicorn

from plexus_bridge.gateway.app import create_app
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.http_connection import ImpatientHttpProtocol
from plexus_bridge.gateway.web_socket import DeviceWebSocketProtocol
from plexus_bridge.points import MAX_MESSAGE_BYTES

BACKLOG = 1024
PING_INTERVAL_S = 30.0
# Who drives by HTTP may pause for a moment without a new connection.
KEEP_ALIVE_S = 30


def serve(gateway: Gateway, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve on a bound socket until SIGINT or SIGTERM; closes the store."""
    GatewayServer(server_config(gateway), gateway, on_ready).run(sockets=[listener])


def server_config(gateway: Gateway) -> uvicorn.Config:
    """Return how uvicorn serves the gateway's application."""
    return uvicorn.Config(
        create_app(gateway), log_config=None, log_level=logging.WARNING, access_log=False,
        server_header=False, date_header=False, lifespan='on', backlog=BACKLOG,
        # The session refuses what is too large, and waits for its close frame to be heard; this
        # second limit cuts the connection at once.
        http=ImpatientHttpProtocol, ws=DeviceWebSocketProtocol, ws_max_size=2 * MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False, ws_ping_interval=PING_INTERVAL_S,
        ws_ping_timeout=PING_INTERVAL_S, timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=10)


class GatewayServer(uvicorn.Server):
    """Uvicorn, but waiting for signals instead of polling, and polite at the end."""

    def __init__(
            self, config: uvicorn.Config, gateway: Gateway, on_ready: Callable[[], None]):
        super().__init__(config)
        self._gateway = gateway
        self._on_ready = on_ready
        self._stopping = asyncio.Event()
        self.loop: asyncio.AbstractEventLoop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; unlike uvicorn's own, exit as after any other stop."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """End `serve`; called on the loop."""
        self.should_exit = True
        self._stopping.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, take connections, and say so."""
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._on_ready()

    async def main_loop(self) -> None:
        """Wait until told to stop."""
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connection, say goodbye to every device, then close (section 6.12)."""
        for server in self.servers:
            server.close()
        await self._gateway.say_goodbye('gateway is shutting down')
        await super().shutdown(sockets)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the WebSocket implementation tells beyond messages."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send
from starlette.websockets import WebSocket
import uvicorn
import websocket

from plexus_bridge.gateway.web_socket import DeviceWebSocketProtocol
from plexus_bridge.gateway.web_socket import watch


def serve_one(port: int, seconds: float = 20.0) -> list[str]:
    """Return what is told about a client that answers two pings and leaves."""
    client = websocket.create_connection(f'ws://127.0.0.1:{port}', timeout=seconds)
    for _ in range(2):
        opcode, _ = client.recv_data(control_frame=True)  # answers pings on the way
        assert opcode == websocket.ABNF.OPCODE_PING
    client.shutdown()
    return []


def test_pongs_and_the_end_are_told():
    told: list[str] = []

    async def main() -> None:
        lost = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            connection = WebSocket(scope, receive, send)
            watch(connection, on_pong=lambda: told.append('pong'), on_lost=lost.set)
            await connection.accept()
            assert (await connection.receive())['type'] == 'websocket.disconnect'

        with socket.create_server(('127.0.0.1', 0)) as listener:
            server = uvicorn.Server(uvicorn.Config(
                app, ws=DeviceWebSocketProtocol, ws_ping_interval=0.02, lifespan='off',
                log_config=None))
            server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
            serving = asyncio.ensure_future(server.serve([listener]))
            await asyncio.to_thread(serve_one, listener.getsockname()[1])
            await asyncio.wait_for(lost.wait(), 20)
            server.should_exit = True
            await serving

    asyncio.run(main())
    assert told.count('pong') >= 2

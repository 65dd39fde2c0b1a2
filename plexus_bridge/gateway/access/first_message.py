# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How people's sockets begin: with a key, within ten seconds (protocol section 13)."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.websockets import WebSocket
from starlette.websockets import WebSocketDisconnect

from plexus_bridge import encoding
from plexus_bridge.errors import AccessError
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.web_socket import payload_of

AUTH_TIMEOUT_S = 10.0
MAX_MESSAGE_BYTES = 128 * 1024


async def read_auth(
        websocket: WebSocket, scope: str, source_id: str | None = None,
        ) -> tuple[Key, dict[str, Any]]:
    """
    Return the key of the first message, ``{"type": "auth", "api_key": …}``, and the message.

    AccessError for any other one, none in time, or a key that may not; WebSocketDisconnect.
    """
    try:
        body = await asyncio.wait_for(read_object(websocket), AUTH_TIMEOUT_S)
    except (ValueError, asyncio.TimeoutError):
        raise AccessError(401, 'expected {"type": "auth", "api_key": …} first') from None
    key = body.get('api_key') if body.get('type') == 'auth' else None
    return await gateway_of(websocket).admit(
        key if isinstance(key, str) else None, scope, source_id), body


async def read_object(websocket: WebSocket) -> dict[str, Any]:
    """Return the next message; ValueError for what is no JSON object of a bounded size."""
    message = await websocket.receive()
    if message['type'] == 'websocket.disconnect':
        raise WebSocketDisconnect(message.get('code') or 1005)
    payload = payload_of(message.get('text') or '')
    if len(payload) > MAX_MESSAGE_BYTES:
        raise ValueError(f'saw {len(payload)} bytes, expected at most {MAX_MESSAGE_BYTES}')
    body = encoding.loads(payload)
    if not isinstance(body, dict):
        raise ValueError(f'saw {type(body).__name__}, expected a JSON object')
    return body

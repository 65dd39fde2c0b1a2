# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Lets scripts of web pages from anywhere in (protocol sections 5.2 and 12).

Nothing is given away by that: every request needs a key, and no cookie is ever read.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

INGEST_PATHS = ('/ingest', '/api/ingest')

_INGEST_METHODS = 'POST, OPTIONS'
_OTHER_METHODS = 'GET, POST, PUT, PATCH, DELETE, OPTIONS'


class OpenToAllOrigins:
    """ASGI middleware: permission on every answer, and 204 for a browser that asks first."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; sockets pass through, since browsers do not ask for those."""
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        methods = _INGEST_METHODS if scope['path'] in INGEST_PATHS else _OTHER_METHODS

        async def send_with_permission(message: Message) -> None:
            if message['type'] == 'http.response.start':
                headers = MutableHeaders(scope=message)
                headers['Access-Control-Allow-Origin'] = '*'
                headers['Access-Control-Allow-Methods'] = methods
                headers['Access-Control-Allow-Headers'] = 'Content-Type, x-api-key'
                headers['Access-Control-Max-Age'] = '86400'
            await send(message)

        if scope['method'] == 'OPTIONS':
            await Response(status_code=204)(scope, receive, send_with_permission)
        else:
            await self._app(scope, receive, send_with_permission)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``/v1/devices``, the former name of ``/v1/sources``: 308 keeps method and body (section 12)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi import Request
from starlette.responses import Response

router = APIRouter(default_response_class=Response)


async def redirect(request: Request) -> Response:
    """Send the client to the same path below ``/v1/sources``."""
    # As it was sent, so that what is escaped stays so.
    path = request.scope['raw_path'].decode('latin-1').partition('?')[0]
    query = request.scope['query_string'].decode('latin-1')
    target = f'/v1/sources{path.removeprefix("/v1/devices")}' + (f'?{query}' if query else '')
    return Response(status_code=308, headers={'Location': target})


for _path in ('/v1/devices', '/v1/devices/{rest:path}'):
    router.add_api_route(
        _path, redirect, methods=['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
        include_in_schema=False)

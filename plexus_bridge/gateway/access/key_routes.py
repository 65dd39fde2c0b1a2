# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``/api/keys``: keys made, listed and revoked over HTTP (routes of our own); scope ``*``."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi import Request
from fastapi import Security
from starlette.responses import Response

from plexus_bridge.errors import RequestError
from plexus_bridge.gateway.access import keys
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.access.authorise import authorise
from plexus_bridge.gateway.access.key_requests import read_key_request
from plexus_bridge.gateway.access.listing import list_keys
from plexus_bridge.gateway.documented import documented
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.fields import read_fields
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.instants import wall_ms

router = APIRouter(
    prefix='/api/keys', dependencies=[Security(API_KEY)], default_response_class=Response)


@router.post('', status_code=201, responses=documented(400, 413))
async def create_key(request: Request) -> Response:
    """Make a key; `key` of the answer is shown only now."""
    await authorise(request, '*')
    gateway, now_ms = gateway_of(request), wall_ms()
    wanted = read_key_request(await read_fields(request), now_ms)
    key = await gateway.store.execute(keys.create_key, wanted, now_ms)
    await gateway.renew_keys()
    found = gateway.keys.admit(key, None)
    return answer({'key': key, 'id': found.id, 'prefix': found.prefix, 'name': found.name,
                   'scopes': sorted(found.scopes)}, 201)


@router.get('', responses=documented())
async def show_keys(request: Request) -> Response:
    """List every key that there is or was, without the keys themselves."""
    await authorise(request, '*')
    listed = await gateway_of(request).store.read(list_keys)
    now_ms = wall_ms()
    return answer({'keys': [each.told(now_ms) for each in listed]})


@router.delete('/{number}', status_code=204, responses=documented(404))
async def revoke_key(request: Request, number: str) -> Response:
    """Revoke a key by its `id`; its sockets are dropped at once."""
    await authorise(request, '*')
    gateway = gateway_of(request)
    known = number.isascii() and number.isdigit() and len(number) < 19
    if not known or not await gateway.store.execute(keys.revoke_key, int(number), wall_ms()):
        raise RequestError(404, 'no such key, or it was revoked before')
    await gateway.renew_keys()
    return Response(status_code=204)

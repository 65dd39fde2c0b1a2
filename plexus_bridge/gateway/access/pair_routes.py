# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``/api/sources/pair`` and ``/api/sources/register`` (protocol section 11.7)."""

from __future__ import annotations

import re
import secrets
import sqlite3
import time
from typing import Any

from fastapi import APIRouter
from fastapi import Request
from fastapi import Security
from starlette.responses import Response

from plexus_bridge.errors import RequestError
from plexus_bridge.gateway import sources
from plexus_bridge.gateway.access import pairing
from plexus_bridge.gateway.access.authorise import address_of
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.access.authorise import authorise
from plexus_bridge.gateway.access.key_requests import MAX_NAME
from plexus_bridge.gateway.access.key_requests import read_key_request
from plexus_bridge.gateway.access.keys import create_key
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.access.keys import KEY_PREFIX
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import ORGANISATION
from plexus_bridge.gateway.access.keys import TOKEN_PREFIX
from plexus_bridge.gateway.access.pairing import Pairing
from plexus_bridge.gateway.documented import documented
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.fields import read_fields
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.instants import write_instant

MAX_SLUG = 63

router = APIRouter(prefix='/api/sources', default_response_class=Response)


@router.post('/pair', status_code=201, dependencies=[Security(API_KEY)],
             responses=documented(400, 413, 429))
async def begin_pairing(request: Request) -> Response:
    """
    Make a pairing code for a key as `read_key_request` reads it; needs the scope ``*``.

    Unless `receive_commands` is false, the device that is paired may declare commands.
    """
    await authorise(request, '*')
    now_ms = wall_ms()
    wanted = read_key_request(await read_fields(request), now_ms, receive_commands=True)
    begun = await gateway_of(request).store.execute(pairing.begin, wanted, now_ms)
    return answer(_told(begun, now_ms), 201)


@router.get('/pair', dependencies=[Security(API_KEY)], responses=documented(404))
async def show_pairing(request: Request, code: str = '') -> Response:
    """Tell whether a code was used; needs the scope ``*``."""
    await authorise(request, '*')
    found = await gateway_of(request).store.read(pairing.find, pairing.read_code(code))
    if found is None:
        raise RequestError(404, 'no such pairing code')
    return answer(_told(found, wall_ms()))


@router.post('/pair/complete', responses=documented(400, 404, 410, 413, 429))
async def complete_pairing(request: Request) -> Response:
    """
    Give the device token that `code` stands for or, with `credential` "api_key", the key.

    No key is needed; wrong codes are taken ten times a minute from each address, and a hundred
    times in all.
    """
    gateway, address = gateway_of(request), address_of(request)
    gateway.wrong_codes.take(address, time.monotonic())
    gateway.all_wrong_codes.take('', time.monotonic())
    fields = await read_fields(request)
    code = pairing.read_code(fields.text('code', 40))
    kind = fields.choice('credential', ('device_token', 'api_key'), default='device_token')
    prefix = TOKEN_PREFIX if kind == 'device_token' else KEY_PREFIX
    key, found = await gateway.store.execute(pairing.complete, code, prefix, wall_ms())
    gateway.wrong_codes.give_back(address)
    gateway.all_wrong_codes.give_back('')
    await gateway.renew_keys()
    body = {kind: key, 'source_id': found.wanted.source_id,
            'source_name': found.wanted.name or None, 'org_id': ORGANISATION,
            'endpoint': str(request.base_url).rstrip('/')}
    return answer({name: value for name, value in body.items() if value is not None})


@router.post('/register', dependencies=[Security(API_KEY)], responses=documented(400, 413))
async def register_device(request: Request) -> Response:
    """Give a device with a key a token and a source of its own, by its `name` or `hostname`."""
    key = await authorise(request, 'write')
    fields = await read_fields(request)
    name = fields.text('name', MAX_NAME, default='-')
    hostname = fields.text('hostname', MAX_NAME, default='-')
    slug = key.source_id or slug_of(name) or slug_of(hostname) \
        or f'source-{secrets.token_hex(4)}'
    gateway = gateway_of(request)
    token, existing = await gateway.store.execute(_register, key, slug, wall_ms())
    await gateway.renew_keys()
    return answer({'device_token': token, 'source_id': slug, 'org_id': ORGANISATION,
                   'existing': existing})


def slug_of(name: str) -> str:
    """Return a name as a slug (section 3), nothing if no letter or digit of it can be one."""
    return re.sub('[^a-z0-9._-]+', '-', name.lower())[:MAX_SLUG].strip('-._')


def _register(
        connection: sqlite3.Connection, key: Key, slug: str, now_ms: int) -> tuple[str, bool]:
    existing = sources.exists(connection, slug)
    sources.ensure(connection, slug)
    # The token can do nothing more, and lasts no longer, than the key that asked for it.
    return create_key(connection, KeyRequest(
        key.name, (key.scopes - {'*'}) | {'write'}, key.receive_commands, slug, key.expires_ms,
        TOKEN_PREFIX, key.id), now_ms), existing


def _told(found: Pairing, now_ms: int) -> dict[str, Any]:
    return {'code': found.code, 'status': found.status(now_ms), 'name': found.wanted.name,
            'source_id': found.wanted.source_id, 'expires_at': write_instant(found.expires_ms),
            'expires_in': max(0, (found.expires_ms - now_ms) // 1000)}

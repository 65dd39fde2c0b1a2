# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``/api/auth``: is this key good, and the device-code flow (protocol sections 2.4 and 11.7)."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter
from fastapi import Request
from fastapi import Security
from starlette.responses import Response

from plexus_bridge.errors import AccessError
from plexus_bridge.gateway.access import device_codes
from plexus_bridge.gateway.access.authorise import address_of
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.access.authorise import authorise
from plexus_bridge.gateway.access.authorise import KEY_HEADER
from plexus_bridge.gateway.access.key_requests import MAX_NAME
from plexus_bridge.gateway.access.key_requests import read_key_request
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.access.keys import ORGANISATION
from plexus_bridge.gateway.access.keys import TOKEN_PREFIX
from plexus_bridge.gateway.access.page import PAGE_PATH
from plexus_bridge.gateway.documented import documented
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.fields import read_fields
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.instants import wall_ms

router = APIRouter(prefix='/api/auth', default_response_class=Response)


@router.get('/verify-key', dependencies=[Security(API_KEY)], responses=documented(429))
async def verify_key(request: Request) -> Response:
    """Tell whose the key is and what it may do; 30 times a minute for each address."""
    gateway_of(request).checks.take(address_of(request), time.monotonic())
    return answer(_told(await authorise(request, None)))


@router.post(
    '/verify-device', dependencies=[Security(API_KEY)], responses=documented(400, 413, 429))
async def verify_device(request: Request) -> Response:
    """Do as `verify-key` for a device token, given as `device_token` or in the header."""
    gateway = gateway_of(request)
    gateway.checks.take(address_of(request), time.monotonic())
    fields = await read_fields(request)
    token = fields.text('device_token', 256, default=request.headers.get(KEY_HEADER, ''))
    key = await gateway.admit(token, None)
    if not key.prefix.startswith(TOKEN_PREFIX):
        raise AccessError(401, 'invalid device token')
    return answer({'valid': True, 'source_id': key.source_id, **_told(key)})


@router.post('/device', responses=documented(400, 413, 429))
async def ask_to_be_let_in(request: Request) -> Response:
    """Begin the device-code flow: the device shows `user_code` and polls with `device_code`."""
    asked = await _begin(request)
    page = f'{str(request.base_url).rstrip("/")}{PAGE_PATH}'
    return answer({
        'device_code': asked.device_code, 'user_code': asked.user_code,
        'verification_uri': page,
        'verification_uri_complete': f'{page}?user_code={asked.user_code}',
        'interval': device_codes.INTERVAL_S, 'expires_in': device_codes.VALID_S})


@router.get('/device', responses=documented(202, 400))
async def poll(request: Request, device_code: str = '') -> Response:
    """Tell what was decided: 200 with the key, once; 202 not yet; 403 denied; 400 expired."""
    status, key = await _fetch(request, device_code)
    if status == device_codes.APPROVED:
        limited = gateway_of(request).keys.admit(key, None).source_id
        return answer({'api_key': key, 'org_id': ORGANISATION,
                       **({'source_id': limited} if limited else {})})
    if status == device_codes.PENDING:
        return answer({'status': 'authorization_pending'}, 202)
    if status == device_codes.DENIED:
        return answer({'error': 'access_denied'}, 403)
    return answer({'error': 'expired_token'}, 400)


@router.put('/device', dependencies=[Security(API_KEY)], responses=documented(400, 404, 413))
async def decide(request: Request) -> Response:
    """Approve or deny, by `action`, the device that shows `user_code`; needs the scope ``*``."""
    await authorise(request, '*')
    fields = await read_fields(request)
    action = fields.choice('action', ('approve', 'deny'), default='approve')
    now_ms = wall_ms()
    wanted = read_key_request(
        fields, now_ms, receive_commands=True) if action == 'approve' else None
    name = await gateway_of(request).store.execute(
        device_codes.decide, fields.text('user_code', 40), wanted, now_ms)
    return answer({'status': 'approved' if wanted else 'denied', 'name': name})


@router.post('/claim', status_code=201, responses=documented(400, 413, 429))
async def begin_claim(request: Request) -> Response:
    """Begin the same flow as ``POST /api/auth/device``, in the words that coding agents know."""
    asked = await _begin(request)
    page = f'{str(request.base_url).rstrip("/")}{PAGE_PATH}'
    return answer({
        'device_code': asked.device_code, 'user_code': asked.user_code,
        'verification_url': f'{page}?user_code={asked.user_code}',
        'expires_in': device_codes.VALID_S, 'interval': device_codes.INTERVAL_S}, 201)


@router.get('/claim/{device_code}', responses=documented())
async def poll_claim(request: Request, device_code: str) -> Response:
    """Tell what was decided as `status`, and once the key."""
    status, key = await _fetch(request, device_code)
    body: dict[str, Any] = {'status': status}
    if key:
        body.update(api_key=key, org_id=ORGANISATION)
    return answer(body)


async def _begin(request: Request) -> device_codes.Asked:
    gateway = gateway_of(request)
    gateway.checks.take(address_of(request), time.monotonic())
    name = (await read_fields(request)).label('name', MAX_NAME)
    return await gateway.store.execute(device_codes.begin, name, wall_ms())


async def _fetch(request: Request, device_code: str) -> tuple[str, str]:
    gateway, now_ms = gateway_of(request), wall_ms()
    # Most answers are "not yet", and that is to keep nobody from storing points.
    status = await gateway.store.read(device_codes.status_of, device_code, now_ms)
    if status != device_codes.APPROVED:
        return status, ''
    key = await gateway.store.execute(device_codes.take, device_code, now_ms)
    if key is None:  # fetched by a second request at the same time
        return device_codes.EXPIRED, ''
    await gateway.renew_keys()
    return status, key


def _told(key: Key) -> dict[str, Any]:
    return {'org_id': ORGANISATION, 'scopes': sorted(key.scopes)}

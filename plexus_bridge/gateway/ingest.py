# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
``POST /ingest`` and ``POST /api/ingest`` (protocol section 5).

Never a redirect, since SDKs take 307 and 308 for success; never a 200 before the commit. The
checks come in the order of section 5.4.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any
import zlib

from fastapi import APIRouter
from fastapi import Request
from fastapi import Security
from starlette.responses import Response

from plexus_bridge import encoding
from plexus_bridge.errors import AccessError
from plexus_bridge.errors import PointError
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.cors import INGEST_PATHS
from plexus_bridge.gateway.documented import documented
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.gateway import wall_ms
from plexus_bridge.points import check_source_id
from plexus_bridge.points import MAX_POINTS_PER_MESSAGE
from plexus_bridge.points import MAX_REQUEST_BYTES
from plexus_bridge.points import read_point
from plexus_bridge.points import ReceivedPoint

router = APIRouter()

# A body that will be refused is read on to here, because a client that is still sending when the
# connection is reset never sees the answer.
MAX_DISCARDED_BYTES = 4 * MAX_REQUEST_BYTES
# 5 MiB within this time are slower than the slowest links that send as much.
BODY_TIMEOUT_S = 60.0
# Clients send one; a body of a million empty ones would keep us busy for long.
MAX_GZIP_MEMBERS = 64

PointsBySource = dict[str, list[ReceivedPoint]]


class _Refusal(Exception):  # noqa: N818 - an answer rather than an error of ours
    """The answer to a request that is not accepted."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


async def ingest(request: Request) -> Response:
    """Store a request's points and answer when they are safe on the disk."""
    gateway = gateway_of(request)
    try:
        try:
            key = await check_entry(gateway, request.headers.get('x-api-key'))
        except _Refusal:
            await read_in_time(request, keep=False)
            raise
        await gateway.store.room()
        body = unpack(await read_in_time(request), request.headers.get('content-encoding', ''))
        peer = request.client.host if request.client else None
        return await store_points(gateway, key, body, peer)
    except _Refusal as refusal:
        gateway.store.counters.add('http_refused')
        return answer(refusal.status, {'error': str(refusal)})


for _path in INGEST_PATHS:
    router.add_api_route(
        _path, ingest, methods=['POST'], response_class=Response, tags=['ingest'],
        dependencies=[Security(API_KEY)], responses=documented(400, 408, 413),
        openapi_extra={'requestBody': {'required': True, 'content': {'application/json': {
            'schema': {'type': 'object', 'required': ['points'], 'properties': {
                'source_id': {'type': 'string'},
                'points': {'type': 'array', 'items': {'type': 'object'}}}}}}}})


def answer(status: int, body: dict[str, Any]) -> Response:
    """Return a JSON answer."""
    return Response(encoding.dumps(body), status_code=status, media_type='application/json')


async def check_entry(gateway: Gateway, key: str | None) -> Key:
    """Return the key; refuse who may not write, and everybody while nothing can be stored."""
    failure = gateway.store.failure
    if failure is not None:
        raise _Refusal(503, f'storage unavailable: {failure}')
    try:
        return await gateway.admit(key, 'write')
    except AccessError as error:
        raise _Refusal(error.status, str(error)) from None


async def read_in_time(request: Request, *, keep: bool = True) -> bytes | None:
    """Do as `read_body`; 408 for who takes for ever."""
    try:
        return await asyncio.wait_for(read_body(request, keep=keep), BODY_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise _Refusal(408, f'body: did not come within {BODY_TIMEOUT_S:.0f} s') from None


async def read_body(request: Request, *, keep: bool = True) -> bytes | None:
    """Return the body as it came, None if it is too large; bounded in memory."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_DISCARDED_BYTES:
            break
        if keep and size <= MAX_REQUEST_BYTES:
            chunks.append(chunk)
    return b''.join(chunks) if size <= MAX_REQUEST_BYTES else None


def unpack(body: bytes | None, coding: str) -> bytes:
    """Return the plain body; both it and what came may have MAX_REQUEST_BYTES at most."""
    if body is not None and coding.strip().lower() == 'gzip':
        body = _gunzip(body)
    elif coding.strip().lower() not in ('', 'identity', 'gzip'):
        raise _Refusal(400, f'Content-Encoding: saw {coding[:40]!r}, expected gzip or none')
    if body is None:
        raise _Refusal(413, f'body: expected at most {MAX_REQUEST_BYTES} bytes')
    return body


def _gunzip(body: bytes) -> bytes | None:
    """Return the unpacked bytes, None if they are too many: a bomb is not unpacked further."""
    plain = b''
    for _ in range(MAX_GZIP_MEMBERS):
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            plain += stream.decompress(body, MAX_REQUEST_BYTES + 1 - len(plain))
        except zlib.error as error:
            raise _Refusal(400, f'body: is not valid gzip: {error}') from None
        if len(plain) > MAX_REQUEST_BYTES:
            return None
        if not stream.eof:
            raise _Refusal(400, 'body: is not valid gzip: it ends too early')
        body = stream.unused_data
        if not body:
            return plain
    raise _Refusal(400, f'body: saw more than {MAX_GZIP_MEMBERS} gzip members')


async def store_points(gateway: Gateway, key: Key, body: bytes, peer: str | None) -> Response:
    """Check and store the points of a JSON body; sources beyond a limit are dropped whole."""
    received_ms = wall_ms()
    try:
        message = encoding.loads(body)
    except ValueError as error:
        raise _Refusal(400, f'invalid JSON: {error}') from None
    try:
        by_source = points_by_source(message, received_ms)
    except PointError as error:
        raise _Refusal(400, str(error)) from None
    if not all(map(key.may_act_for, by_source)):
        raise _Refusal(403, 'API key is limited to another device')
    welcome = metered(gateway, by_source, peer)
    asked = sum(map(len, by_source.values()))
    count = sum(map(len, welcome.values()))
    gateway.store.counters.add('http_requests')
    gateway.store.counters.add('http_points', count)
    if count:
        try:
            await gateway.store.write(tuple(welcome.items()), received_ms)
        except StoreError as error:
            raise _Refusal(503, str(error)) from None
    result: dict[str, Any] = {'success': True, 'count': count, 'dropped': asked - count}
    if len(by_source) == 1:
        result['source_id'] = next(iter(by_source))
    return answer(200, result)


def metered(gateway: Gateway, by_source: PointsBySource, peer: str | None) -> PointsBySource:
    """Return the groups that are within the limits of their sources, and of their number."""
    now = time.monotonic()
    welcome: PointsBySource = {}
    for source_id, points in by_source.items():
        refusal = gateway.ceilings.refusal(source_id, peer, now)
        if refusal is None:
            welcome[source_id] = points
        else:
            gateway.store.counters.drop(refusal.code.lower(), len(points))
    return welcome


def points_by_source(message: Any, now_ms: int) -> PointsBySource:
    """Check all points of a request; PointError names the first that is wrong (section 5.2)."""
    points = message.get('points') if isinstance(message, dict) else None
    if not isinstance(points, list):
        raise PointError("'points' array is required")
    if len(points) > MAX_POINTS_PER_MESSAGE:
        raise PointError(
            f'points: saw {len(points)}, expected at most {MAX_POINTS_PER_MESSAGE} in one request')
    envelope = message.get('source_id')
    if envelope is not None:
        check_source_id(envelope)
    by_source: PointsBySource = {}
    index = 0
    try:
        for index, raw in enumerate(points):  # noqa: B007 - the except clause names it
            point = read_point(raw, now_ms)
            source_id = raw.get('source_id')
            if source_id is None:
                source_id = envelope
            group = by_source.get(source_id) if isinstance(source_id, str) else None
            if group is None:
                group = by_source[check_source_id(source_id)] = []
            group.append(point)
    except PointError as error:
        raise PointError(f'points[{index}].{error}') from None
    return by_source

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
``POST /ingest`` and ``POST /api/ingest`` (protocol section 5).

Never a redirect, since SDKs take 307 and 308 for success; never a 200 before the commit. The
checks come in the order of section 5.4.
"""

from __future__ import annotations

import time
from typing import Any
import zlib

from fastapi import APIRouter
from fastapi import Request
from fastapi import Security
from starlette.responses import Response

from plexus_bridge import encoding
from plexus_bridge.errors import AccessError
from plexus_bridge.errors import PlexusError
from plexus_bridge.errors import PointError
from plexus_bridge.errors import RequestError
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.cors import INGEST_PATHS
from plexus_bridge.gateway.documented import documented
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.fields import read_bounded
from plexus_bridge.gateway.fields import too_large
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.points import check_source_id
from plexus_bridge.points import MAX_POINTS_PER_MESSAGE
from plexus_bridge.points import MAX_REQUEST_BYTES
from plexus_bridge.points import read_point
from plexus_bridge.points import ReceivedPoint

router = APIRouter()

# Clients send one; a body of a million empty ones would keep us busy for long.
MAX_GZIP_MEMBERS = 64

PointsBySource = dict[str, list[ReceivedPoint]]


async def ingest(request: Request) -> Response:
    """Store a request's points and answer when they are safe on the disk."""
    gateway = gateway_of(request)
    try:
        try:
            key = await check_entry(gateway, request.headers.get('x-api-key'))
        except PlexusError:
            await read_bounded(request, 0, discard=True)
            raise
        await gateway.store.room()
        body = unpack(await read_bounded(request, MAX_REQUEST_BYTES),
                      request.headers.get('content-encoding', ''))
        peer = request.client.host if request.client else None
        return await store_points(gateway, key, body, peer)
    except PlexusError:
        gateway.store.counters.add('http_refused')
        raise


for _path in INGEST_PATHS:
    router.add_api_route(
        _path, ingest, methods=['POST'], response_class=Response, tags=['ingest'],
        dependencies=[Security(API_KEY)], responses=documented(400, 408, 413),
        openapi_extra={'requestBody': {'required': True, 'content': {'application/json': {
            'schema': {'type': 'object', 'required': ['points'], 'properties': {
                'source_id': {'type': 'string'},
                'points': {'type': 'array', 'items': {'type': 'object'}}}}}}}})


async def check_entry(gateway: Gateway, key: str | None) -> Key:
    """Return the key; refuse who may not write, and everybody while nothing can be stored."""
    failure = gateway.store.failure
    if failure is not None:
        raise StoreError(failure)
    return await gateway.admit(key, 'write')


def unpack(body: bytes, coding: str) -> bytes:
    """Return the plain body; it may have MAX_REQUEST_BYTES, too."""
    coding = coding.strip().lower()
    if coding not in ('', 'identity', 'gzip'):
        raise RequestError(400, f'Content-Encoding: saw {coding[:40]!r}, expected gzip or none')
    return _gunzip(body) if coding == 'gzip' else body


def _gunzip(body: bytes) -> bytes:
    """Return the unpacked bytes; of a bomb no more is unpacked than is allowed."""
    plain = b''
    for _ in range(MAX_GZIP_MEMBERS):
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            plain += stream.decompress(body, MAX_REQUEST_BYTES + 1 - len(plain))
        except zlib.error as error:
            raise RequestError(400, f'body: is not valid gzip: {error}') from None
        if len(plain) > MAX_REQUEST_BYTES:
            raise too_large(MAX_REQUEST_BYTES)
        if not stream.eof:
            raise RequestError(400, 'body: is not valid gzip: it ends too early')
        body = stream.unused_data
        if not body:
            return plain
    raise RequestError(400, f'body: saw more than {MAX_GZIP_MEMBERS} gzip members')


async def store_points(gateway: Gateway, key: Key, body: bytes, peer: str | None) -> Response:
    """Check and store the points of a JSON body; sources beyond a limit are dropped whole."""
    received_ms = wall_ms()
    try:
        message = encoding.loads(body)
    except ValueError as error:
        raise RequestError(400, f'invalid JSON: {error}') from None
    try:
        by_source = points_by_source(message, received_ms)
    except PointError as error:
        raise RequestError(400, str(error)) from None
    if not all(map(key.may_act_for, by_source)):
        raise AccessError(403, 'API key is limited to another device')
    welcome = metered(gateway, by_source, peer)
    asked = sum(map(len, by_source.values()))
    count = sum(map(len, welcome.values()))
    gateway.store.counters.add('http_requests')
    gateway.store.counters.add('http_points', count)
    if count:
        await gateway.store.write(tuple(welcome.items()), received_ms)
    result: dict[str, Any] = {'success': True, 'count': count, 'dropped': asked - count}
    if len(by_source) == 1:
        result['source_id'] = next(iter(by_source))
    return answer(result)


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

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``/api/frames``: pictures that agents of old upload (protocol section 10.8), shown and kept."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi import Request
from fastapi import Security
from starlette.responses import Response

from plexus_bridge import encoding
from plexus_bridge.errors import PointError
from plexus_bridge.errors import RequestError
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.access.authorise import authorise
from plexus_bridge.gateway.documented import documented
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.fields import Fields
from plexus_bridge.gateway.fields import read_bounded
from plexus_bridge.gateway.frames.folder import StoredFrame
from plexus_bridge.gateway.frames.multipart import Part
from plexus_bridge.gateway.frames.multipart import read_form
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.points import MAX_REQUEST_BYTES
from plexus_bridge.points import milliseconds
from plexus_bridge.points import read_point
from plexus_bridge.protocol.video import Picture

DEFAULT_CAMERA = 'camera:0'
EVENT = 'frame'

router = APIRouter(
    prefix='/api/frames', dependencies=[Security(API_KEY)], default_response_class=Response)


@router.post('', responses=documented(400, 408, 413, 429))
async def upload_frame(request: Request) -> Response:
    """
    Keep a JPEG, ``multipart/form-data`` as `frame`, and note it as an event `frame`.

    Further fields: `source_id`, `camera_id`, `timestamp` (ms as text), `run_id`, `tags` (JSON).
    """
    key = await authorise(request, 'write')
    gateway, now_ms = gateway_of(request), wall_ms()
    form = read_form(request.headers.get('content-type', ''),
                     await read_bounded(request, MAX_REQUEST_BYTES))
    fields = Fields({name: part.text() for name, part in form.items() if name != 'frame'})
    source_id = fields.source_id()
    if source_id is None:
        raise RequestError(400, 'source_id: saw nothing, expected the source of the picture')
    key.require(source_id)
    peer = request.client.host if request.client else None
    refusal = gateway.ceilings.refusal(source_id, peer, time.monotonic())
    if refusal is not None:
        gateway.store.counters.drop(refusal.code.lower())
        raise RequestError(429, refusal.detail)
    jpeg = _jpeg(form.get('frame'))
    camera_id = fields.text('camera_id', 64, default=DEFAULT_CAMERA)
    try:
        stamp_ms = milliseconds(_number(fields.text('timestamp', 32, default='')), now_ms)
        tags = _tags(fields)
        event = read_point({'class': 'event', 'metric': EVENT, 'timestamp': stamp_ms, 'tags': tags,
                            'value': {'camera_id': camera_id, 'bytes': len(jpeg)}}, now_ms)
    except PointError as error:
        raise RequestError(400, str(error)) from None
    kept = await asyncio.to_thread(gateway.frames.keep, source_id, camera_id, stamp_ms, jpeg)
    await gateway.store.write(((source_id, [event]),), now_ms)
    gateway.hub.publish_video(source_id, Picture(source_id, camera_id, 0, 0, stamp_ms, jpeg))
    return answer({'success': True, 'frame': _told(source_id, kept)})


@router.get('', responses=documented(400))
async def list_frames(request: Request, source_id: str = '') -> Response:
    """List the newest pictures of a source (a route of our own)."""
    await authorise(request, 'read')
    slug = Fields({'source_id': source_id}).source_id() or ''
    newest = await asyncio.to_thread(gateway_of(request).frames.newest, slug)
    return answer({'frames': [_told(slug, frame) for frame in newest]})


@router.get('/{source_id}/{name}', responses={
    200: {'content': {'image/jpeg': {}}}, **documented(400, 404)})
async def show_frame(request: Request, source_id: str, name: str) -> Response:
    """Return a picture by its `url` as listed (a route of our own)."""
    await authorise(request, 'read')
    slug = Fields({'source_id': source_id}).source_id() or ''
    jpeg = await asyncio.to_thread(gateway_of(request).frames.read, slug, name)
    if jpeg is None:
        raise RequestError(404, 'no such picture')
    return Response(jpeg, media_type='image/jpeg')


def _jpeg(part: Part | None) -> bytes:
    # The two bytes that every JPEG begins with: nothing else is kept, or shown to browsers.
    if part is None or not part.content.startswith(b'\xff\xd8'):
        raise RequestError(400, 'frame: expected a file that is a JPEG')
    return part.content


def _number(text: str) -> float | int | None:
    if not text:
        return None
    if not re.fullmatch(r'[0-9]{1,16}(\.[0-9]{1,9})?', text):
        raise RequestError(400, f'timestamp: saw {text!r}, expected a number')
    return float(text) if '.' in text else int(text)


def _tags(fields: Fields) -> Any:
    try:
        tags = encoding.loads(fields.text('tags', 65_536, default='{}'))
    except ValueError as error:
        raise RequestError(400, f'tags: invalid JSON: {error}') from None
    if 'run_id' in fields and isinstance(tags, dict):
        tags = {'run_id': fields.text('run_id', 200), **tags}
    return tags


def _told(source_id: str, frame: StoredFrame) -> dict[str, Any]:
    return {'source_id': source_id, 'camera_id': frame.camera_id,
            'timestamp_ms': frame.timestamp_ms, 'bytes': frame.size,
            'url': f'/api/frames/{source_id}/{quote(frame.name, safe="")}'}

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``POST /api/sources``: a source that a run needs before its first point (section 10.4)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi import Request
from fastapi import Security
from starlette.responses import Response

from plexus_bridge.gateway import sources
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.access.authorise import authorise
from plexus_bridge.gateway.documented import documented
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.fields import read_fields
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.instants import write_instant

MAX_NAME = 200

router = APIRouter(dependencies=[Security(API_KEY)], default_response_class=Response)


@router.post('/api/sources', status_code=201, responses=documented(400, 409, 413))
async def create_source(request: Request) -> Response:
    """Register a source by its `slug`; 409 if there is one already."""
    key = await authorise(request, 'write')
    fields = await read_fields(request)
    fields.text('slug', 256)
    slug = fields.source_id('slug', refuse_uuid=True) or ''
    key.require(slug)
    wanted = sources.SourceRequest(
        slug, fields.text('name', MAX_NAME, default=slug),
        fields.text('device_type', MAX_NAME, default=''), fields.mapping('metadata'))
    now_ms = wall_ms()
    await gateway_of(request).store.execute(sources.register, wanted, now_ms)
    return answer({'source': {
        'id': slug, 'slug': slug, 'name': wanted.name, 'source_type': 'device',
        'device_type': wanted.device_type, 'metadata': wanted.metadata,
        'created_at': write_instant(now_ms)}}, 201)

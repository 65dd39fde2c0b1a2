# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``/api/sessions`` (protocol section 11.6)."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi import Request
from fastapi import Security
from starlette.responses import Response

from plexus_bridge.errors import RequestError
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.access.authorise import authorise
from plexus_bridge.gateway.documented import documented
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.fields import read_fields
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.runs import sessions
from plexus_bridge.points import MAX_TAG_BYTES

router = APIRouter(
    prefix='/api/sessions', dependencies=[Security(API_KEY)], default_response_class=Response)


@router.post('', status_code=201, responses=documented(400, 409, 413))
async def create_session(request: Request) -> Response:
    """Begin a session: `session_id`, `source_id`, `name`, `status`, `started_at`."""
    key = await authorise(request, 'write')
    fields = await read_fields(request)
    session_id = fields.text('session_id', MAX_TAG_BYTES)
    source_id = fields.source_id()
    if source_id is None:
        raise RequestError(400, 'source_id: saw nothing, expected the source of the session')
    key.require(source_id)
    now_ms = wall_ms()
    status = fields.choice('status', sessions.STATUSES, default='active')
    started_ms, ended_ms = fields.instant('started_at'), fields.instant('ended_at')
    session = await gateway_of(request).store.execute(sessions.create, sessions.Session(
        session_id, fields.text('name', sessions.MAX_NAME, default=session_id), source_id, status,
        now_ms if started_ms is None else started_ms,
        now_ms if ended_ms is None and status != 'active' else ended_ms))
    return answer({'session': session.told()}, 201)


@router.patch('/{session_id:path}', responses=documented(400, 404, 413))
async def edit_session(request: Request, session_id: str) -> Response:
    """End a session, or change its `name`, `status` or `ended_at`."""
    key = await authorise(request, 'write')
    fields = await read_fields(request)
    store = gateway_of(request).store
    known = await store.read(sessions.find, session_id)
    if known is not None:
        key.require(known.source_id)
    session = await store.execute(
        sessions.edit, session_id,
        name=fields.text('name', sessions.MAX_NAME, default='') or None,
        status=fields.choice('status', sessions.STATUSES, default='-').strip('-') or None,
        ended_ms=fields.instant('ended_at'), now_ms=wall_ms())
    return answer({'session': session.told()})


@router.get('', responses=documented())
async def list_sessions(request: Request, source_id: str | None = None) -> Response:
    """List the newest sessions (a route of our own)."""
    await authorise(request, 'read')
    found = await gateway_of(request).store.read(sessions.newest, source_id)
    return answer({'sessions': [session.told() for session in found]})

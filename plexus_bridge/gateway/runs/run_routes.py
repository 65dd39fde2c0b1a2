# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``/api/runs`` (protocol section 10)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated
from typing import Any

from fastapi import APIRouter
from fastapi import Query
from fastapi import Request
from fastapi import Security
from starlette.responses import Response

from plexus_bridge.errors import PointError
from plexus_bridge.errors import RequestError
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.access.authorise import authorise
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.documented import documented
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.fields import Fields
from plexus_bridge.gateway.fields import read_fields
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.runs import comparison
from plexus_bridge.gateway.runs import notes
from plexus_bridge.gateway.runs import runs
from plexus_bridge.gateway.runs.criteria import MAX_CRITERIA
from plexus_bridge.gateway.runs.criteria import read_criteria
from plexus_bridge.gateway.runs.runs import Run
from plexus_bridge.points import milliseconds

MAX_NAME = 200
# A closed run is judged again after so many seconds, for points that were still on their way.
FOLLOW_UP_S = (2.0, 15.0, 60.0)

router = APIRouter(
    prefix='/api/runs', dependencies=[Security(API_KEY)], default_response_class=Response)


@router.post('', status_code=201, responses=documented(400, 404, 413))
async def create_run(request: Request) -> Response:
    """Open a run: `name`, `source_id`, `started_at`, `tags`, `metadata`, `pass_criteria`."""
    key = await authorise(request, 'write')
    fields = await read_fields(request)
    if 'run_id' in fields:
        return await _take_note(gateway_of(request), key, fields)
    gateway, now_ms = gateway_of(request), wall_ms()
    _require(key, fields.source_id())
    started_ms = fields.instant('started_at')
    run = runs.settled(Run(
        notes.new_id(), fields.text('name', MAX_NAME), fields.source_id(),
        fields.choice('status', runs.STATUSES, default='active'),
        now_ms if started_ms is None else started_ms, fields.instant('ended_at'),
        fields.mapping('tags'), fields.mapping('metadata'),
        tuple(read_criteria(fields.array('pass_criteria', MAX_CRITERIA))),
        created_by=key.name or key.prefix, created_ms=now_ms, updated_ms=now_ms), now_ms)
    if run.source_id in gateway.devices:
        run = await gateway.store.execute(notes.note_started, run)
    else:
        run = await gateway.store.execute(runs.create, run)
    return answer({'run': (await _judged(gateway, run)).told()}, 201)


@router.get('', responses=documented(400))
async def list_runs(
        request: Request, source_id: str | None = None, status: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = runs.MAX_LISTED) -> Response:
    """List the newest runs, with the verdicts as they were last told."""
    await authorise(request, 'read')
    gateway = gateway_of(request)
    found = await gateway.store.read(runs.newest, source_id, status, limit)
    # One without any verdict was closed as the gateway ended.
    return answer({'runs': [
        (await _refreshed(gateway, run) if run.test_result is None else run).told()
        for run in found]})


@router.get('/compare', responses=documented(400, 404))
async def compare_runs(
        request: Request, ids: str, metrics: str | None = None,
        points: Annotated[int, Query(ge=2, le=comparison.MAX_POINTS)] = comparison.POINTS,
        ) -> Response:
    """Return the metrics of several runs over the time since each one's start (our own route)."""
    await authorise(request, 'read')
    gateway = gateway_of(request)
    asked = list(dict.fromkeys(filter(None, ids.split(','))))
    if not 1 <= len(asked) <= comparison.MAX_RUNS:
        raise RequestError(
            400, f'ids: saw {len(asked)}, expected 1 to {comparison.MAX_RUNS} ids of runs')
    chosen = [await _refreshed(gateway, await _find(gateway, run_id)) for run_id in asked]
    names = list(filter(None, metrics.split(','))) if metrics else None
    return answer(await gateway.store.read(
        comparison.compare, chosen, names, points, wall_ms()))


@router.get('/{run_id}', responses=documented(404))
async def show_run(request: Request, run_id: str) -> Response:
    """Show a run; a closed one is judged anew if points came after it was judged."""
    await authorise(request, 'read')
    gateway = gateway_of(request)
    run = await _refreshed(gateway, await _find(gateway, run_id))
    return answer({'run': run.told()})


@router.patch('/{run_id}', responses=documented(400, 404, 413))
async def edit_run(request: Request, run_id: str) -> Response:
    """Close a run or change any of its fields; a closed run is judged before the answer."""
    key = await authorise(request, 'write')
    fields = await read_fields(request)
    gateway = gateway_of(request)
    _require(key, (await _find(gateway, run_id)).source_id)
    changes = _changes(fields)
    if 'source_id' in changes:
        _require(key, changes['source_id'])
    run = await gateway.store.execute(runs.edit, run_id, changes, wall_ms())
    return answer({'run': (await _judged(gateway, run)).told()})


@router.delete('/{run_id}', status_code=204, responses=documented(404))
async def delete_run(request: Request, run_id: str) -> Response:
    """Forget a run; its points stay."""
    key = await authorise(request, 'write')
    gateway = gateway_of(request)
    _require(key, (await _find(gateway, run_id)).source_id)
    if not await gateway.store.execute(runs.delete, run_id):
        raise RequestError(404, 'no such run')
    return Response(status_code=204)


def _require(key: Key, source_id: str | None) -> None:
    """Refuse a key of one device that asks for another's run, or one of all sources."""
    if key.source_id is not None:
        key.require(source_id or '')


def _changes(fields: Fields) -> dict[str, Any]:
    """Return the changes that a PATCH asks for, as `runs.edit` takes them."""
    changes: dict[str, Any] = {}
    if 'name' in fields:
        changes['name'] = fields.text('name', MAX_NAME)
    if 'source_id' in fields:
        changes['source_id'] = fields.source_id()
    if 'status' in fields:
        changes['status'] = fields.choice('status', runs.STATUSES)
    started_ms = fields.instant('started_at')
    if started_ms is not None:
        changes['started_ms'] = started_ms
    if 'ended_at' in fields:
        changes['ended_ms'] = fields.instant('ended_at')
    for name in ('tags', 'metadata'):
        if name in fields:
            changes[name] = fields.mapping(name)
    if 'pass_criteria' in fields:
        changes['pass_criteria'] = tuple(
            read_criteria(fields.array('pass_criteria', MAX_CRITERIA)))
    return changes


async def _find(gateway: Gateway, run_id: str) -> Run:
    run = await gateway.store.read(runs.find, run_id)
    if run is None:
        raise RequestError(404, 'no such run')
    return run


async def _refreshed(gateway: Gateway, run: Run) -> Run:
    """Return the run with the verdict that its points give now."""
    now_ms = wall_ms()
    verdict = await gateway.store.read(runs.judge, run, now_ms)
    if verdict is None:
        return run
    try:
        return await gateway.store.execute(runs.keep_verdict, run, verdict) or run
    except StoreError:  # told all the same: the disk may be full, and this is only derived
        return replace(run, test_result=verdict)


async def _judged(gateway: Gateway, run: Run) -> Run:
    """Return a run that was just changed with its verdict, and have it looked at again later."""
    if run.span is None or not run.pass_criteria:
        return run
    gateway.background(_follow_up(gateway, run.id))
    return await _refreshed(gateway, run)


async def _follow_up(gateway: Gateway, run_id: str) -> None:
    waited = 0.0
    for at in FOLLOW_UP_S:
        await asyncio.sleep(at - waited)
        waited = at
        run = await gateway.store.read(runs.find, run_id)
        if run is None:
            return
        await _refreshed(gateway, run)


async def _take_note(gateway: Gateway, key: Key, fields: Fields) -> Response:
    """Take a note of a client from 0.1.0 to 0.8.0 (section 10.8)."""
    now_ms = wall_ms()
    name, source_id = fields.text('run_id', MAX_NAME), fields.source_id()
    status = fields.choice('status', notes.NOTES)
    _require(key, source_id)
    try:
        stamp_ms = milliseconds(fields.value('timestamp'), now_ms)
    except PointError as error:
        raise RequestError(400, str(error)) from None
    if status == notes.STARTED:
        run: Run | None = await gateway.store.execute(notes.note_started, Run(
            notes.new_id(), name, source_id, 'active', stamp_ms, tags=fields.mapping('tags'),
            metadata={'run_id': name}, created_by=key.name or key.prefix, created_ms=now_ms,
            updated_ms=now_ms))
    else:
        run = await gateway.store.execute(
            notes.note_ended, name, source_id, stamp_ms, now_ms)
    if run is None:
        raise RequestError(404, f'run {name} was not noted as started')
    return answer({'run': run.told()}, 201)

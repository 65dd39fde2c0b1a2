# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The routes of commands. ``POST …/commands`` is the platform's (section 12.6); all others are ours.

Declared commands are run through ``…/command-runs``; what becomes of them is told by the run
itself, by ``…/commands/stream`` and by the operator's socket (`operate`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
import secrets
from typing import Annotated
from typing import Any
from typing import Literal

from fastapi import APIRouter
from fastapi import HTTPException
from fastapi import Query
from fastapi import Request
from fastapi import Security
from starlette.responses import Response
from starlette.responses import StreamingResponse

from plexus_bridge.errors import CommandError
from plexus_bridge.errors import PointError
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.access.authorise import authorise
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.commands import records
from plexus_bridge.gateway.commands import runs
from plexus_bridge.gateway.commands.run import Run
from plexus_bridge.gateway.commands.sse import server_sent_events
from plexus_bridge.gateway.documented import documented
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.fields import Fields
from plexus_bridge.gateway.fields import read_fields
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.presence import commands_of
from plexus_bridge.points import check_source_id
from plexus_bridge.protocol.agent_messages import agent_message
from plexus_bridge.protocol.agent_messages import as_typed_command

MAX_COMMAND = 256
MAX_WAIT_S = 60.0
MAX_TTL_S = 3_600.0
MAX_LISTED = 1_000
# What a CommandError is as an HTTP status; the device's own codes come as states of a run.
STATUSES = {'unknown_command': 404, 'bad_params': 400, 'not_connected': 409, 'busy': 429,
            'confirmation_required': 428}

_PARAMS = {'params': {'type': 'object'}}


def _body(required: str, **properties: Any) -> dict[str, Any]:
    """Return what OpenAPI says of a body whose checks are ours."""
    properties = {required: {'type': 'string'}, **properties}
    schema = {'type': 'object', 'required': [required], 'properties': properties}
    return {'requestBody': {'required': True, 'content': {'application/json': {'schema': schema}}}}


router = APIRouter(
    prefix='/v1/sources/{source_id}', dependencies=[Security(API_KEY)],
    default_response_class=Response, tags=['commands'])


@router.post('/commands', responses=documented(400, 413, 429),
             openapi_extra=_body('command', **_PARAMS))
async def send_legacy_command(request: Request, source_id: str) -> Response:
    """
    Send a command to an `on_command` handler; `queued` false: the device is not connected.

    Body: `command` and, optionally, `params`. `run_id` names the run whose result can be read at
    `command-runs`.
    """
    gateway, key = await _operator(request, source_id)
    fields = await read_fields(request)
    asked = _request(fields, key)
    try:
        run = gateway.commands.request_legacy(source_id, asked)
    except CommandError as error:
        raise _refused(error) from None
    return answer({'queued': False} if run is None else {'queued': True, 'run_id': run.run_id})


@router.get('/commands', responses=documented(400))
async def list_commands(request: Request, source_id: str) -> Response:
    """List the commands that a source declared when it last connected."""
    gateway = await _reader(request, source_id)
    connection = gateway.devices.find(source_id)
    if connection is not None:
        told = commands_of(connection.declared)
    else:
        row = await _kept_device(gateway, source_id)
        told = row.commands if row else {'commands': [], 'legacy': []}
    return answer({'source_id': source_id, 'online': connection is not None, **told})


@router.post('/command-runs', status_code=202,
             responses=documented(200, 400, 404, 409, 413, 428, 429), openapi_extra=_body(
                 'command', **_PARAMS, confirm={}, ttl_ms={'type': 'number'},
                 wait_s={'type': 'number', 'minimum': 0, 'maximum': MAX_WAIT_S}))
async def start_run(request: Request, source_id: str) -> Response:
    """
    Run a declared command. 202 while it goes on, 200 once it has ended.

    Body: `command`, `params`; `confirm` true for a dangerous command, the source's name for a
    critical one; `ttl_ms`, shorter than what the command declares; `wait_s`, how long the answer
    may wait for the end (at most 60).
    """
    gateway, key = await _operator(request, source_id)
    fields = await read_fields(request)
    wait_s = fields.number('wait_s', 0.0, MAX_WAIT_S, default=0.0)
    try:
        run = gateway.commands.request(source_id, _request(fields, key))
    except CommandError as error:
        raise _refused(error) from None
    if wait_s:
        await _end_of(gateway, run, wait_s)
    return answer({'run': run.body()}, 200 if run.final else 202)


@router.get('/command-runs', responses=documented(400, 422))
async def list_runs(
        request: Request, source_id: str,
        state: Literal['sent', 'acknowledged', 'running', 'succeeded', 'failed'] | None = None,
        command: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 100) -> Response:
    """List the newest runs of a source's commands, the newest first."""
    gateway = await _reader(request, source_id)
    await gateway.commands.written()
    found = await gateway.store.read(records.list_runs, source_id, state, command, limit)
    return answer({'runs': [run.body() for run in found]})


@router.get('/command-runs/{run_id}', responses=documented(400, 404))
async def show_run(request: Request, source_id: str, run_id: str) -> Response:
    """Show one run with every status that its device sent."""
    gateway = await _reader(request, source_id)
    await gateway.commands.written()
    run = gateway.commands.find(run_id)
    if run is None or run.source_id != source_id:
        run = await gateway.store.read(records.find_run, source_id, run_id)
    if run is None:
        raise HTTPException(404, 'no such run')
    statuses = await gateway.store.read(records.statuses_of, run_id)
    return answer({'run': {**run.body(), 'statuses': statuses}})


@router.post('/command-runs/{run_id}/cancel', status_code=202,
             responses=documented(200, 400, 404))
async def cancel_run(request: Request, source_id: str, run_id: str) -> Response:
    """
    Ask the device to end a run early: 202 while it goes on, 200 if it has ended.

    The platform's protocol has no such message; plexus_bridge heeds it, and the run ends as
    `failed` with `cancelled`. `queued` false: the device is not connected, or the run has ended.
    """
    gateway, _ = await _operator(request, source_id)
    run = gateway.commands.find(run_id)
    if run is None or run.source_id != source_id:
        raise HTTPException(404, 'no such run, or it ended long ago')
    queued = gateway.commands.cancel(run)
    return answer({'queued': queued, 'run': run.body()}, 200 if run.final else 202)


@router.get('/commands/stream', responses=documented(400), response_class=StreamingResponse)
async def stream_updates(request: Request, source_id: str) -> Response:
    """Tell what becomes of commands as it happens, and what agents answer: server-sent events."""
    gateway = await _reader(request, source_id)
    key = await authorise(request, 'read')
    return StreamingResponse(
        server_sent_events(gateway, source_id, key), media_type='text/event-stream',
        headers={'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no'})


@router.post('/agent-messages', responses=documented(400, 413, 429),
             openapi_extra=_body('type', as_typed_command={'type': 'boolean'}))
async def send_agent_message(request: Request, source_id: str) -> Response:
    """
    Send a control message of section 11.3, such as `start_stream`, to an agent.

    Body: `type` and its fields. With `as_typed_command` true it takes the form of a command.
    `queued` false: the device is not connected. Answers are told by `commands/stream`.
    """
    gateway, key = await _operator(request, source_id)
    asked = dict((await read_fields(request)).everything())
    wrapped = asked.pop('as_typed_command', False)
    try:
        message = agent_message(source_id, asked, f'msg-{secrets.token_hex(6)}')
        if wrapped is not True:
            return answer(_send(gateway, source_id, message))
        command, params = as_typed_command(message)
        run = gateway.commands.request_legacy(
            source_id, runs.Request(command, params, key.name or key.prefix))
    except CommandError as error:
        raise _refused(error) from None
    return answer({'queued': False} if run is None else {'queued': True, 'run_id': run.run_id})


@router.get('/device', responses=documented(400, 404))
async def show_device(request: Request, source_id: str) -> Response:
    """Show what a device last said of itself: platform, sensors, cameras, when it was heard."""
    gateway = await _reader(request, source_id)
    connection = gateway.devices.find(source_id)
    if connection is not None:
        return answer({'source_id': source_id, 'online': True, **connection.describe()})
    row = await _kept_device(gateway, source_id)
    if row is None:
        raise HTTPException(404, 'device not found')
    return answer({'source_id': source_id, 'online': False, **row.hello,
                   'last_heard_ms': row.seen_ms})


async def _operator(request: Request, source_id: str) -> tuple[Gateway, Key]:
    """Return who may command this source."""
    key = await authorise(request, 'write', source_id)
    _check_slug(source_id)
    return gateway_of(request), key


async def _reader(request: Request, source_id: str) -> Gateway:
    await authorise(request, 'read')
    _check_slug(source_id)
    return gateway_of(request)


async def _kept_device(gateway: Gateway, source_id: str) -> records.DeviceRow | None:
    """Return what is kept of a device, also of one that left a moment ago."""
    await gateway.changed()
    return await gateway.store.read(records.find_device, source_id)


def _check_slug(source_id: str) -> None:
    try:
        check_source_id(source_id)
    except PointError as error:
        raise HTTPException(400, str(error)) from None


def _request(fields: Fields, key: Key) -> runs.Request:
    everything = fields.everything()
    ttl_ms = fields.number('ttl_ms', 0.0, MAX_TTL_S * 1000)
    return runs.Request(
        fields.text('command', MAX_COMMAND), everything.get('params'), key.name or key.prefix,
        everything.get('confirm'), None if ttl_ms is None else ttl_ms / 1000)


def _refused(error: CommandError) -> HTTPException:
    return HTTPException(STATUSES[error.code], {'error': error.code, 'message': str(error)})


def _send(gateway: Gateway, source_id: str, message: Mapping[str, Any]) -> dict[str, Any]:
    connection = gateway.devices.find(source_id)
    if connection is None or not connection.has_room:
        return {'queued': False, 'message': message}
    connection.send(message)
    return {'queued': True, 'message': message}


async def _end_of(gateway: Gateway, run: Run, wait_s: float) -> None:
    """Wait for the end of a run, that of the time, or that of the gateway."""
    ended = asyncio.Event()

    def hear(update: Mapping[str, Any]) -> None:
        if run.final:
            ended.set()

    with gateway.updates.heard_by(run.source_id, hear):
        waits = [asyncio.ensure_future(event.wait()) for event in (ended, gateway.stopping)]
        try:
            if not run.final:
                await asyncio.wait(
                    waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

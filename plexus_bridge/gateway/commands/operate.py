# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
``/v1/sources/{id}/operate``: one socket over which a person operates a device (ours).

It takes commands at the rate of a joystick and tells what becomes of them. When it ends, however
it ends, the leases that the device granted over it are released, and the command that the
operator left for this case is run: who is gone must not hold a robot. ::

    → {"type": "auth", "api_key": "plx_…", "operator": "Ada"}
    ← {"type": "ready", "source_id": "husky-01", "online": true, "commands": […]}
    → {"type": "command", "id": "c1", "command": "drive", "params": {…}, "ttl_ms": 300}
    ← {"type": "accepted", "id": "c1", "run_id": "run-…"}
    ← {"type": "command_status", "id": "c1", "run_id": "run-…", "state": "succeeded", …}
    ← {"type": "refused", "id": "c2", "code": "bad_params", "detail": "…"}
    → {"type": "on_close", "command": "stop", "params": {}}
    → {"type": "watch", "on": true}      ← everything that happens to this source's commands
    → {"type": "ping", "t": 1}           ← {"type": "pong", "t": 1}
    ← {"type": "device", "online": false}
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
import contextlib
from dataclasses import replace
import logging
from typing import Any
from typing import TypeGuard

from fastapi import APIRouter
from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from plexus_bridge.errors import AccessError
from plexus_bridge.errors import CommandError
from plexus_bridge.gateway.access.first_message import read_auth
from plexus_bridge.gateway.access.first_message import read_object
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.commands.runs import Request
from plexus_bridge.gateway.commands.sse import encode_update
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.live.queues import RecentFrames
from plexus_bridge.gateway.presence import commands_of
from plexus_bridge.points import trim

logger = logging.getLogger(__name__)

UNAUTHORISED = 4401
GOING_AWAY = (1001, 'gateway is shutting down')
MAX_REMEMBERED_RUNS = 1_024
MAX_NAME_BYTES = 128
MAX_ID = 128
# A device grants one or two at a time.
MAX_LEASES = 64
RELEASE = 'release'

router = APIRouter()


@router.websocket('/v1/sources/{source_id}/operate')
async def operate(websocket: WebSocket, source_id: str) -> None:
    """Let an operator command a source until either side ends it."""
    gateway = gateway_of(websocket)
    await websocket.accept()
    try:
        key, auth = await read_auth(websocket, 'write', source_id)
    except WebSocketDisconnect:
        return
    except AccessError:
        await websocket.close(UNAUTHORISED, 'unauthorized')
        return
    name = auth.get('operator')
    operator = trim(name, MAX_NAME_BYTES) if _is_name(name) else key.name or key.prefix
    await OperatorSocket(gateway, websocket, source_id, operator).run(key)


class OperatorSocket:
    """One operator's connection to one source."""

    def __init__(self, gateway: Gateway, websocket: WebSocket, source_id: str, operator: str):
        self._gateway = gateway
        self._websocket = websocket
        self._source_id = source_id
        self._operator = operator
        self._queue = RecentFrames()
        self._ids: OrderedDict[str, Any] = OrderedDict()
        self._leases: dict[str, None] = {}
        self._on_close: Request | None = None
        self._watches = False

    async def run(self, key: Key) -> None:
        """Serve until the connection is over, then release what is held."""
        revoked = asyncio.Event()
        tasks = [asyncio.create_task(work) for work in (
            self._read(), self._write(), revoked.wait(), self._gateway.stopping.wait())]
        with self._gateway.updates.heard_by(self._source_id, self._hear), \
                self._gateway.keys.held(key, revoked.set):
            self._tell_ready('ready')
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._let_go(trusted=not revoked.is_set())
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, WebSocketDisconnect):
                return
            if isinstance(result, Exception):
                raise result
        with contextlib.suppress(WebSocketDisconnect):
            await self._websocket.close(
                *((UNAUTHORISED, 'unauthorized') if revoked.is_set() else GOING_AWAY))

    # -- what the operator says

    async def _read(self) -> None:
        while True:
            try:
                message = await read_object(self._websocket)
            except ValueError as error:
                self._send({'type': 'refused', 'code': 'bad_message', 'detail': str(error)})
                continue
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        kind = message.get('type')
        if kind == 'command':
            self._command(message)
        elif kind == 'on_close':
            self._on_close = (
                None if message.get('command') is None else self._request(message))
        elif kind == 'watch':
            self._watches = message.get('on') is True
        elif kind == 'ping':
            self._send({'type': 'pong', 't': message.get('t')})
        else:
            self._send({
                'type': 'refused', 'code': 'bad_message', 'id': message.get('id'),
                'detail': 'type: expected command, on_close, watch or ping'})

    def _command(self, message: dict[str, Any]) -> None:
        asked = message.get('id')
        if not _is_id(asked):
            self._send({'type': 'refused', 'code': 'bad_message',
                        'detail': f'id: expected a number or {MAX_ID} characters at most'})
            return
        try:
            run = self._gateway.commands.request(self._source_id, self._request(message))
        except CommandError as error:
            self._send({'type': 'refused', 'id': asked, 'code': error.code, 'detail': str(error)})
            return
        self._ids[run.run_id] = asked
        if len(self._ids) > MAX_REMEMBERED_RUNS:
            self._ids.popitem(last=False)
        self._send({'type': 'accepted', 'id': asked, 'run_id': run.run_id})

    def _request(self, message: dict[str, Any]) -> Request:
        command, params, ttl_ms = (message.get(key) for key in ('command', 'params', 'ttl_ms'))
        ttl_s = (ttl_ms / 1000 if isinstance(ttl_ms, int | float)
                 and not isinstance(ttl_ms, bool) and 0 < ttl_ms < 1e9 else None)
        return Request(command if isinstance(command, str) else '', params,
                       self._operator, message.get('confirm'), ttl_s)

    # -- what happens

    def _hear(self, update: Mapping[str, Any]) -> None:
        kind, run_id = update.get('type'), update.get('run_id')
        if kind == 'device':
            self._tell_ready('device')
        elif kind == 'command_status' and isinstance(run_id, str) and run_id in self._ids:
            self._note_lease(update)
            self._send({**update, 'id': self._ids[run_id]})
        elif self._watches:
            self._send(update)

    def _note_lease(self, update: Mapping[str, Any]) -> None:
        if update.get('state') != 'succeeded':
            return
        result, params = update.get('result'), update.get('params')
        if update.get('command') == RELEASE and isinstance(params, Mapping):
            self._leases.pop(str(params.get('lease')), None)
        elif isinstance(result, dict) and isinstance(result.get('lease'), str):
            self._leases[result['lease']] = None
            while len(self._leases) > MAX_LEASES:
                del self._leases[next(iter(self._leases))]

    def _let_go(self, *, trusted: bool) -> None:
        """
        Release what the operator holds; the device may have gone before.

        Whose key was revoked has nothing dangerous done any more, whatever he left.
        """
        requests = [Request(RELEASE, {'lease': lease}, self._operator, True)
                    for lease in self._leases if lease]
        if self._on_close is not None:
            last = self._on_close if trusted else replace(self._on_close, confirm=None)
            requests.append(last)
        for request in requests:
            try:
                self._gateway.commands.request(self._source_id, request)
            except CommandError as error:
                logger.info('%s of %s, whose operator has left, was not run: %s',
                            request.command, self._source_id, error)

    # -- telling

    def _tell_ready(self, kind: str) -> None:
        connection = self._gateway.devices.find(self._source_id)
        message: dict[str, Any] = {
            'type': kind, 'source_id': self._source_id, 'online': connection is not None}
        if connection is not None:
            message['commands'] = commands_of(connection.declared)['commands']
        self._send(message)

    def _send(self, message: Mapping[str, Any]) -> None:
        text = encode_update(message)
        if text is not None:
            lost = self._queue.put(text)
            if lost:
                self._gateway.store.counters.drop('command_updates', lost)

    async def _write(self) -> None:
        while True:
            await self._websocket.send_text(await self._queue.get())


def _is_name(name: object) -> TypeGuard[str]:
    return isinstance(name, str) and name != '' and name.isprintable()


def _is_id(asked: object) -> bool:
    """Tell whether a request's id can be remembered: it comes back with each of its statuses."""
    return asked is None or type(asked) in (int, float) or (
        isinstance(asked, str) and len(asked) <= MAX_ID)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The runs that are under way: sent, followed, sent again or given up (protocol sections 8 and 9).

What a device did not acknowledge in time has expired. After a lost connection an idempotent run
is sent again under its own id, which a device that knows it answers without running it again;
any other run is only listened for, and is lost if the device does not speak of it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
import secrets
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.errors import CommandError
from plexus_bridge.gateway.commands import records
from plexus_bridge.gateway.commands.recorder import Recorder
from plexus_bridge.gateway.commands.records import Status
from plexus_bridge.gateway.commands.run import EXPIRED
from plexus_bridge.gateway.commands.run import LEGACY
from plexus_bridge.gateway.commands.run import LOST
from plexus_bridge.gateway.commands.run import MAX_RESULT_BYTES
from plexus_bridge.gateway.commands.run import NOT_CONNECTED
from plexus_bridge.gateway.commands.run import Run
from plexus_bridge.gateway.commands.run import SENT
from plexus_bridge.gateway.commands.run import V1
from plexus_bridge.gateway.commands.updates import Updates
from plexus_bridge.gateway.devices import Connection
from plexus_bridge.gateway.devices import Devices
from plexus_bridge.gateway.limits import MAX_METERED_SOURCES
from plexus_bridge.gateway.limits import Meter
from plexus_bridge.gateway.storage.store import Store
from plexus_bridge.protocol.declarations import Declaration
from plexus_bridge.protocol.declarations import DEFAULT_EXPIRY_S

# As many as a device remembers (section 8.3).
MAX_UNDER_WAY = 256
MAX_ENDED = 4_096
# Ten joysticks of one operator; more is a flood.
MAX_PER_S = 200
# So many may have all their commands under way at once.
MAX_OPERATORS = 8
# How long a device that came back may take to speak of the runs that it has.
RECONCILE_S = 10.0
MIN_TTL_S = 0.001


@dataclass(frozen=True)
class Request:
    """Somebody wants a command run; `confirm` is what a dangerous one needs (section 8.1)."""

    command: str
    params: Any
    operator: str
    confirm: object = None
    ttl_s: float | None = None


@dataclass
class _UnderWay:
    """A run that has not ended; `connection` is the one on which it was last sent or spoken of."""

    run: Run
    deadline: float
    connection: Connection | None
    timer: asyncio.TimerHandle | None = None


class CommandRuns:
    """All runs of one gateway; used on the event loop alone."""

    def __init__(
            self, store: Store, devices: Devices, updates: Updates, now_ms: Callable[[], int],
            *, keeps_results: bool = True):
        self._store = store
        self._devices = devices
        self._updates = updates
        self._now_ms = now_ms
        self._recorder = Recorder(store)
        self._under_way: dict[str, _UnderWay] = {}
        self._ended: OrderedDict[str, Run] = OrderedDict()
        self._meters: OrderedDict[tuple[str, str], Meter] = OrderedDict()
        self._loaded: asyncio.Task[None]
        self.keeps_results = keeps_results

    def start(self) -> None:
        """Take up the runs of an earlier process; called on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._recorder.start()
        self._loaded = asyncio.create_task(self._load())

    async def close(self) -> None:
        """Write what is to be written and end."""
        await asyncio.gather(self._loaded, return_exceptions=True)
        for entry in self._under_way.values():
            if entry.timer is not None:
                entry.timer.cancel()
        await self._recorder.close()

    async def room(self) -> None:
        """Wait until the statuses that came are written."""
        await self._recorder.room()

    async def written(self) -> None:
        """Wait until the database has what is known now."""
        await self._recorder.written()

    # -- requests

    def request(self, source_id: str, request: Request) -> Run:
        """Send a declared command; CommandError says why not."""
        connection = self._devices.find(source_id)
        if connection is None:
            raise CommandError(NOT_CONNECTED, f'{source_id} is not connected')
        declaration = connection.declared.commands.get(request.command)
        if declaration is None:
            known = ', '.join(sorted(connection.declared.commands)) or 'none'
            raise CommandError(
                'unknown_command', f'{source_id} has not declared {request.command[:64]!r}; it '
                f'has: {known}')
        params = _named(_params(request.params), declaration, request.operator)
        declaration.check(params)
        _check_confirmation(declaration, source_id, request.confirm)
        wanted = declaration.expires_in_s if request.ttl_s is None else request.ttl_s
        ttl_s = min(max(wanted, MIN_TTL_S), declaration.expires_in_s)
        return self._begin(connection, source_id, request, params, V1, ttl_s,
                           declaration.idempotent)

    def request_legacy(self, source_id: str, request: Request) -> Run | None:
        """Send a `typed_command`; None if the device is not connected or does not read."""
        connection = self._devices.find(source_id)
        if connection is None or not connection.has_room:
            return None
        return self._begin(connection, source_id, request, _params(request.params), LEGACY,
                           DEFAULT_EXPIRY_S, False)

    def cancel(self, run: Run) -> bool:
        """Ask the device to end a run early; False if it cannot be asked, or need not be."""
        connection = self._devices.find(run.source_id)
        if run.final or run.dialect != V1 or connection is None or not connection.has_room:
            return False
        connection.send({'type': 'cancel', 'source_id': run.source_id, 'run_id': run.run_id})
        return True

    def find(self, run_id: str) -> Run | None:
        """Return a run that is under way or has ended lately."""
        entry = self._under_way.get(run_id)
        return entry.run if entry else self._ended.get(run_id)

    def _begin(
            self, connection: Connection, source_id: str, request: Request,
            params: Mapping[str, Any], dialect: str, ttl_s: float, idempotent: bool) -> Run:
        # For each operator by himself: nobody's flood stands in the way of another's stop.
        operator = request.operator
        busy = [entry.run.operator == operator for entry in self._of(source_id)]
        if sum(busy) >= MAX_UNDER_WAY or len(busy) >= MAX_OPERATORS * MAX_UNDER_WAY:
            raise CommandError('busy', f'{source_id} has {len(busy)} commands under way')
        if not self._meter(source_id, operator).take(self._loop.time()):
            raise CommandError(
                'busy', f'{source_id} is sent more than {MAX_PER_S} commands a second by '
                f'{operator}')
        if not connection.has_room:
            raise CommandError('busy', f'{source_id} is connected and does not read')
        now_ms = self._now_ms()
        run = Run(
            run_id=f'run-{secrets.token_hex(12)}', source_id=source_id, command=request.command,
            params=params, dialect=dialect, operator=request.operator, idempotent=idempotent,
            created_ms=now_ms, expires_ms=now_ms + round(ttl_s * 1000), updated_ms=now_ms)
        entry = _UnderWay(run, self._loop.time() + ttl_s, connection)
        self._under_way[run.run_id] = entry
        self._recorder.note(run, new=True)
        connection.send(run.message_to_device(ttl_s * 1000))
        entry.timer = self._loop.call_later(ttl_s, self._expire, entry)
        self._tell(run)
        return run

    def _meter(self, source_id: str, operator: str) -> Meter:
        """Return what counts one operator's commands for one source."""
        whose = source_id, operator
        meter = self._meters.setdefault(whose, Meter(MAX_PER_S, MAX_PER_S, self._loop.time()))
        self._meters.move_to_end(whose)
        while len(self._meters) > MAX_METERED_SOURCES:
            self._meters.popitem(last=False)
        return meter

    # -- what devices say

    def entered(self, source_id: str, connection: Connection) -> None:
        """A device was let in: send again what may be, and listen for the rest."""
        self._updates.tell(source_id, _presence(source_id, True))
        for entry in self._of(source_id):
            run = entry.run
            if entry.connection is connection:
                continue
            if run.dialect == LEGACY:
                self._end(entry, LOST, 'the connection was lost before the device answered')
            elif run.idempotent and connection.declared.commands.get(run.command):
                entry.connection = connection
                left_s = max(0.0, entry.deadline - self._loop.time())
                connection.send(run.message_to_device(left_s * 1000))
                self._recorder.note(run)
            else:
                self._loop.call_later(RECONCILE_S, self._give_up, entry, connection)

    def left(self, source_id: str) -> None:
        """A device has gone: legacy commands under way are lost (section 9)."""
        self._updates.tell(source_id, _presence(source_id, False))
        for entry in self._of(source_id):
            if entry.run.dialect == LEGACY:
                self._end(entry, LOST, 'the connection was lost before the device answered')

    def hear_status(self, connection: Connection, source_id: str, body: dict[str, Any]) -> None:
        """Take a `command_status`; it is acknowledged once it is written."""
        run_id, seq = body.get('run_id'), body.get('seq')
        if not isinstance(run_id, str) or type(seq) is not int:
            return
        ack = {'type': 'command_status_ack', 'run_id': run_id, 'seq': seq}
        run = self.find(run_id)
        entry = self._under_way.get(run_id)
        if entry is not None and entry.run.source_id == source_id:
            entry.connection = connection
        if (run is None or run.source_id != source_id or run.dialect != V1
                or not run.hear(body, self._now_ms(), keep_results=self.keeps_results)):
            connection.send(ack)  # nothing new, or not ours: the device need not keep it
            return
        self._reopen_or_close(run, connection)
        self._recorder.note(run)
        status = Status(run_id, run.attempt, run.seq, run.updated_ms, self._kept_body(run, body))
        self._recorder.keep(status, lambda: connection.send(ack))
        self._tell(run, body)

    def hear_sync(self, connection: Connection, source_id: str, body: dict[str, Any]) -> None:
        """Take a `command_sync`: runs that the device does not know any more are lost."""
        listed = body.get('runs')
        known = {one.get('run_id') for one in listed if isinstance(one, dict)
                 and isinstance(one.get('run_id'), str)} if isinstance(listed, list) else set()
        for entry in self._of(source_id):
            if entry.run.run_id in known:
                entry.connection = connection
            else:
                self._give_up(entry, connection)

    def hear_legacy(self, source_id: str, body: dict[str, Any]) -> None:
        """Take a `command_result`, and tell it on as it came."""
        run_id = body.get('id')
        entry = self._under_way.get(run_id) if isinstance(run_id, str) else None
        if entry is not None and entry.run.source_id == source_id and (
                entry.run.hear_legacy(body, self._now_ms())):
            if entry.run.final:
                self._close(entry)
            self._recorder.note(entry.run)
        self._updates.tell(source_id, {**body, 'source_id': source_id})

    # -- ends

    def _of(self, source_id: str) -> list[_UnderWay]:
        return [entry for entry in self._under_way.values() if entry.run.source_id == source_id]

    def _expire(self, entry: _UnderWay) -> None:
        if entry.run.state == SENT and not entry.run.final:
            self._end(entry, EXPIRED, 'the device did not acknowledge it in time')

    def _give_up(self, entry: _UnderWay, connection: Connection) -> None:
        """End a run of which the device did not speak on its new connection."""
        if entry.connection is not connection and entry.run.run_id in self._under_way and (
                self._devices.find(entry.run.source_id) is connection):
            self._end(entry, LOST, 'the device came back and did not speak of it')

    def _end(self, entry: _UnderWay, code: str, text: str) -> None:
        entry.run.end(code, text, self._now_ms())
        self._close(entry)
        self._recorder.note(entry.run)
        self._tell(entry.run)

    def _reopen_or_close(self, run: Run, connection: Connection) -> None:
        entry = self._under_way.get(run.run_id)
        if entry is None and not run.final:  # we had given it up
            del self._ended[run.run_id]
            self._under_way[run.run_id] = _UnderWay(run, self._loop.time(), connection)
        elif entry is not None and run.final:
            self._close(entry)

    def _close(self, entry: _UnderWay) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
        del self._under_way[entry.run.run_id]
        self._ended[entry.run.run_id] = entry.run
        while len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)

    # -- telling and keeping

    def _tell(self, run: Run, status: Mapping[str, Any] | None = None) -> None:
        update = {'type': 'command_status', **run.body()}
        if status is not None:
            update['status'] = status.get('state')
        self._updates.tell(run.source_id, update)

    def _kept_body(self, run: Run, body: dict[str, Any]) -> str:
        kept = {'seq': run.seq, 'state': body['state'], 'progress': run.progress,
                'message': run.message, 'result': run.result, 'error_code': run.error_code,
                'error_message': run.error_message}
        return encoding.dumps(
            {name: value for name, value in kept.items() if value is not None}).decode()

    async def _load(self) -> None:
        """Take up what an earlier process of the gateway left behind."""
        now_ms = self._now_ms()
        for run in await self._store.read(records.open_runs):
            if run.final:
                self._ended[run.run_id] = run
                continue
            left_s = (run.expires_ms - now_ms) / 1000
            entry = _UnderWay(run, self._loop.time() + left_s, None)
            self._under_way[run.run_id] = entry
            if run.dialect == LEGACY:
                self._end(entry, LOST, 'the gateway was restarted before the device answered')
            elif run.state == SENT:
                entry.timer = self._loop.call_later(max(0.0, left_s), self._expire, entry)
        for source_id in self._devices:
            connection = self._devices.find(source_id)
            if connection is not None:
                self.entered(source_id, connection)


def _params(params: Any) -> dict[str, Any]:
    """Return parameters that can be sent; CommandError ``bad_params``."""
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise CommandError(
            'bad_params', f'params: saw {type(params).__name__}, expected an object')
    try:
        size = len(encoding.dumps(params))
        encoding.standard_dumps(params)  # of NaN the fast one makes null
    except (TypeError, ValueError) as error:
        raise CommandError('bad_params', f'params: cannot be sent as JSON: {error}') from None
    if size > MAX_RESULT_BYTES:
        raise CommandError(
            'bad_params', f'params: saw {size} bytes, expected at most {MAX_RESULT_BYTES}')
    return params


def _named(params: dict[str, Any], declaration: Declaration, operator: str) -> dict[str, Any]:
    """Return the parameters with the operator's name, for a command that asks for it."""
    asked = declaration.parameters.get('operator')
    if asked is None or 'operator' in params:
        return params
    return {**params, 'operator': operator[:asked.spec.get('maxLength')]}


def _check_confirmation(declaration: Declaration, source_id: str, confirm: object) -> None:
    if declaration.danger == 'dangerous' and confirm is not True and confirm != source_id:
        raise CommandError(
            'confirmation_required',
            f'{declaration.name} is dangerous: confirm it with "confirm": true')
    if declaration.danger == 'critical' and confirm != source_id:
        raise CommandError(
            'confirmation_required',
            f'{declaration.name} is critical: confirm it with "confirm": {source_id!r}, the '
            'name of the device')


def _presence(source_id: str, online: bool) -> dict[str, Any]:
    return {'type': 'device', 'source_id': source_id, 'online': online}

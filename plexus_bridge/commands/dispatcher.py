# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The one place where everything that is asked of the robot arrives, in whatever dialect.

Commands v1 (protocol section 8), legacy commands (section 9), the agents' messages (section 11)
and runs that the robot's own programs ask for. What is not declared is not run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import logging
import time
from typing import Any
from typing import Protocol
import uuid

from plexus_bridge.commands.budget import Budget
from plexus_bridge.commands.declarations import take_params
from plexus_bridge.commands.memory import RunMemory
from plexus_bridge.commands.reporting import GatewayReports
from plexus_bridge.commands.reporting import LegacyReports
from plexus_bridge.commands.reporting import LocalReports
from plexus_bridge.commands.reporting import Told
from plexus_bridge.commands.run import Run
from plexus_bridge.commands.run import Target
from plexus_bridge.commands.runs import Entry
from plexus_bridge.commands.runs import Runs
from plexus_bridge.counters import Counters
from plexus_bridge.errors import CommandError
from plexus_bridge.protocol.commands import CommandReports
from plexus_bridge.protocol.commands import MAX_RUN_ID
from plexus_bridge.protocol.commands import read_run
from plexus_bridge.protocol.commands import RunRecord
from plexus_bridge.protocol.commands import RunRequest
from plexus_bridge.protocol.declarations import Declaration

log = logging.getLogger(__name__)

# What may be asked of the robot per second, and at once; a drive command is another matter.
RUNS_PER_S, RUNS_AT_ONCE = 50, 100
MOMENTARY_PER_S, MOMENTARY_AT_ONCE = 100, 100
MAX_MESSAGES = 1024
_REMEMBERED_IDS = 256


class AgentMessages(Protocol):
    """What answers the agents' messages (section 11.3)."""

    @property
    def kinds(self) -> frozenset[str]:
        """The types of messages that are answered."""

    def hello(self) -> Mapping[str, Any]:
        """Return what is said of sensors and cameras in `device_auth` (section 11.2)."""

    def receive(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what a message asks; CommandError if not. `typed_command` is told the result."""

    def lost(self) -> None:
        """The connection is gone."""


class Dispatcher:
    """
    Takes requests, refuses or starts them, and reports; the link's `Control`.

    `wake` is called when there is something to send, `on_opened` when the gateway has let us in,
    `on_lost` when the connection is gone.
    `memory` keeps runs across a restart. What the link calls comes from its thread; all else is
    for any thread.
    """

    def __init__(self, counters: Counters, memory: RunMemory | None = None):
        self.wake: Callable[[], None] = lambda: None
        self.on_opened: list[Callable[[], None]] = []
        self.on_lost: list[Callable[[float], None]] = []
        self.agent: AgentMessages | None = None
        self.counters = counters
        self._runs = Runs(counters, memory)
        self._lock = self._runs.lock
        remembered = self._runs.remembered
        self._lasting = CommandReports(r for r in remembered if r.origin == 'gateway')
        self._momentary = CommandReports(replay=False)
        self._local = CommandReports(
            (r for r in remembered if r.origin == 'local'), replay=False, origin='local')
        self._budget = Budget(RUNS_PER_S, RUNS_AT_ONCE)
        self._momentary_budget = Budget(MOMENTARY_PER_S, MOMENTARY_AT_ONCE)
        self._messages: deque[Mapping[str, Any]] = deque()
        self._legacy_ids: deque[str] = deque(maxlen=_REMEMBERED_IDS)
        self._live = False
        self._told_forgotten = 0

    # -- what there is to run

    def add(self, declaration: Declaration, target: Target, *, momentary: bool = False,
            unlimited: bool = False,
            on_refused: Callable[[object, CommandError], None] | None = None) -> None:
        """Offer a command; the gateway hears of it when the link connects the next time."""
        self._runs.add(Entry(
            declaration.name, target, declaration, declaration.concurrency == 'reject', momentary,
            unlimited, on_refused))

    def add_legacy(self, name: str, target: Target, *, reject: bool = False) -> None:
        """Offer a command that is not declared, for `typed_command` only (section 9)."""
        self._runs.add(Entry(name, target, None, reject))

    def remove(self, name: str) -> None:
        """Offer a command no more; what runs goes on."""
        self._runs.remove(name)

    def declarations(self) -> list[Declaration]:
        """Return what is declared."""
        return self._runs.declarations()

    def cancel(self, run_id: str) -> bool:
        """Ask a run to end early; False if there is none of this id in progress."""
        return self._runs.cancel(run_id)

    def close(self, message: str = 'the bridge was stopped') -> None:
        """Take no more runs; what is in progress is asked to end, and has failed."""
        self._runs.close(message)

    # -- the link's side

    def hello(self) -> Mapping[str, Any]:
        """Return what `device_auth` says of commands, and of what agents have."""
        said = dict(self.agent.hello()) if self.agent else {}
        if commands := [declaration.body for declaration in self.declarations()]:
            said['commands'] = commands
        return said

    def opened(self, answer: Mapping[str, Any], now: float) -> None:
        """Begin a connection with what was left of the last one."""
        with self._lock:
            self._live = True
            self._lasting.opened(answer)
            self._momentary.opened(answer)
        for tell in self.on_opened:
            tell()

    def lost(self, now: float) -> None:
        """Stop what moves at the gateway's word."""
        with self._lock:
            self._live = False
            for reports in (self._lasting, self._momentary):
                reports.lost()
            self._messages.clear()
        for tell in self.on_lost:
            tell(now)
        if self.agent:
            self.agent.lost()
        self._runs.begin_accepted(now)

    def receive(self, message: Mapping[str, Any], now: float) -> bool:
        """Take a message; False if it means nothing here."""
        kind = message['type']
        if kind == 'command_run':
            request = read_run(message)
            if request is None:
                self.counters.add('command_runs_without_id')
            else:
                self._receive_run(request, now)
        elif kind == 'command_status_ack':
            with self._lock:
                record = self._lasting.take_ack(message)
                if record is not None:
                    self._runs.told(record)
        elif kind == 'typed_command':
            self._receive_typed(message, now)
        elif self.agent is not None and kind in self.agent.kinds:
            self._receive_agent(message, now)
        else:
            return False
        return True

    def messages_to_send(self, now: float) -> Sequence[Mapping[str, Any]]:
        """Return what has to be sent; what was accepted begins here, remembered all at once."""
        self._runs.begin_accepted(now)
        with self._lock:
            messages = [*self._momentary.messages_to_send(), *self._messages,
                        *self._lasting.messages_to_send()]
            self._messages.clear()
            forgotten = self._lasting.statuses_forgotten - self._told_forgotten
            self._told_forgotten += forgotten
        if forgotten:
            self.counters.drop('command_statuses', forgotten)
            log.warning('%d statuses of commands were given up: the gateway does not acknowledge '
                        'them', forgotten)
        return messages

    def deadline(self) -> float | None:
        """Return None: nothing is sent unasked."""
        return None

    # -- requests

    def run_local(self, command: str, params: object, told: Told, *, run_id: str = '',
                  expires_in_s: float | None = None) -> Run | None:
        """
        Run a declared command for a program of the robot's; `told` hears every status.

        A `run_id` that is known is not run again: `told` hears the end of the first, and there is
        no Run. CommandError for a refusal. Any thread may call.
        """
        now = time.monotonic()
        request = RunRequest(run_id or f'local-{uuid.uuid4()}', command, params,
                             None if expires_in_s is None else expires_in_s * 1000, 1)
        with self._lock:
            known = self._local.find(request.run_id)
            if known is not None:
                if not known.final:
                    raise CommandError('duplicate', f'run {known.run_id} is in progress')
                told(known.run_id, known.body())
                return None
            try:
                entry, taken = self._runs.judge(request)
            except CommandError as error:
                if (offered := self._runs.find(command)) is not None:
                    offered.refused(params, error)
                raise
            record = self._local.begin(request.run_id, command)
            reports = LocalReports(self, self._local, record, told)
            run = self._runs.accept(entry, request, taken, reports, record, now)
            reports.acknowledge()
        self._runs.begin_accepted(now)
        return run

    def _receive_run(self, request: RunRequest, now: float) -> None:
        self.counters.add('command_runs_received')
        with self._lock:
            entry = self._runs.find(request.command)
            momentary = entry is not None and entry.momentary
            log_of_runs = self._momentary if momentary else self._lasting
            budget = self._momentary_budget if momentary else self._budget
            if not (entry and entry.unlimited) and not budget.take(now):
                self._refuse_flood(log_of_runs, request)
                if entry is not None:
                    entry.refused(request.params, _flood())
                return
            known = log_of_runs.find(request.run_id)
            if known is not None:
                log_of_runs.repeat(known)
                return
            record = log_of_runs.begin(request.run_id, request.command)
            try:
                entry, params = self._runs.judge(request)
            except CommandError as error:
                self.counters.add(f'command_runs_{error.code}')
                log_of_runs.fail(record, error.code, str(error))
                if entry is not None:
                    entry.refused(request.params, error)
                return
            log_of_runs.acknowledge(record)
            reports = GatewayReports(self, log_of_runs, record)
            self._runs.accept(entry, request, params, reports, record, now)
        if momentary:
            self._runs.begin_accepted(now, momentary=True)

    def _refuse_flood(self, reports: CommandReports, request: RunRequest) -> None:
        self.counters.add('command_runs_flood')
        if reports.find(request.run_id) is None:
            reports.answer_unremembered(request.run_id, _flood().code, str(_flood()))

    # -- the other dialects

    def _receive_typed(self, message: Mapping[str, Any], now: float) -> None:
        identity, name = message.get('id'), message.get('command')
        if not (isinstance(identity, str) and len(identity) <= MAX_RUN_ID
                and isinstance(name, str) and len(name) <= MAX_RUN_ID):
            self.counters.add('command_runs_without_id')
            return
        self.counters.add('command_runs_received')
        if identity in self._legacy_ids:
            return
        reports = LegacyReports(self, identity, name)
        reports.acknowledge()
        with self._lock:
            entry = self._runs.find(name)
            if not (entry and entry.unlimited) and not self._budget.take(now):
                self.counters.add('command_runs_flood')
                reports.fail(_flood().code, str(_flood()))
                if entry is not None:
                    entry.refused(message.get('params'), _flood())
                return
            self._legacy_ids.append(identity)
            try:
                if entry is None and self.agent is not None and name in self.agent.kinds:
                    reports.succeed(self._ask_agent(name, message.get('params')))
                    return
                self._run_typed(entry, identity, message.get('params'), reports, now)
            except CommandError as error:
                self.counters.add(f'command_runs_{error.code}')
                reports.fail(error.code, str(error))
                if entry is not None:
                    entry.refused(message.get('params'), error)

    def _run_typed(self, entry: Entry | None, identity: str, params: object,
                   reports: LegacyReports, now: float) -> None:
        name = reports.command
        if entry is None:
            raise CommandError('unknown_command', f'unknown command: {name[:80]}')
        if entry.declaration is not None:
            params = take_params(entry.declaration, params)
        elif params is not None and not isinstance(params, dict):
            raise CommandError(
                'bad_params', f'params: saw {type(params).__name__}, expected an object')
        self._runs.check_free(entry)
        request = RunRequest(f'typed-{identity}', name, params, None, 1)
        taken: Mapping[str, Any] = params or {}
        self._runs.accept(entry, request, taken, reports, None, now)
        reports.accepted = True

    def _receive_agent(self, message: Mapping[str, Any], now: float) -> None:
        if not self._budget.take(now):
            self.counters.add('command_runs_flood')
            return
        assert self.agent is not None
        try:
            self.agent.receive(message)
        except CommandError as error:
            log.warning('%s: %s', message['type'], error)
            self.send({'type': 'device_error', 'source': f'command.{message["type"]}',
                       'error': str(error), 'severity': 'warning', 'timestamp': time.time()})

    def _ask_agent(self, kind: str, params: object) -> Mapping[str, Any]:
        if params is not None and not isinstance(params, dict):
            raise CommandError(
                'bad_params', f'params: saw {type(params).__name__}, expected an object')
        assert self.agent is not None
        return self.agent.receive({**(params or {}), 'type': kind})

    # -- what targets report, on any thread

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message if there is a connection; it is not kept. Any thread may call."""
        with self._lock:
            if not self._live:
                return
            if len(self._messages) >= MAX_MESSAGES:
                self.counters.drop('command_messages')
                return
            self._messages.append(message)
        self.wake()

    def report(self, change: Callable[[], None]) -> None:
        """Change the state of a run and have it sent."""
        with self._lock:
            change()
        self.wake()

    def ended(self, run_id: str, command: str, record: RunRecord | None) -> None:
        """Take note that a run is over; `record` is what is kept of it."""
        self._runs.ended(run_id, command, record)


def _flood() -> CommandError:
    return CommandError('busy', 'more commands a second than are taken')

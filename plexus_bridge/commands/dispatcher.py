# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The one place where everything that is asked of the robot arrives, in whatever dialect.

Commands v1 (protocol section 8), legacy commands (section 9), the agents' messages (section 11)
and runs that the robot's own programs ask for. What is not declared is not run.
"""

from __future__ import annotations

from collections import Counter
from collections import deque
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
import logging
import threading
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
from plexus_bridge.commands.run import Reports
from plexus_bridge.commands.run import Run
from plexus_bridge.commands.run import Target
from plexus_bridge.counters import Counters
from plexus_bridge.errors import CommandError
from plexus_bridge.errors import JournalError
from plexus_bridge.protocol.commands import CommandReports
from plexus_bridge.protocol.commands import read_run
from plexus_bridge.protocol.commands import RunRecord
from plexus_bridge.protocol.commands import RunRequest
from plexus_bridge.protocol.declarations import Declaration

log = logging.getLogger(__name__)

# Runs in progress, all commands together; what comes on top is busy.
MAX_ACTIVE = 64
# What may be asked of the robot per second, and at once; a drive command is another matter.
RUNS_PER_S, RUNS_AT_ONCE = 50, 100
MOMENTARY_PER_S, MOMENTARY_AT_ONCE = 100, 100
MAX_MESSAGES = 1024
_REMEMBERED_IDS = 256


class AgentMessages(Protocol):
    """What answers the agents' messages (section 11.3)."""

    kinds: frozenset[str]

    def hello(self) -> Mapping[str, Any]:
        """Return what is said of sensors and cameras in `device_auth` (section 11.2)."""

    def receive(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what a message asks; the result goes to who asked by `typed_command`."""

    def lost(self) -> None:
        """The connection is gone."""


@dataclass(frozen=True)
class _Entry:
    """
    A command that can be run.

    `declaration` is None for legacy commands, which only say their name. A `momentary` command is
    over at once: neither it nor its statuses are kept. An `unlimited` one is never too frequent.
    """

    name: str
    target: Target
    declaration: Declaration | None
    reject: bool
    momentary: bool = False
    unlimited: bool = False


class Dispatcher:
    """
    Takes requests, refuses or starts them, and reports; the link's `Control`.

    Targets report on any thread; `wake` is called when there is something to send. `memory` keeps
    runs across a restart. All else is called on the link's thread.
    """

    def __init__(self, counters: Counters, memory: RunMemory | None = None):
        self.wake: Callable[[], None] = lambda: None
        self.on_lost: list[Callable[[float], None]] = []
        self.agent: AgentMessages | None = None
        self.counters = counters
        self._memory = memory
        remembered = memory.load() if memory else []
        self._lasting = CommandReports(r for r in remembered if r.origin == 'gateway')
        self._momentary = CommandReports(replay=False)
        self._local = CommandReports(
            (r for r in remembered if r.origin == 'local'), replay=False, origin='local')
        self._budget = Budget(RUNS_PER_S, RUNS_AT_ONCE)
        self._momentary_budget = Budget(MOMENTARY_PER_S, MOMENTARY_AT_ONCE)
        self._lock = threading.RLock()
        self._entries: dict[str, _Entry] = {}
        self._active: Counter[str] = Counter()
        self._runs: dict[str, Run] = {}
        self._accepted: deque[tuple[_Entry, Run, RunRecord | None]] = deque()
        self._told: list[RunRecord] = []
        self._messages: deque[Mapping[str, Any]] = deque()
        self._legacy_ids: deque[str] = deque(maxlen=_REMEMBERED_IDS)
        self._live = False
        self._closed = False

    # -- what there is to run

    def add(self, declaration: Declaration, target: Target, *, momentary: bool = False,
            unlimited: bool = False) -> None:
        """Offer a command; one of the same name is replaced. The gateway hears at reconnecting."""
        with self._lock:
            self._entries[declaration.name] = _Entry(
                declaration.name, target, declaration, declaration.concurrency == 'reject',
                momentary, unlimited)

    def add_legacy(self, name: str, target: Target, *, reject: bool = False) -> None:
        """Offer a command that is not declared, for `typed_command` only (section 9)."""
        with self._lock:
            self._entries[name] = _Entry(name, target, None, reject)

    def remove(self, name: str) -> None:
        """Offer a command no more; what runs goes on."""
        with self._lock:
            self._entries.pop(name, None)

    def declarations(self) -> list[Declaration]:
        """Return what is declared."""
        with self._lock:
            return [entry.declaration for entry in self._entries.values() if entry.declaration]

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
        self._begin_accepted(now)

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
                    self._told.append(replace(record))
        elif kind == 'typed_command':
            self._receive_typed(message, now)
        elif self.agent is not None and kind in self.agent.kinds:
            self._receive_agent(message, now)
        else:
            return False
        return True

    def messages_to_send(self, now: float) -> Sequence[Mapping[str, Any]]:
        """Return what has to be sent; what was accepted begins here, remembered all at once."""
        self._begin_accepted(now)
        with self._lock:
            messages = [*self._momentary.messages_to_send(), *self._messages,
                        *self._lasting.messages_to_send()]
            self._messages.clear()
        return messages

    def deadline(self) -> float | None:
        """Return None: nothing is sent unasked."""
        return None

    # -- requests

    def run_local(self, command: str, params: object, told: Told, *, run_id: str = '',
                  expires_in_s: float | None = None) -> Run | None:
        """
        Run a declared command for a program of the robot's; `told` hears every status.

        A `run_id` that is known is not run again: `told` hears the state of the first, and there
        is no Run. CommandError for a refusal. Any thread may call.
        """
        now = time.monotonic()
        request = RunRequest(run_id or f'local-{uuid.uuid4()}', command, params,
                             None if expires_in_s is None else expires_in_s * 1000, 1)
        with self._lock:
            known = self._local.find(request.run_id)
            if known is not None:
                told(known.run_id, known.body())
                return None
            entry, taken = self._judge(request, now)
            record = self._local.begin(request.run_id, command)
            reports = LocalReports(self, self._local, record, told)
            run = self._accept(entry, request, taken, reports, record, now)
            reports.acknowledge()
        self._begin_accepted(now)
        return run

    def cancel(self, run_id: str) -> bool:
        """Ask a run to end early; False if there is none of this id in progress."""
        with self._lock:
            run = self._runs.get(run_id)
        if run is None:
            return False
        run.cancel()
        return True

    def _receive_run(self, request: RunRequest, now: float) -> None:
        self.counters.add('command_runs_received')
        with self._lock:
            entry = self._entries.get(request.command)
            momentary = entry is not None and entry.momentary
            log_of_runs = self._momentary if momentary else self._lasting
            budget = self._momentary_budget if momentary else self._budget
            if not (entry and entry.unlimited) and not budget.take(now):
                self._refuse_flood(log_of_runs, request)
                return
            known = log_of_runs.find(request.run_id)
            if known is not None:
                log_of_runs.repeat(known)
                return
            record = log_of_runs.begin(request.run_id, request.command)
            try:
                entry, params = self._judge(request, now)
            except CommandError as error:
                self.counters.add(f'command_runs_{error.code}')
                log_of_runs.fail(record, error.code, str(error))
                return
            log_of_runs.acknowledge(record)
            reports = GatewayReports(self, log_of_runs, record)
            self._accept(entry, request, params, reports, record, now)
        if momentary:
            self._begin_accepted(now, momentary=True)

    def _refuse_flood(self, reports: CommandReports, request: RunRequest) -> None:
        self.counters.add('command_runs_flood')
        if reports.find(request.run_id) is None:
            reports.answer_unremembered(
                request.run_id, 'busy', f'more than {RUNS_PER_S} commands a second')

    def _judge(self, request: RunRequest, now: float) -> tuple[_Entry, dict[str, Any]]:
        """Return the command and its parameters, or raise CommandError (section 8.3)."""
        entry = self._entries.get(request.command)
        if entry is None or entry.declaration is None:
            raise CommandError('unknown_command', f'unknown command: {request.command[:80]}')
        params = take_params(entry.declaration, request.params)
        if request.ttl_ms is not None and request.ttl_ms <= 0:
            raise CommandError('expired_on_arrival', 'its time was up when it arrived')
        self._check_free(entry)
        return entry, params

    def _check_free(self, entry: _Entry) -> None:
        if self._closed:
            raise CommandError('busy', 'the bridge is about to end')
        if entry.reject and self._active[entry.name]:
            raise CommandError('busy', f'command already in progress: {entry.name}')
        if self._active.total() >= MAX_ACTIVE and not entry.unlimited:
            raise CommandError('busy', f'{MAX_ACTIVE} commands are in progress already')

    def _accept(self, entry: _Entry, request: RunRequest, params: Mapping[str, Any],
                reports: Reports, record: RunRecord | None, now: float) -> Run:
        deadline = None if request.ttl_ms is None else now + request.ttl_ms / 1000
        run = Run(request.run_id, entry.name, params, reports, attempt=request.attempt,
                  deadline=deadline)
        self._active[entry.name] += 1
        self._runs[run.run_id] = run
        self._accepted.append((entry, run, record))
        return run

    def _begin_accepted(self, now: float, *, momentary: bool = False) -> None:
        """Start what was accepted, in order, once it is on disk that it was."""
        with self._lock:
            begun = [item for item in self._accepted if item[0].momentary or not momentary]
            if not begun and not self._told:
                return
            self._accepted = deque(item for item in self._accepted if item not in begun)
            records = [replace(record) for entry, _, record in begun
                       if record is not None and not entry.momentary]
            told, self._told = self._told, []
        self._save(told)
        self._save(records, durable=True)
        for entry, run, _ in begun:
            if run.ended:  # the bridge is about to end
                continue
            try:
                if run.expired(now):
                    raise CommandError('expired_on_arrival', 'its time was up before it began')
                entry.target.start(run)
            except Exception as error:
                if not isinstance(error, CommandError):
                    log.error('command %s could not be started', entry.name, exc_info=error)
                run.fail_with(error)

    # -- the other dialects

    def _receive_typed(self, message: Mapping[str, Any], now: float) -> None:
        identity, name = message.get('id'), message.get('command')
        if not isinstance(identity, str) or not isinstance(name, str):
            self.counters.add('command_runs_without_id')
            return
        self.counters.add('command_runs_received')
        if identity in self._legacy_ids:
            return
        reports = LegacyReports(self, identity, name)
        reports.acknowledge()
        with self._lock:
            entry = self._entries.get(name)
            if not (entry and entry.unlimited) and not self._budget.take(now):
                self.counters.add('command_runs_flood')
                reports.fail('busy', f'more than {RUNS_PER_S} commands a second')
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

    def _run_typed(self, entry: _Entry | None, identity: str, params: object,
                   reports: LegacyReports, now: float) -> None:
        name = reports.command
        if entry is None:
            raise CommandError('unknown_command', f'unknown command: {name[:80]}')
        if entry.declaration is not None:
            params = take_params(entry.declaration, params)
        elif params is not None and not isinstance(params, dict):
            raise CommandError(
                'bad_params', f'params: saw {type(params).__name__}, expected an object')
        self._check_free(entry)
        request = RunRequest(f'typed-{identity}', name, params, None, 1)
        taken: Mapping[str, Any] = params or {}
        self._accept(entry, request, taken, reports, None, now)
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
        """Take note that a run is over; `record` is what is remembered of it."""
        with self._lock:
            self._active[command] -= 1
            self._runs.pop(run_id, None)
            kept = None if record is None else replace(record)
        if kept is not None:
            self._save([kept])

    def close(self, message: str = 'the bridge was stopped') -> None:
        """Take no more runs; what is in progress is asked to end and has failed."""
        with self._lock:
            self._closed = True
            runs = list(self._runs.values())
        for run in runs:
            run.cancel()
            run.fail(message, 'cancelled')

    def _save(self, records: Sequence[RunRecord], *, durable: bool = False) -> None:
        if self._memory is None or not records:
            return
        try:
            self._memory.save(records, durable=durable)
        except JournalError as error:
            self.counters.add('command_memory_errors')
            if self.counters['command_memory_errors'] == 1:
                log.error('%s; runs are remembered until the bridge ends', error)

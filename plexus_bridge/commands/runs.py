# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What can be run, what runs, and what has run: requests of all dialects meet here."""

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
from typing import Any

from plexus_bridge.commands.declarations import take_params
from plexus_bridge.commands.memory import RunMemory
from plexus_bridge.commands.run import Reports
from plexus_bridge.commands.run import Run
from plexus_bridge.commands.run import Target
from plexus_bridge.counters import Counters
from plexus_bridge.errors import CommandError
from plexus_bridge.errors import JournalError
from plexus_bridge.protocol.commands import RunRecord
from plexus_bridge.protocol.commands import RunRequest
from plexus_bridge.protocol.declarations import Declaration

log = logging.getLogger(__name__)

# Runs in progress, all commands together; what comes on top is busy.
MAX_ACTIVE = 64


@dataclass(frozen=True)
class Entry:
    """
    A command that can be run.

    `declaration` is None for legacy commands, which only have a name. A `momentary` command is
    over at once: neither it nor its statuses are kept. An `unlimited` one is never too frequent.
    `on_refused` hears, with the parameters as they came, of requests that never got to the target.
    """

    name: str
    target: Target
    declaration: Declaration | None
    reject: bool
    momentary: bool = False
    unlimited: bool = False
    on_refused: Callable[[object, CommandError], None] | None = None

    def refused(self, params: object, error: CommandError) -> None:
        """Tell whoever wants to know."""
        if self.on_refused is not None:
            self.on_refused(params, error)


@dataclass(frozen=True)
class _Accepted:
    entry: Entry
    run: Run
    record: RunRecord | None


class Runs:
    """
    Judges requests, begins what was accepted, and knows what is in progress. Any thread may call.

    `lock` guards it, together with whatever else its owner has to change in the same moment.
    """

    def __init__(self, counters: Counters, memory: RunMemory | None):
        self.lock = threading.RLock()
        self.remembered = memory.load() if memory else []
        self._counters = counters
        self._memory = memory
        self._entries: dict[str, Entry] = {}
        self._active: Counter[str] = Counter()
        self._runs: dict[str, _Accepted] = {}
        self._accepted: deque[_Accepted] = deque()
        self._told: list[RunRecord] = []
        self._closed = False

    # -- what there is to run

    def add(self, entry: Entry) -> None:
        """Offer a command; one of the same name is replaced."""
        with self.lock:
            self._entries[entry.name] = entry

    def remove(self, name: str) -> None:
        """Offer a command no more; what runs goes on."""
        with self.lock:
            self._entries.pop(name, None)

    def find(self, name: str) -> Entry | None:
        """Return a command, None if there is none of this name."""
        return self._entries.get(name)

    def declarations(self) -> list[Declaration]:
        """Return what is declared."""
        with self.lock:
            return [entry.declaration for entry in self._entries.values() if entry.declaration]

    # -- requests

    def judge(self, request: RunRequest) -> tuple[Entry, dict[str, Any]]:
        """Return the command and its parameters, or raise CommandError (section 8.3)."""
        entry = self._entries.get(request.command)
        if entry is None or entry.declaration is None:
            raise CommandError('unknown_command', f'unknown command: {request.command[:80]}')
        params = take_params(entry.declaration, request.params)
        if request.ttl_ms is not None and request.ttl_ms <= 0:
            raise CommandError('expired_on_arrival', 'its time was up when it arrived')
        self.check_free(entry)
        return entry, params

    def check_free(self, entry: Entry) -> None:
        """Raise CommandError ``busy`` if a command cannot be begun now."""
        if self._closed:
            raise CommandError('busy', 'the bridge is about to end')
        if entry.reject and self._active[entry.name]:
            raise CommandError('busy', f'command already in progress: {entry.name}')
        if self._active.total() >= MAX_ACTIVE and not entry.unlimited:
            raise CommandError('busy', f'{MAX_ACTIVE} commands are in progress already')

    def accept(self, entry: Entry, request: RunRequest, params: Mapping[str, Any],
               reports: Reports, record: RunRecord | None, now: float) -> Run:
        """Take a run that was judged; `begin_accepted` starts it."""
        deadline = None if request.ttl_ms is None else now + request.ttl_ms / 1000
        run = Run(request.run_id, entry.name, params, reports, attempt=request.attempt,
                  deadline=deadline)
        self._active[entry.name] += 1
        accepted = _Accepted(entry, run, record)
        self._runs[run.run_id] = accepted
        self._accepted.append(accepted)
        return run

    def begin_accepted(self, now: float, *, momentary: bool = False) -> None:
        """
        Start what was accepted, in order, once it is on disk that it was.

        With `momentary` only what is over at once, and waits for no disk.
        """
        with self.lock:
            begun = [item for item in self._accepted if item.entry.momentary or not momentary]
            told = [] if momentary else self._told
            if not begun and not told:
                return
            self._accepted = deque(
                item for item in self._accepted if momentary and not item.entry.momentary)
            records = [replace(item.record) for item in begun
                       if item.record is not None and not item.entry.momentary]
            if not momentary:
                self._told = []
        self._save(told)
        self._save(records, durable=True)
        for item in begun:
            self._start(item.entry, item.run, now)

    @staticmethod
    def _start(entry: Entry, run: Run, now: float) -> None:
        if run.ended:  # the bridge is about to end
            return
        try:
            if run.expired(now):
                raise CommandError('expired_on_arrival', 'its time was up before it began')
            entry.target.start(run)
        except Exception as error:
            if not isinstance(error, CommandError):
                log.error('command %s could not be started', entry.name, exc_info=error)
            run.fail_with(error)

    # -- how runs end

    def told(self, record: RunRecord) -> None:
        """Take note that the gateway has heard the end of a run."""
        self._told.append(replace(record))

    def ended(self, run_id: str, command: str, record: RunRecord | None) -> None:
        """Take note that a run is over; `record` is what is kept of it."""
        with self.lock:
            self._active[command] -= 1
            accepted = self._runs.pop(run_id, None)
            # What is over at once, ever again, would drive out of the file what must not be
            # forgotten, and have the next order wait for a disk.
            is_kept = record is not None and not (accepted and accepted.entry.momentary)
            kept = replace(record) if is_kept and record is not None else None
        if kept is not None:
            self._save([kept])

    def cancel(self, run_id: str) -> bool:
        """Ask a run to end early; False if there is none of this id in progress."""
        with self.lock:
            accepted = self._runs.get(run_id)
        if accepted is None:
            return False
        accepted.run.cancel()
        return True

    def close(self, message: str) -> None:
        """Take no more runs; what is in progress is asked to end, and has failed."""
        with self.lock:
            self._closed = True
            runs = [accepted.run for accepted in self._runs.values()]
        for run in runs:
            run.cancel()
            run.fail(message, 'cancelled')

    def _save(self, records: Sequence[RunRecord], *, durable: bool = False) -> None:
        if self._memory is None or not records:
            return
        try:
            self._memory.save(records, durable=durable)
        except JournalError as error:
            self._counters.add('command_memory_errors')
            if self._counters['command_memory_errors'] == 1:
                log.error('%s; runs are remembered until the bridge ends', error)

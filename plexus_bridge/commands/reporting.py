# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How a run's statuses get to whoever asked for it: one class for each dialect."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import time
from typing import Any
from typing import Protocol

from plexus_bridge import encoding
from plexus_bridge.counters import Counters
from plexus_bridge.points import trim
from plexus_bridge.protocol.commands import CommandReports
from plexus_bridge.protocol.commands import json_result
from plexus_bridge.protocol.commands import MAX_STATUS_BYTES
from plexus_bridge.protocol.commands import RunRecord

# Hears a run's id and its state, a status of protocol section 8.4 without its number.
Told = Callable[[str, Mapping[str, Any]], None]
_MAX_ERROR_BYTES = 4096


class Desk(Protocol):
    """Where statuses are handed in: the dispatcher."""

    counters: Counters

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message if there is a connection."""

    def report(self, change: Callable[[], None]) -> None:
        """Change the state of a run and have it sent."""

    def ended(self, run_id: str, command: str, record: RunRecord | None) -> None:
        """Take note that a run is over."""


class GatewayReports:
    """Commands v1."""

    def __init__(self, desk: Desk, runs: CommandReports, record: RunRecord):
        self._desk = desk
        self._runs = runs
        self._record = record

    def running(self) -> None:
        """Say so."""
        self._desk.report(lambda: self._runs.running(self._record))

    def progress(self, percent: float, message: str) -> None:
        """Say so, at most once a second."""
        now = time.monotonic()
        self._desk.report(lambda: self._runs.progress(self._record, percent, message, now))

    def succeed(self, result: object) -> None:
        """Say so, and remember it."""
        self._desk.counters.add('command_runs_succeeded')
        self._desk.report(lambda: self._runs.succeed(self._record, result))
        self._desk.ended(self._record.run_id, self._record.command, self._record)

    def fail(self, code: str, message: str) -> None:
        """Say so, and remember it."""
        self._desk.counters.add(f'command_runs_{code}')
        self._desk.report(lambda: self._runs.fail(self._record, code, message))
        self._desk.ended(self._record.run_id, self._record.command, self._record)


class LocalReports(GatewayReports):
    """Runs that the robot's own programs ask for: kept as the gateway's are, told by a call."""

    def __init__(self, desk: Desk, runs: CommandReports, record: RunRecord, told: Told):
        super().__init__(desk, runs, record)
        self._told = told

    def acknowledge(self) -> None:
        """Say that it will be begun."""
        self._runs.acknowledge(self._record)
        self._tell()

    def running(self) -> None:
        """Say so."""
        super().running()
        self._tell()

    def progress(self, percent: float, message: str) -> None:
        """Say so; who listens here is not on a slow link."""
        self._told(self._record.run_id, {
            'state': 'progress', 'progress': percent, 'message': message})

    def succeed(self, result: object) -> None:
        """Say so, and remember it."""
        super().succeed(result)
        self._tell()

    def fail(self, code: str, message: str) -> None:
        """Say so, and remember it."""
        super().fail(code, message)
        self._tell()

    def _tell(self) -> None:
        self._told(self._record.run_id, self._record.body())


class LegacyReports:
    """Legacy commands: `ack` at once, then one `result` or `error`, all lost with the link."""

    def __init__(self, desk: Desk, identity: str, command: str):
        self.command = command
        # Whether it was begun: what was refused is no run in progress.
        self.accepted = False
        self._desk = desk
        self._identity = identity

    def acknowledge(self) -> None:
        """Say that it came."""
        self._send({'event': 'ack'})

    def running(self) -> None:
        """Say nothing: the dialect has no word for it."""

    def progress(self, percent: float, message: str) -> None:
        """Say nothing: the dialect has no word for it."""

    def succeed(self, result: object) -> None:
        """Say so."""
        plain = json_result(result)
        size = len(encoding.dumps(plain))
        if size > MAX_STATUS_BYTES:
            plain = {'value': f'left out: {size} bytes, expected at most {MAX_STATUS_BYTES}'}
        self._send({'event': 'result', 'result': plain})
        self._end()

    def fail(self, code: str, message: str) -> None:
        """Say so."""
        self._send({'event': 'error', 'error': trim(message, _MAX_ERROR_BYTES)})
        self._end()

    def _end(self) -> None:
        if self.accepted:
            self.accepted = False
            self._desk.ended(f'typed-{self._identity}', self.command, None)

    def _send(self, event: Mapping[str, Any]) -> None:
        self._desk.send({'type': 'command_result', 'id': self._identity,
                         'command': self.command, **event})

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Commands v1 on the robot's side of the wire: runs, their statuses, acknowledgements and replay.

Protocol section 8. Nothing here runs a command: the owner says what became of it, and sends what
`messages_to_send` gives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
import json
import math
from typing import Any
from typing import Literal

from plexus_bridge import encoding
from plexus_bridge.points import trim
from plexus_bridge.protocol.messages import is_seq

MAX_RUNS = 256
MAX_HELD = 256
MAX_STATUS_BYTES = 65536
PROGRESS_PERIOD_S = 1.0
# A gateway's ids are far shorter; one that fills a whole status could not be answered.
MAX_RUN_ID = 512
_MAX_REPR = 512
_MAX_MESSAGE_BYTES = 4096

State = Literal['', 'acknowledged', 'running', 'progress', 'succeeded', 'failed']
_FINAL = ('succeeded', 'failed')
# What a gateway that keeps no results must not be sent (section 6.3).
_WITHHELD = ('result', 'error_message', 'message')
# What is left out of a status that is too big, in this order (section 8.4).
_TRIMMED = (('result', 'message'), ('error_message',))


@dataclass(frozen=True)
class RunRequest:
    """A gateway asks to run a command (section 8.2); `ttl_ms` None: it does not expire."""

    run_id: str
    command: str
    params: object
    ttl_ms: float | None
    attempt: int


def read_run(message: Mapping[str, Any]) -> RunRequest | None:
    """Read a `command_run`; None for one without a usable `run_id`, which is to be ignored."""
    run_id = message.get('run_id')
    if not isinstance(run_id, str) or not 1 <= len(run_id) <= MAX_RUN_ID:
        return None
    command = message.get('command')
    attempt = message.get('attempt')
    return RunRequest(
        run_id, command if isinstance(command, str) else '', message.get('params'),
        _duration(message.get('ttl_ms')), attempt if is_seq(attempt) else 1)  # type: ignore[arg-type]


def _duration(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        # What is no duration at all has passed.
        return float(value) if math.isfinite(value) else 0.0
    except OverflowError:
        return math.inf if value > 0 else 0.0


def json_result(value: object) -> dict[str, Any]:
    """Return what a command gave back as the JSON object of section 8.3, step 7."""
    if value is None:
        return {}
    try:
        # There and back: what is remembered is what JSON makes of it, keys as texts included.
        plain = json.loads(encoding.standard_dumps(value))
        encoding.dumps(plain)  # an integer of more than 64 bits is none to every JSON writer
    except (TypeError, ValueError):
        return {'value': trim(repr(value)[:_MAX_REPR], 4 * _MAX_REPR)}
    return plain if isinstance(plain, dict) else {'value': plain}


@dataclass
class RunRecord:
    """What is remembered of a run: `seq` is the last number used, `acked` the last one heard."""

    run_id: str
    command: str
    state: State = ''
    seq: int = 0
    acked: int = 0
    result: dict[str, Any] | None = None
    error_code: str = ''
    error_message: str = ''
    # Who numbers the runs: the same id from elsewhere is another run.
    origin: str = 'gateway'
    ran: bool = False
    progress_at: float = -math.inf

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.state in _FINAL

    def body(self) -> dict[str, Any]:
        """Return its state as a status without its number."""
        status: dict[str, Any] = {'state': self.state}
        if self.state == 'succeeded' and self.result is not None:
            status['result'] = self.result
        elif self.state == 'failed':
            status['error_code'] = self.error_code
            status['error_message'] = self.error_message
        return status


class CommandReports:
    """
    The runs of one robot and their statuses; `now` is monotonic seconds.

    `remembered` are runs of an earlier process. Without `replay` nothing outlives a connection:
    that is for runs which are of no interest a second later.
    """

    def __init__(self, remembered: Iterable[RunRecord] = (), *, replay: bool = True,
                 origin: str = 'gateway'):
        self._origin = origin
        self._runs: dict[str, RunRecord] = {record.run_id: record for record in remembered}
        self._held: deque[dict[str, Any]] = deque()
        self._outgoing: deque[dict[str, Any]] = deque()
        self._replay = replay
        self._live = False
        self._keeps_results = True
        self._max_bytes = MAX_STATUS_BYTES
        self.statuses_forgotten = 0
        for record in self._runs.values():
            if record.final and record.acked < record.seq:
                self._hold(record)

    def find(self, run_id: str) -> RunRecord | None:
        """Return a run that is remembered, None if it is not."""
        return self._runs.get(run_id)

    def begin(self, run_id: str, command: str) -> RunRecord:
        """Remember a new run; it has no state yet."""
        record = RunRecord(run_id, command, origin=self._origin)
        self._runs[run_id] = record
        if len(self._runs) > MAX_RUNS:
            self._forget_one()
        return record

    def _forget_one(self) -> None:
        # The oldest; but what was refused goes before what has run, so that a flood of refusals
        # cannot make a run happen twice. What still runs stays.
        records = list(self._runs.values())[:-1]
        oldest = next((record for record in records if record.final and not record.ran), None) \
            or next((record for record in records if record.final), None)
        if oldest is not None:
            del self._runs[oldest.run_id]

    # -- what became of a run

    def acknowledge(self, record: RunRecord) -> None:
        """Say that a run will be begun."""
        record.ran = True
        self._enter(record, 'acknowledged')

    def running(self, record: RunRecord) -> None:
        """Say that a run has begun."""
        if record.state in ('', 'acknowledged'):
            self._enter(record, 'running')

    def progress(self, record: RunRecord, percent: float, message: str, now: float) -> None:
        """Say how far a run is, 0 to 100; at most once a second is anything sent."""
        if record.final or not self._live or math.isnan(percent):
            return
        percent = min(100.0, max(0.0, float(percent)))
        if percent < 100.0 and now < record.progress_at + PROGRESS_PERIOD_S:
            return
        record.progress_at = now
        record.seq += 1
        status = self._status(record, {'state': 'progress', 'progress': percent})
        if message:
            status['message'] = trim(message, _MAX_MESSAGE_BYTES)
        self._put_out(status)

    def succeed(self, record: RunRecord, result: object) -> None:
        """Say that a run ended well, and what it gave back."""
        if not record.final:
            plain = json_result(result)
            too_big = len(encoding.dumps(plain)) > MAX_STATUS_BYTES
            record.result = None if too_big else plain
            self._enter(record, 'succeeded')

    def fail(self, record: RunRecord, code: str, message: str) -> None:
        """Say that a run was refused or ended badly; `code` is one of section 8.4."""
        if not record.final:
            record.error_code = code
            record.error_message = trim(message, _MAX_MESSAGE_BYTES)
            self._enter(record, 'failed')

    def repeat(self, record: RunRecord) -> None:
        """Answer a run that came again with its state, under a new number (section 8.3)."""
        if record.state == '':
            self.fail(record, 'duplicate', 'this run was received before')
            return
        # The same is not held twice: one run that comes ever again displaces no other's.
        self._held = deque(status for status in self._held if not (
            status['run_id'] == record.run_id and status['state'] == record.state))
        record.seq += 1
        self._hold(record)

    def answer_unremembered(self, run_id: str, code: str, message: str) -> bool:
        """Refuse a run of which nothing is kept; False if there is no room for the answer."""
        if not self._live or len(self._outgoing) >= MAX_HELD:
            return False
        self._put_out({'type': 'command_status', 'run_id': run_id, 'seq': 1, 'state': 'failed',
                       'error_code': code, 'error_message': message})
        return True

    # -- the connection

    def opened(self, answer: Mapping[str, Any]) -> None:
        """Take a new connection: what is remembered and was not acknowledged goes out first."""
        self._live = True
        self._keeps_results = answer.get('store_results') is not False
        limit = answer.get('max_frame_bytes')
        if isinstance(limit, int) and is_seq(limit):
            self._max_bytes = min(self._max_bytes, limit)
        self._outgoing.clear()
        known = [{'run_id': record.run_id, 'state': record.state, 'seq': record.seq}
                 for record in self._runs.values() if record.state] if self._replay else []
        if known:
            self._outgoing.append({'type': 'command_sync', 'runs': known})
        for status in self._held:
            self._put_out(status)

    def lost(self) -> None:
        """Take note that the connection is gone; what it did not acknowledge comes again."""
        self._live = False
        self._outgoing.clear()

    def take_ack(self, message: Mapping[str, Any]) -> RunRecord | None:
        """Read a `command_status_ack`; returns the run whose end the gateway now has, if any."""
        run_id, seq = message.get('run_id'), message.get('seq')
        if not isinstance(run_id, str) or not is_seq(seq):
            return None
        number: int = seq  # type: ignore[assignment]
        self._held = deque(status for status in self._held if not (
            status['run_id'] == run_id and status['seq'] <= number))
        record = self._runs.get(run_id)
        if record is None or number > record.seq:
            return None
        news = record.final and record.acked < record.seq <= number
        record.acked = max(record.acked, number)
        return record if news else None

    def messages_to_send(self) -> list[dict[str, Any]]:
        """Return, once, what has to be sent now, in order."""
        messages = list(self._outgoing)
        self._outgoing.clear()
        return messages

    # -- statuses

    def _enter(self, record: RunRecord, state: State) -> None:
        record.state = state
        record.seq += 1
        self._hold(record)

    def _hold(self, record: RunRecord) -> None:
        status = self._status(record, record.body())
        if self._replay:
            self._held.append(status)
            if len(self._held) > MAX_HELD:
                self._held.popleft()
                self.statuses_forgotten += 1
        if self._live:
            self._put_out(status)

    @staticmethod
    def _status(record: RunRecord, body: Mapping[str, Any]) -> dict[str, Any]:
        return {'type': 'command_status', 'run_id': record.run_id, 'seq': record.seq, **body}

    def _put_out(self, status: Mapping[str, Any]) -> None:
        sent = dict(status)
        if not self._keeps_results:
            for key in _WITHHELD:
                sent.pop(key, None)
        for keys in _TRIMMED:
            if len(encoding.dumps(sent)) <= self._max_bytes:
                break
            for key in keys:
                sent.pop(key, None)
        self._outgoing.append(sent)

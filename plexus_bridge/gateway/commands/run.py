# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
One run of a command, from the request to its end (protocol section 8).

No clock, no socket and no database: what happens is handed in, what it means is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import fields
import math
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.points import trim
from plexus_bridge.protocol.messages import is_seq

V1 = 'v1'
LEGACY = 'legacy'

# Of a run that no device has answered yet.
SENT = 'sent'
SUCCEEDED = 'succeeded'
FAILED = 'failed'
FINAL = frozenset((SUCCEEDED, FAILED))
STATES = frozenset(('acknowledged', 'running', 'progress', SUCCEEDED, FAILED))
# Ours, beside the seven codes of section 8.4: nobody acknowledged it in time; the device came
# back without knowing of it; it was not connected at all.
EXPIRED = 'expired'
LOST = 'lost'
NOT_CONNECTED = 'not_connected'

MAX_RESULT_BYTES = 65_536
_MAX_TEXT_BYTES = 4_096


@dataclass
class Run:
    """
    A run as it is kept and shown; times are Unix ms.

    `attempt` counts how often it was sent, `seq` is the newest number of a status. `final_word`
    tells that its end was the device's word, which nothing changes any more.
    """

    run_id: str
    source_id: str
    command: str
    params: Mapping[str, Any]
    dialect: str
    operator: str
    idempotent: bool
    created_ms: int
    expires_ms: int
    attempt: int = 0
    state: str = SENT
    seq: int = 0
    progress: float | None = None
    message: str | None = None
    result: Any = None
    error_code: str | None = None
    error_message: str | None = None
    updated_ms: int = 0
    final_word: bool = False

    @property
    def final(self) -> bool:
        """Whether it has ended, as far as is known."""
        return self.state in FINAL

    def body(self) -> dict[str, Any]:
        """Return what is shown of it: what has no value is left out."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        del shown['final_word'], shown['idempotent']
        return {name: value for name, value in shown.items() if value is not None}

    def message_to_device(self, ttl_ms: float) -> dict[str, Any]:
        """Return the message that has the device run it, counting the attempt."""
        self.attempt += 1
        if self.dialect == LEGACY:
            return {'type': 'typed_command', 'id': self.run_id, 'command': self.command,
                    'params': self.params}
        return {'type': 'command_run', 'run_id': self.run_id, 'command': self.command,
                'params': self.params, 'ttl_ms': max(0, math.floor(ttl_ms)),
                'attempt': self.attempt}

    def hear(self, status: Mapping[str, Any], now_ms: int, *, keep_results: bool = True) -> bool:
        """
        Take a `command_status` (section 8.4); False if it says nothing new.

        A number that was heard before is a repetition, except for a run that was sent again: a
        device that was restarted meanwhile begins at 1. The device's word about the end counts
        more than ours, and its first one more than later ones.
        """
        state, seq = status.get('state'), status.get('seq')
        if not isinstance(state, str) or state not in STATES or not is_seq(seq) or self.final_word:
            return False
        if self.attempt > 1 and seq == 1:
            self.seq = 0
        if seq <= self.seq:  # type: ignore[operator]
            return False
        self.seq = seq  # type: ignore[assignment]
        self.state = 'running' if state == 'progress' else state
        self.updated_ms = now_ms
        self.error_code = self.error_message = None
        if state == 'progress':
            self._take_progress(status, keep_results)
        elif state == SUCCEEDED:
            self.final_word = True
            self.progress = None
            self.result = _fitting(status.get('result')) if keep_results else None
        elif state == FAILED:
            self.final_word = True
            self.error_code = _text(status.get('error_code')) or 'handler_error'
            self.error_message = _text(status.get('error_message')) if keep_results else None
        return True

    def end(self, code: str, text: str, now_ms: int) -> None:
        """Note that it has failed as far as the gateway can tell."""
        self.state = FAILED
        self.error_code = code
        self.error_message = text
        self.updated_ms = now_ms

    def hear_legacy(self, result: Mapping[str, Any], now_ms: int) -> bool:
        """Take a `command_result` (section 9); False if it says nothing new."""
        event = result.get('event')
        if self.final_word or event not in ('ack', 'result', 'error'):
            return False
        self.seq += 1
        self.updated_ms = now_ms
        self.error_code = self.error_message = None
        if event == 'ack':
            self.state = 'acknowledged'
        elif event == 'result':
            self.state = SUCCEEDED
            self.result = _fitting(result.get('result'))
        else:
            self.state = FAILED
            self.error_code = 'handler_error'
            self.error_message = _text(result.get('error'))
        self.final_word = event != 'ack'
        return True

    def _take_progress(self, status: Mapping[str, Any], keep_results: bool) -> None:
        progress = status.get('progress')
        if isinstance(progress, int | float) and not isinstance(progress, bool):
            self.progress = float(min(max(progress, 0), 100)) if progress == progress else None
        self.message = _text(status.get('message')) if keep_results else None


def _text(value: object) -> str | None:
    return trim(value, _MAX_TEXT_BYTES) if isinstance(value, str) else None


def _fitting(result: object) -> Any:
    """Return a result, or None for one that is too large or cannot be written (section 8.4)."""
    try:
        return result if len(encoding.dumps(result)) <= MAX_RESULT_BYTES else None
    except (TypeError, ValueError):
        return None

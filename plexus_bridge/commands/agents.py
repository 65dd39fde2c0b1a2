# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The agents' messages (protocol section 11.3), each kind answered by whoever knows about it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import math
import time
from typing import Any

from plexus_bridge.commands.dispatcher import AgentMessages
from plexus_bridge.commands.output import BoundedOutput
from plexus_bridge.commands.programs import MAX_TIMEOUT_S
from plexus_bridge.commands.programs import Programs
from plexus_bridge.commands.session_news import SessionNews
from plexus_bridge.commands.streams import Streams
from plexus_bridge.errors import CommandError

Message = Mapping[str, Any]
MAX_NAMES = 1000
MAX_TEXT = 256


class Agents:
    """Several of them as one."""

    def __init__(self) -> None:
        self._parts: list[AgentMessages] = []

    def add(self, part: AgentMessages) -> None:
        """Have a part's kinds of messages answered by it."""
        self._parts.append(part)

    @property
    def kinds(self) -> frozenset[str]:
        """All kinds that are answered."""
        return frozenset().union(*(part.kinds for part in self._parts))

    def hello(self) -> Mapping[str, Any]:
        """Return what all of them say of themselves."""
        return {key: value for part in self._parts for key, value in part.hello().items()}

    def receive(self, message: Message) -> Mapping[str, Any]:
        """Hand a message to whom it concerns."""
        for part in self._parts:
            if message['type'] in part.kinds:
                return part.receive(message)
        raise CommandError('unknown_command', f'unknown message: {message["type"]}')

    def lost(self) -> None:
        """The connection is gone."""
        for part in self._parts:
            part.lost()


class StreamMessages:
    """Streams, sessions, rates, and `ping`."""

    kinds = frozenset(('start_stream', 'stop_stream', 'start_session', 'stop_session',
                       'configure', 'ping'))

    def __init__(self, streams: Streams, send: Callable[[Message], None],
                 sensors: Callable[[], Sequence[Message]] = tuple):
        self._streams = streams
        self._send = send
        self._sensors = sensors
        self._news = SessionNews(send)
        streams.on_session = self._news.take

    def hello(self) -> Mapping[str, Any]:
        """Return the inventory of sensors: what can be streamed and configured, by name."""
        sensors = self._sensors()
        return {'sensors': sensors} if sensors else {}

    def receive(self, message: Message) -> Mapping[str, Any]:
        """Do what a message asks; CommandError ``bad_params`` if that makes no sense."""
        result: Mapping[str, Any] = getattr(self, f'_{message["type"]}')(message)
        return result

    def opened(self) -> None:
        """Begin what only somebody watching wants, and tell what was missed."""
        self._streams.opened()
        self._news.opened()

    def lost(self) -> None:
        """End what only somebody watching wants."""
        self._streams.lost()
        self._news.lost()

    def _ping(self, message: Message) -> Mapping[str, Any]:
        self._send({'type': 'pong'})
        return {}

    def _start_stream(self, message: Message) -> Mapping[str, Any]:
        stream_id = self._streams.start_stream(
            _text(message, 'id'), _names(message), _interval_ms(message, 100.0), remote=True,
            keep=message.get('store') is True)
        return {'id': stream_id}

    def _stop_stream(self, message: Message) -> Mapping[str, Any]:
        # Browsers call it stream_id.
        stream_id = _text(message, 'id') or _text(message, 'stream_id') or '*'
        return {'stopped': self._streams.stop_streams(stream_id)}

    def _start_session(self, message: Message) -> Mapping[str, Any]:
        session = self._streams.start_session(
            _text(message, 'session_id'), _text(message, 'session_name'), _names(message),
            _interval_ms(message, None))
        return {'session_id': session.session_id}

    def _stop_session(self, message: Message) -> Mapping[str, Any]:
        session = self._streams.stop_session(_text(message, 'session_id'))
        return {'session_id': session.session_id}

    def _configure(self, message: Message) -> Mapping[str, Any]:
        config = message.get('config')
        if not isinstance(config, Mapping):
            raise CommandError(
                'bad_params', f'config: saw {type(config).__name__}, expected an object')
        sensor = _text(message, 'sensor')

        def done(problem: str) -> None:
            if problem:
                self._send({'type': 'device_error', 'source': f'sensor.{sensor}',
                            'error': problem, 'severity': 'warning', 'timestamp': time.time()})

        self._streams.configure(sensor, config, done)
        return {}


class ProgramMessages:
    """Programs that the map allows, and `cancel`: of the program, or of the run that it names."""

    kinds = frozenset(('execute', 'cancel'))

    def __init__(self, programs: Programs, send: Callable[[Message], None],
                 cancel_run: Callable[[str], bool]):
        self._programs = programs
        self._send = send
        self._cancel_run = cancel_run

    def hello(self) -> Mapping[str, Any]:
        """Return nothing: what may be executed is nobody else's business."""
        return {}

    def receive(self, message: Message) -> Mapping[str, Any]:
        """Start a program, or end one."""
        if message['type'] == 'cancel':
            self._cancel(message)
            return {}
        command = message.get('command')
        if not isinstance(command, str) or not command.strip():
            return {}  # section 11.5: an empty command is ignored
        timeout_s = message.get('timeout_seconds')
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not (
                0 < timeout_s <= MAX_TIMEOUT_S):
            timeout_s = None
        self._programs.start(
            _text(message, 'id'), command, timeout_s, BoundedOutput(self._send).take)
        return {}

    def _cancel(self, message: Message) -> None:
        run_id = _text(message, 'run_id')
        if run_id:
            # Of a run that has just ended nothing is left to cancel: no program is meant.
            self._cancel_run(run_id)
            return
        name = _text(message, 'id')
        if not (name and self._cancel_run(name)):
            self._programs.cancel()

    def lost(self) -> None:
        """Go on: a program is not cut short by a bad link."""


def _text(message: Message, key: str) -> str:
    value = message.get(key)
    if value is None:
        return ''
    if not isinstance(value, str) or len(value.encode(errors='replace')) > MAX_TEXT:
        raise CommandError('bad_params', f'{key}: expected a text of at most {MAX_TEXT} bytes')
    return value


def _names(message: Message) -> tuple[str, ...]:
    names = message.get('metrics')
    if names is None:
        return ()
    if (not isinstance(names, list) or len(names) > MAX_NAMES
            or not all(isinstance(name, str) and len(name) <= MAX_TEXT for name in names)):
        raise CommandError('bad_params', f'metrics: expected at most {MAX_NAMES} names')
    return tuple(names)


def _interval_ms(message: Message, default: float | None) -> float | None:
    value = message.get('interval_ms')
    if value is None:
        return default
    if (isinstance(value, bool) or not isinstance(value, int | float)
            or not 0 <= value <= 86_400_000 or not math.isfinite(value)):
        raise CommandError('bad_params', 'interval_ms: expected milliseconds from 0 on')
    return float(value) or default

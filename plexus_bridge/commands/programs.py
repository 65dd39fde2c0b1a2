# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Programs that a dashboard may start: what the map allows, without a shell, one at a time.

Protocol section 11.5. There is none unless the map lists it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
from fnmatch import fnmatchcase
import os
import shlex
import signal
import subprocess
import threading
from typing import Any

from plexus_bridge.errors import CommandError
from plexus_bridge.points import trim

DEFAULT_TIMEOUT_S = 300.0
MAX_TIMEOUT_S = 86_400.0
# Between a polite request to end and the end.
TERMINATE_S = 5.0
MAX_LINE_BYTES = 4096
MAX_COMMAND = 4096
_SHOWN_BYTES = 256
# Refused whatever is allowed: what no robot survives.
DENIED = (
    'rm -rf /', 'rm -rf /[*]', 'rm -fr /', 'rm -r -f /', 'mkfs*', '*dd *of=/dev/*', 'shutdown*',
    'reboot*', 'poweroff*', 'halt*', 'init 0*', 'init 6*', '*:(){*', '*> /dev/sd*')

Emit = Callable[[Mapping[str, Any]], None]


class Program:
    """A program in progress; its output goes, line by line, to `emit` as `output` messages."""

    def __init__(self, identity: str, arguments: Sequence[str], timeout_s: float, emit: Emit,
                 ended: Callable[[Program], None]):
        self.identity = identity
        self._emit = emit
        self._ended = ended
        self._timed_out = False
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        self._kill = threading.Timer(TERMINATE_S, self._signal, (signal.SIGKILL,))
        self._deadline = threading.Timer(timeout_s, self._time_out)
        for timer in (self._kill, self._deadline):
            timer.daemon = True
        self._deadline.start()
        self._thread = threading.Thread(target=self._read, name='plexus-execute', daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to end, and see to it that it does."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(RuntimeError):  # asked before
            self._kill.start()

    def _time_out(self) -> None:
        self._timed_out = True
        self._say('timeout')
        self.cancel()

    def _signal(self, number: signal.Signals) -> None:
        # The whole group: a program's children have its output open.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _read(self) -> None:
        output = self._process.stdout
        assert output is not None
        with output:
            while line := output.readline(MAX_LINE_BYTES):
                self._say('data', data=line.decode(errors='replace'))
        code = self._process.wait()
        self._deadline.cancel()
        self._kill.cancel()
        self._ended(self)
        self._say('exit', code=code)

    def _say(self, event: str, **more: Any) -> None:
        self._emit({'type': 'output', 'id': self.identity, 'event': event, **more})


class Programs:
    """Starts what is allowed; one at a time."""

    def __init__(self, allow: Sequence[str] = (), deny: Sequence[str] = (),
                 timeout_s: float = DEFAULT_TIMEOUT_S):
        self._allow = tuple(allow)
        self._deny = (*DENIED, *deny)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._program: Program | None = None

    def start(self, identity: str, line: str, timeout_s: float | None, emit: Emit) -> Program:
        """Start a program; CommandError says why not, and so does an `output` message."""
        try:
            arguments = self._arguments(line)
            with self._lock:
                if self._program is not None:
                    raise CommandError('busy', 'another program is in progress; cancel it first')
                emit({'type': 'output', 'id': identity, 'event': 'start', 'command': line})
                self._program = Program(
                    identity, arguments, timeout_s or self._timeout_s, emit, self._forget)
                return self._program
        except OSError as error:
            problem = CommandError('handler_error', f'Command not started: {error}')
        except CommandError as error:
            problem = error
        emit({'type': 'output', 'id': identity, 'event': 'error', 'error': str(problem),
              'command': trim(line, _SHOWN_BYTES)})
        raise problem

    def cancel(self) -> None:
        """End what is in progress: TERM, and KILL after five seconds."""
        with self._lock:
            program = self._program
        if program is not None:
            program.cancel()

    def _forget(self, program: Program) -> None:
        with self._lock:
            if self._program is program:
                self._program = None

    def _arguments(self, line: str) -> list[str]:
        if len(line) > MAX_COMMAND:
            raise CommandError('bad_params', f'Command rejected: longer than {MAX_COMMAND}')
        try:
            arguments = shlex.split(line)
        except ValueError as error:
            raise CommandError('bad_params', f'Command rejected: {error}') from None
        if not arguments or '\0' in line:
            raise CommandError('bad_params', 'Command rejected: it is empty')
        # In one form, so that blanks and quotes hide nothing.
        plain = ' '.join(arguments)
        for pattern in self._deny:
            if fnmatchcase(plain, pattern) or fnmatchcase(line, pattern):
                raise CommandError('bad_params', f'Command rejected: {pattern!r} is denied')
        if not any(fnmatchcase(plain, pattern) for pattern in self._allow):
            raise CommandError(
                'bad_params', 'Command rejected: the map does not allow it (execute: allow:)')
        return arguments


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
import math
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
from typing import Any

from plexus_bridge.errors import CommandError
from plexus_bridge.points import trim

DEFAULT_TIMEOUT_S = 300.0
MAX_TIMEOUT_S = 86_400.0
# Between a polite request to end and the end; shorter where the bridge itself ends.
TERMINATE_S = 5.0
CLOSE_S = 1.0
# How long output is waited for that a program's children hold open after its end.
LINGER_S = 0.5
MAX_LINE_BYTES = 4096
MAX_COMMAND = 4096
_READ_BYTES = 65_536
_LOOK_S = 0.05
_SHOWN_BYTES = 256
# Refused whatever is allowed: what no robot survives.
DENIED = (
    'rm -rf /', 'rm -rf /[*]', 'rm -fr /', 'rm -r -f /', 'mkfs*', '*dd *of=/dev/*', 'shutdown*',
    'reboot*', 'poweroff*', 'halt*', 'init 0*', 'init 6*', '*:(){*', '*> /dev/sd*')

# What a program's output must not tell.
SECRETS = ('PLEXUS_API_KEY',)

Emit = Callable[[Mapping[str, Any]], None]


class Program:
    """
    A program in progress; its output goes, line by line, to `emit` as `output` messages.

    One thread reads, signals and reaps it, so that no signal goes to whoever has its number next.
    """

    def __init__(self, identity: str, arguments: Sequence[str], timeout_s: float, emit: Emit,
                 ended: Callable[[Program], None]):
        self.identity = identity
        self._emit = emit
        self._ended = ended
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, env=_environment())
        self._deadline = time.monotonic() + timeout_s
        self._end = threading.Event()
        self._kill_after_s = TERMINATE_S
        self._kill_at: float | None = None
        self._rest = b''
        self._thread = threading.Thread(target=self._watch, name='plexus-execute', daemon=True)
        self._thread.start()

    def cancel(self, kill_after_s: float = TERMINATE_S) -> None:
        """Ask it to end, and see to it that it does; any thread may call."""
        self._kill_after_s = min(self._kill_after_s, kill_after_s)
        self._end.set()

    def wait(self, timeout_s: float) -> None:
        """Wait for its end."""
        self._thread.join(timeout_s)

    # -- its thread

    def _watch(self) -> None:
        output = self._process.stdout
        assert output is not None
        ended_at = math.inf
        with output, selectors.DefaultSelector() as selector:
            os.set_blocking(output.fileno(), False)
            selector.register(output, selectors.EVENT_READ)
            # What a child of a child still holds open is not waited for.
            while (now := time.monotonic()) < ended_at + LINGER_S:
                readable = selector.select(_LOOK_S)
                if readable and not self._read(output.fileno()):
                    selector.unregister(output)
                self._heed_time(now)
                if not readable and self._has_ended():
                    if not selector.get_map():
                        break
                    ended_at = min(ended_at, now)
        self._say_lines(self._rest, last=True)
        if self._kill_at is not None:
            self._signal(signal.SIGKILL)  # whatever of its group is left
        self._process.wait()
        self._ended(self)
        self._say('exit', code=self._process.returncode)

    def _read(self, descriptor: int) -> bool:
        """Pass on what has come; False at the end of the output."""
        data = os.read(descriptor, _READ_BYTES)
        self._rest = self._say_lines(self._rest + data, last=not data)
        return bool(data)

    def _say_lines(self, data: bytes, *, last: bool) -> bytes:
        """Pass on whole lines, over-long ones in pieces; return what is not whole yet."""
        *lines, rest = data.split(b'\n')
        for line in [line + b'\n' for line in lines] + ([rest] if last and rest else []):
            for start in range(0, len(line), MAX_LINE_BYTES):
                self._say('data', data=line[start:start + MAX_LINE_BYTES].decode(errors='replace'))
        if last:
            return b''
        while len(rest) >= MAX_LINE_BYTES:
            self._say('data', data=rest[:MAX_LINE_BYTES].decode(errors='replace'))
            rest = rest[MAX_LINE_BYTES:]
        return rest

    def _has_ended(self) -> bool:
        # Seen without being reaped: until then its number is nobody else's.
        return os.waitid(
            os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _heed_time(self, now: float) -> None:
        if self._kill_at is None and (now >= self._deadline or self._end.is_set()):
            if not self._end.is_set():
                self._say('timeout')
            self._signal(signal.SIGTERM)
            self._kill_at = now
        if self._kill_at is not None and now >= self._kill_at + self._kill_after_s:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # The whole group: a program's children have its output open.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _say(self, event: str, **more: Any) -> None:
        self._emit({'type': 'output', 'id': self.identity, 'event': event, **more})


def _environment() -> dict[str, str]:
    """Return ours without what only we are to know."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS}


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

    def close(self) -> None:
        """End what is in progress, for the bridge ends: TERM, and KILL after one second."""
        with self._lock:
            program = self._program
        if program is not None:
            program.cancel(CLOSE_S)
            program.wait(CLOSE_S + 1.0)

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
        # Nor does the folder of a program.
        forms = plain, line, ' '.join([os.path.basename(arguments[0]), *arguments[1:]])
        for pattern in self._deny:
            if any(fnmatchcase(form, pattern) for form in forms):
                raise CommandError('bad_params', f'Command rejected: {pattern!r} is denied')
        if not any(fnmatchcase(plain, pattern) for pattern in self._allow):
            raise CommandError(
                'bad_params', 'Command rejected: the map does not allow it (execute: allow:)')
        return arguments

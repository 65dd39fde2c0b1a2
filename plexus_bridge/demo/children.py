# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Child processes that live no longer than we do, and are missed when they end too early."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import ctypes
from dataclasses import dataclass
import os
import signal
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import IO

from plexus_bridge.errors import ChildEndedError

_PR_SET_PDEATHSIG = 1
_TAIL_BYTES = 4000


@dataclass
class Child:
    """One child; what it prints goes to a file without a name, which vanishes with us."""

    name: str
    process: subprocess.Popen[bytes]
    output: IO[bytes]

    def last_lines(self, count: int = 15) -> str:
        """Return the end of what it printed."""
        size = os.fstat(self.output.fileno()).st_size
        tail = os.pread(self.output.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        return '\n'.join(tail.decode(errors='replace').splitlines()[-count:])


class Children:
    """Starts Python programs and ends them in the reverse order; use it as a context manager."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.end()

    def start(self, name: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start ``python arguments…``; `name` is what messages call it."""
        output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the child has ended
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT,
            # Ctrl+C in the terminal is for us alone: we end the children in their order.
            start_new_session=True, preexec_fn=_end_with_parent)
        child = Child(name, process, output)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Raise ChildEndedError if one has ended."""
        for child in self._children:
            code = child.process.poll()
            if code is not None:
                how = (f'was ended by {signal.Signals(-code).name}' if code < 0
                       else f'ended with exit code {code}')
                raise ChildEndedError(
                    f'the {child.name} {how}; its last lines:\n{child.last_lines()}')

    def last_lines(self) -> str:
        """Return the end of what each of them printed."""
        return '\n'.join(f'--- {child.name}\n{child.last_lines()}' for child in self._children)

    def end(self, seconds: float = 10.0) -> list[str]:
        """
        End every child, the last started first: SIGTERM, and SIGKILL after `seconds` each.

        Returns the names of those that had to be killed.
        """
        killed = []
        while self._children:
            child = self._children.pop()
            with contextlib.suppress(ProcessLookupError):
                child.process.terminate()
            try:
                child.process.wait(seconds)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
                killed.append(child.name)
            child.output.close()
        return killed


def _end_with_parent() -> None:
    """Have the kernel end us when our parent is killed; Linux only, elsewhere it stays undone."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


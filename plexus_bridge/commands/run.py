# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of a command, as whatever carries it out sees it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import threading
import time
from typing import Any
from typing import Protocol

from plexus_bridge.errors import CommandCancelled
from plexus_bridge.errors import CommandError


class Reports(Protocol):
    """Where the statuses of a run go: one class for each dialect. Any thread may call."""

    def running(self) -> None:
        """The command has begun."""

    def progress(self, percent: float, message: str) -> None:
        """It is so far, 0 to 100."""

    def succeed(self, result: object) -> None:
        """It ended well."""

    def fail(self, code: str, message: str) -> None:
        """It ended badly; `code` is one of protocol section 8.4."""


class Run:
    """
    A run in progress: its parameters, checked and converted, and the means to report.

    Any thread may call. The first end counts, later ones and progress after it do nothing.
    """

    Cancelled = CommandCancelled

    def __init__(self, run_id: str, command: str, params: Mapping[str, Any], reports: Reports, *,
                 attempt: int = 1, deadline: float | None = None):
        self.run_id = run_id
        self.command = command
        self.params = params
        self.attempt = attempt
        # Monotonic seconds until which it has to be begun; None: it does not expire.
        self.deadline = deadline
        self._reports = reports
        self._lock = threading.Lock()
        self._cancel: Callable[[], None] | None = None
        self._cancel_requested = False
        self._ended = False

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody wants it to end early."""
        return self._cancel_requested

    @property
    def ended(self) -> bool:
        """Whether its end was reported."""
        return self._ended

    def expired(self, now: float | None = None) -> bool:
        """Tell whether it is too late to begin."""
        return self.deadline is not None and (
            time.monotonic() if now is None else now) > self.deadline

    def on_cancel(self, cancel: Callable[[], None]) -> None:
        """Have a function called, once and on any thread, when the run is to end early."""
        with self._lock:
            self._cancel = cancel
            asked = self._cancel_requested
        if asked:
            cancel()

    def cancel(self) -> None:
        """Ask the run to end early; how soon it does is up to what carries it out."""
        with self._lock:
            first, self._cancel_requested = not self._cancel_requested, True
            cancel = self._cancel
        if first and cancel is not None and not self._ended:
            cancel()

    def running(self) -> None:
        """Report that the command has begun."""
        if not self._ended:
            self._reports.running()

    def progress(self, percent: float, message: str = '') -> None:
        """Report how far it is, 0 to 100; one report a second is sent, and 100 always."""
        if not self._ended:
            self._reports.progress(percent, message)

    def succeed(self, result: object = None) -> None:
        """Report its end; an object goes as it is, anything else as ``{"value": …}``."""
        if self._end():
            self._reports.succeed(result)

    def fail(self, message: str, code: str = 'handler_error') -> None:
        """Report that it ended badly, and why."""
        if self._end():
            self._reports.fail(code, message)

    def fail_with(self, error: BaseException) -> None:
        """Report an exception as the protocol says: ``ExceptionName: text``, or its own code."""
        if isinstance(error, CommandError):
            self.fail(str(error), error.code)
        else:
            self.fail(f'{type(error).__name__}: {error}')

    def _end(self) -> bool:
        with self._lock:
            first, self._ended = not self._ended, True
        return first


class Target(Protocol):
    """
    What carries out a command.

    `start` must return at once: it is called on the thread of the link. It reports by the run's
    methods, then or later, and raises CommandError if the run cannot be begun.
    """

    def start(self, run: Run) -> None:
        """Begin a run."""


class HandlerTarget:
    """Calls a function on a thread of its own for each run; what it returns is the result."""

    def __init__(self, handler: Callable[[Run], object]):
        self._handler = handler

    def start(self, run: Run) -> None:
        """Begin a run; CommandError ``busy`` if there is no thread to be had."""
        try:
            threading.Thread(
                target=self._work, args=(run,), name=f'plexus-{run.command}', daemon=True).start()
        except RuntimeError as error:
            raise CommandError('busy', f'no thread could be started: {error}') from None

    def _work(self, run: Run) -> None:
        run.running()
        try:
            run.succeed(self._handler(run))
        except Exception as error:
            run.fail_with(error)

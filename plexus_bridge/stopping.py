# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Being told to stop: SIGINT and SIGTERM as something that a main loop can wait for."""

from __future__ import annotations

import select
import signal
import socket
from types import FrameType
from types import TracebackType


class StopRequest:
    """
    While entered, SIGINT and SIGTERM ask to stop instead of ending the process.

    Enter it on the main thread, or without `signals` on any. `wait` and `requested` may be used
    on any thread, `request` too.
    """

    def __init__(self, *, signals: bool = True) -> None:
        self._numbers = (signal.SIGINT, signal.SIGTERM) if signals else ()
        self._requested = False
        self._waker, self._woken = socket.socketpair()
        self._before: dict[signal.Signals, signal._HANDLER] = {}

    def __enter__(self) -> StopRequest:
        for number in self._numbers:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._waker.close()
        self._woken.close()

    @property
    def requested(self) -> bool:
        """Whether somebody asked to stop."""
        return self._requested

    def request(self) -> None:
        """Ask to stop."""
        # A byte in a socket and no threading.Event: its lock may be held by the very thread that
        # the signal handler interrupts.
        if not self._requested:
            self._requested = True
            self._waker.send(b'.')

    def wait(self, seconds: float) -> bool:
        """Return as soon as a stop is asked for, or after `seconds`; True = stop."""
        if not self._requested:
            select.select([self._woken], [], [], max(0.0, seconds))
        return self._requested

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.request()

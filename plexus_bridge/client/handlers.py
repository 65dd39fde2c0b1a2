# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Functions of a program that the dashboard can have called (protocol sections 8 and 9)."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from plexus_bridge.commands.run import HandlerTarget
from plexus_bridge.commands.run import Run
from plexus_bridge.errors import CommandCancelled

Handler = Callable[..., Any]
LegacyHandler = Callable[[str, dict[str, Any]], Any]


class CommandRun:
    """
    A run in progress, as the first argument of a handler.

    `id` never comes twice; a handler that raises `run.Cancelled` ends its run as cancelled.
    """

    Cancelled = CommandCancelled

    def __init__(self, run: Run):
        self._run = run
        self.id = run.run_id
        self.command = run.command
        self.params = dict(run.params)
        self.attempt = run.attempt
        self.deadline = run.deadline

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody wants it to end early."""
        return self._run.cancel_requested

    @property
    def time_remaining(self) -> float | None:
        """Seconds until it expires, None if it does not; what has begun is not ended by that."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def progress(self, percent: float, message: str | None = None) -> None:
        """Report how far it is, 0 to 100; one report a second is sent, and 100 always."""
        self._run.progress(percent, message or '')


def target_of(handler: Handler) -> HandlerTarget:
    """Return what calls ``handler(run, **params)`` on a thread of its own."""
    return HandlerTarget(lambda run: handler(CommandRun(run), **run.params))


def legacy_target_of(handler: LegacyHandler) -> HandlerTarget:
    """Return what calls ``handler(command, params)`` on a thread of its own."""
    return HandlerTarget(lambda run: handler(run.command, dict(run.params)))

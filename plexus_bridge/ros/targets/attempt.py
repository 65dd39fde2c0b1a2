# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""One step of one run, and what every step needs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
import time
from typing import Any
from typing import Protocol

from plexus_bridge.commands.fields import pick
from plexus_bridge.commands.run import Run
from plexus_bridge.commands.templates import fill
from plexus_bridge.errors import CommandCancelled
from plexus_bridge.errors import CommandError
from plexus_bridge.ros.chores import Chores

# A server that is not seen for so long, while an answer is awaited, is gone.
GONE_S = 2.0


@dataclass
class Attempt:
    """A run's step in progress: `deadline` is monotonic; `share` is its part of the progress."""

    run: Run
    chores: Chores
    deadline: float
    timeout_s: float
    share: tuple[float, float] = (0.0, 100.0)

    def filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return request fields with the run's parameters in them."""
        result: dict[str, Any] = fill(dict(values), self.run.params)
        return result

    def progress(self, percent: float, message: str = '') -> None:
        """Report how far this step is."""
        low, high = self.share
        self.run.progress(low + (high - low) * percent / 100, message)

    async def ready(self, is_ready: Callable[[], bool], wait_s: float, what: str) -> None:
        """Wait until the other side is there; CommandError if it does not come."""
        deadline = min(self.deadline, time.monotonic() + wait_s)
        await self.wait(is_ready, deadline, f'{what} is not there: nobody on the graph offers it '
                        f'(waited {wait_s:g} s)')

    async def answered(self, future: Any, is_ready: Callable[[], bool], what: str) -> Any:
        """Wait for a future's result; CommandError for a time-out or a server that is gone."""
        future.add_done_callback(self.chores.pulse)
        last_seen = time.monotonic()

        def settled() -> bool:
            nonlocal last_seen
            now = time.monotonic()
            if is_ready():
                last_seen = now
            return bool(future.done()) or now - last_seen > GONE_S

        await self.wait(settled, self.deadline, self.late(what))
        if not future.done():
            raise CommandError('handler_error', f'{what} went away before it answered')
        return future.result()

    def late(self, what: str) -> str:
        """Return what is said when the time is up."""
        return f'{what} did not answer within {self.timeout_s:g} s'

    async def wait(self, condition: Callable[[], bool], deadline: float, otherwise: str) -> None:
        """Wait for a condition; CommandCancelled once somebody wants the run to end."""
        await self.chores.until(
            lambda: condition() or self.run.cancel_requested, deadline, otherwise)
        if self.run.cancel_requested and not condition():
            raise CommandCancelled()


class Performer(Protocol):
    """Carries out one step of the map."""

    # What it is, for messages: "service /dock".
    title: str

    async def perform(self, attempt: Attempt) -> dict[str, Any]:
        """Do it and return its result; exceptions become the run's error."""


def chosen(response: Mapping[str, Any], paths: Mapping[str, str] | None) -> dict[str, Any]:
    """Return what is reported of a response: all of it, or what stands at the given paths."""
    if paths is None:
        return dict(response)
    return {name: pick(response, path) for name, path in paths.items()}

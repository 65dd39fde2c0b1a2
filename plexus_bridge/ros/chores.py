# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Work that takes several turns of the node's executor: begin, wait for an answer, go on.

Each piece is a coroutine. They run on the executor's thread, one at a time, and begin in the order
in which they were asked for; rclpy promises no order for its own tasks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Generator
import logging
import threading
import time
from typing import Any

from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.task import Future

from plexus_bridge.errors import CommandError

log = logging.getLogger(__name__)

# How often conditions are looked at that nothing announces: deadlines, servers that come and go.
TICK_S = 0.05

Chore = Coroutine[Any, Any, None]


class _Turn:
    def __await__(self) -> Generator[None, None, None]:
        yield


class Chores:
    """Runs coroutines on a node's executor; only `post` is for any thread."""

    def __init__(self, node: Node, executor: Executor):
        self._executor = executor
        self._posted: deque[Callable[[], None]] = deque()
        self._chores: list[Chore] = []
        self._busy = False
        self._again = False
        # Steady: simulated time may stand still, and no deadline waits for it.
        self._timer = node.create_timer(
            TICK_S, self.pulse, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._timer.cancel()

    def post(self, function: Callable[[], None]) -> None:
        """Have a function called on the executor's thread, in the order of the calls."""
        self._posted.append(function)
        self._executor.create_task(self._take_one)

    def begin(self, chore: Callable[[], Chore]) -> None:
        """Have a coroutine run from its beginning; any thread may call."""
        self.post(lambda: self._begin(chore()))

    def settle(self, future: Future[Any], result: object) -> None:
        """Give a future its result, and have who awaits it go on; any thread may call."""
        self.post(lambda: self._settle(future, result))

    def _settle(self, future: Future[Any], result: object) -> None:
        if not future.done():
            future.set_result(result)
        # An executor looks at who waits before it sleeps, and that was before this.
        self._executor.wake()

    def drain(self, timeout_s: float) -> bool:
        """Wait until what was posted before is done; False if that takes too long."""
        done = threading.Event()
        self.post(done.set)
        return done.wait(timeout_s)

    async def until(self, condition: Callable[[], bool], deadline: float, otherwise: str) -> None:
        """Wait for a condition; CommandError ``handler_error`` once `deadline` is over."""
        while not condition():
            if time.monotonic() >= deadline:
                raise CommandError('handler_error', otherwise)
            await _Turn()

    def pulse(self, *_: object) -> None:
        """Let everything that waits look whether it may go on; on the executor's thread."""
        if self._busy:  # a condition was met while another was looked at
            self._again = True
            return
        self._busy = True
        try:
            for _turn in range(2):
                self._again = False
                self._chores = [chore for chore in self._chores if self._goes_on(chore)]
                if not self._again:
                    break
        finally:
            self._busy = False
        if not self._chores:
            self._timer.cancel()

    def _take_one(self) -> None:
        function = self._posted.popleft()
        try:
            function()
        except Exception:
            # What leaves here would end the executor, and with it every service of the node.
            log.exception('unexpected error in a chore')

    def _begin(self, chore: Chore) -> None:
        if self._goes_on(chore):
            if not self._chores:
                self._timer.reset()
            self._chores.append(chore)

    @staticmethod
    def _goes_on(chore: Chore) -> bool:
        try:
            chore.send(None)
        except StopIteration:
            return False
        except Exception:
            log.exception('unexpected error in a chore')
            return False
        return True

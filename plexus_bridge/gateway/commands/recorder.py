# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Writes runs of commands behind the scenes: whatever changes during a commit goes with the next.

Driving by hand changes 80 runs a second; each of them does not get a sync of the disk of its own.
A device hears that a status is kept when it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import contextlib
import logging

from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.commands import records
from plexus_bridge.gateway.commands.records import Status
from plexus_bridge.gateway.commands.run import Run
from plexus_bridge.gateway.storage.store import Store

logger = logging.getLogger(__name__)

# From here on devices that report more are not read until these are written.
MAX_WAITING_STATUSES = 1_000
RETRY_S = 1.0
READER_PATIENCE_S = 2.0
CLOSE_PATIENCE_S = 5.0
PRUNE_EVERY = 1_000


class Recorder:
    """What is to be written of runs and statuses; used on the event loop alone."""

    def __init__(self, store: Store):
        self._store = store
        self._runs: dict[str, Run] = {}
        self._statuses: list[Status] = []
        self._kept: list[Callable[[], None]] = []
        self._new_of_source: dict[str, int] = {}
        self._something = asyncio.Event()
        self._nothing_waits = asyncio.Event()
        self._nothing_waits.set()
        self._room = asyncio.Event()
        self._room.set()

    def start(self) -> None:
        """Begin to write; called on the running loop."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what waits, if it can be written, and end."""
        if self._store.failure is None:
            with contextlib.suppress(asyncio.TimeoutError):  # it may fail at this very moment
                await asyncio.wait_for(self._nothing_waits.wait(), CLOSE_PATIENCE_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def room(self) -> None:
        """Wait until it has caught up enough to take more."""
        await self._room.wait()

    async def written(self) -> None:
        """Wait until what is known now is written, for who reads; not for ever."""
        if not self._nothing_waits.is_set():
            done = asyncio.Event()
            self._kept.append(done.set)
            self._wake()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(done.wait(), READER_PATIENCE_S)

    def note(self, run: Run, *, new: bool = False) -> None:
        """Have a run written as it will be at the next commit."""
        self._runs[run.run_id] = run
        if new:
            source = run.source_id
            self._new_of_source[source] = self._new_of_source.get(source, 0) + 1
        self._wake()

    def keep(self, status: Status, then: Callable[[], None]) -> None:
        """Have a status written and call `then` once it is."""
        self._statuses.append(status)
        self._kept.append(then)
        if len(self._statuses) >= MAX_WAITING_STATUSES:
            self._room.clear()
        self._wake()

    def _wake(self) -> None:
        self._nothing_waits.clear()
        self._something.set()

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            try:
                await self._commit()
            except StoreError as error:
                logger.warning('Runs of commands cannot be written now: %s', error)
                await asyncio.sleep(RETRY_S)
                self._something.set()
            except Exception:
                # What can never be written must not hold up all that can.
                logger.exception('Runs of commands that cannot be kept are left out')
            if not self._something.is_set():
                self._nothing_waits.set()

    async def _commit(self) -> None:
        runs, self._runs = self._runs, {}
        statuses, kept = self._statuses, self._kept
        self._statuses, self._kept = [], []
        rows = [records.row_of(run) for run in runs.values()]
        try:
            await self._store.execute(records.save, rows, statuses)
        except StoreError:
            self._runs = {**runs, **self._runs}
            self._statuses[:0], self._kept[:0] = statuses, kept
            raise
        for then in kept:
            then()
        if len(self._statuses) < MAX_WAITING_STATUSES:
            self._room.set()
        for source, count in list(self._new_of_source.items()):
            if count >= PRUNE_EVERY:
                del self._new_of_source[source]
                await self._store.execute(records.prune, source)

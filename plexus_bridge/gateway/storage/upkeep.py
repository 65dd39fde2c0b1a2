# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What is done beside storing and reading: rolling up, throwing away, giving back to the disk.

All of it in steps that hold the writer up for some ten milliseconds, with whatever was sent
meanwhile stored in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import logging
import math
import sqlite3
import time

from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.storage import retention
from plexus_bridge.gateway.storage import rollups
from plexus_bridge.gateway.storage.retention import Retention
from plexus_bridge.gateway.storage.store import Store

logger = logging.getLogger(__name__)

ROLL_UP_INTERVAL_S = 5.0
RETENTION_INTERVAL_S = 60.0
SPANS_PER_STEP = 200
SERIES_PER_STEP = 100
ROWS_PER_STEP = 10_000
PAGES_PER_STEP = 500
# Free pages up to this part of the file stay in it: the next points need them anyway. So what is
# used may not fill the limit, and deleting goes on a little so as not to be needed at once again.
SPARE = 0.1
FULL = 1 - SPARE
GOAL = FULL - 0.05
# A clock that was set may be wrong: by it all that is kept could be too old. So for some time
# after a jump nothing is deleted for its age, and people can read of it and look.
MAX_JUMP_MS = 600_000
JUMP_PAUSE_S = 86_400.0


class Upkeep:
    """The upkeep of one store; `clock` returns Unix ms, `monotonic` seconds."""

    def __init__(self, store: Store, kept: Retention, clock: Callable[[], int],
                 monotonic: Callable[[], float] = time.monotonic):
        self._store = store
        self._kept = kept
        self._clock = clock
        self._monotonic = monotonic
        self._offset_ms = self._clock_offset_ms()
        self._pause_until = -math.inf

    async def run(self) -> None:
        """Work until cancelled; what fails is tried again with the next round."""
        loop = asyncio.get_running_loop()
        next_retention = loop.time()
        while True:
            await asyncio.sleep(ROLL_UP_INTERVAL_S)
            if self._store.failure is not None:
                continue
            try:
                await self.roll_up()
                if loop.time() >= next_retention:
                    await self.throw_away()
                    next_retention = loop.time() + RETENTION_INTERVAL_S
            except (StoreError, sqlite3.Error) as error:
                logger.warning('Upkeep of the database stopped: %s; trying again', error)

    async def roll_up(self) -> None:
        """Roll up minutes that are over and were quiet since the last call, then hours."""
        store, marks = self._store, self._store.marks
        touched = await store.execute(lambda connection: marks.take_touched())
        found = await store.read(rollups.stale_minutes, self._clock())
        minutes = [span for span in found if span not in touched]
        for begin in range(0, len(minutes), SPANS_PER_STEP):
            await store.execute(
                lambda _, spans: marks.roll_up_minutes(spans),
                minutes[begin:begin + SPANS_PER_STEP])
        hours = await store.read(rollups.stale_hours, self._clock())
        for begin in range(0, len(hours), SPANS_PER_STEP):
            await store.execute(
                lambda _, spans: marks.roll_up_hours(spans), hours[begin:begin + SPANS_PER_STEP])
        store.counters.add('spans_rolled_up', len(minutes) + len(hours))

    async def throw_away(self) -> None:
        """Delete what is too old or too much, and give the room back."""
        kept = self._kept
        if kept.max_age_ms is not None and self._clock_is_steady():
            cutoff_ms = self._clock() - kept.max_age_ms
            await self._delete_before(cutoff_ms - cutoff_ms % rollups.MINUTE_MS)
        if kept.max_bytes is not None and await self._used_bytes() > FULL * kept.max_bytes:
            await self._delete_until(int(GOAL * kept.max_bytes))
        size = await self._store.read(retention.read_size)
        if size.free_pages > SPARE * size.pages:
            for _ in range(0, size.free_pages, PAGES_PER_STEP):
                await self._store.execute(retention.give_back, PAGES_PER_STEP)

    def _clock_offset_ms(self) -> float:
        return self._clock() - 1000 * self._monotonic()

    def _clock_is_steady(self) -> bool:
        """Tell whether the clock may say what is old: not soon after it was set forward."""
        offset_ms, known_ms = self._clock_offset_ms(), self._offset_ms
        self._offset_ms = offset_ms
        now = self._monotonic()
        if offset_ms - known_ms > MAX_JUMP_MS:
            self._pause_until = now + JUMP_PAUSE_S
            logger.warning(
                'The clock jumped ahead by %.1f h; nothing is deleted for its age within the '
                'next %.0f h: see that it is right', (offset_ms - known_ms) / 3_600_000,
                JUMP_PAUSE_S / 3600)
        return now >= self._pause_until

    async def _delete_until(self, goal_bytes: int) -> None:
        while await self._used_bytes() > goal_bytes:
            cutoff_ms = await self._store.read(retention.next_cutoff, self._clock())
            if cutoff_ms is None:
                return
            await self._delete_before(cutoff_ms)

    async def _delete_before(self, cutoff_ms: int) -> None:
        store, marks = self._store, self._store.marks

        def delete(connection: sqlite3.Connection, series: list[int]) -> int:
            marks.forget()  # some of the marks go
            return retention.delete_before(connection, series, cutoff_ms, ROWS_PER_STEP)

        older = await store.read(retention.series_older_than, cutoff_ms)
        for begin in range(0, len(older), SERIES_PER_STEP):
            while deleted := await store.execute(delete, older[begin:begin + SERIES_PER_STEP]):
                store.counters.add('points_expired', deleted)

    async def _used_bytes(self) -> int:
        return (await self._store.read(retention.read_size)).used_bytes

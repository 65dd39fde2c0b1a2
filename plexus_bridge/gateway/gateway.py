# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the routes of one gateway share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from dataclasses import field
import logging
import sqlite3
import time
from typing import Any

from starlette.requests import HTTPConnection

from plexus_bridge.gateway.access.keys import KeyRing
from plexus_bridge.gateway.access.keys import read_entries
from plexus_bridge.gateway.access.limits import RateLimit
from plexus_bridge.gateway.devices import Devices
from plexus_bridge.gateway.live.hub import Hub
from plexus_bridge.gateway.storage.retention import Retention
from plexus_bridge.gateway.storage.store import Store
from plexus_bridge.gateway.storage.upkeep import Upkeep

logger = logging.getLogger(__name__)

# How long a key that another process made or revoked is not noticed.
KEY_WATCH_INTERVAL_S = 2.0
KEY_CHECKS_A_MINUTE = 30  # section 2.4
WRONG_CODES_A_MINUTE = 10


@dataclass
class Gateway:
    """
    The store, the keys, the devices that are connected and the viewers that look at them.

    `kept` says how much stays stored, `started` is monotonic seconds.
    """

    store: Store
    keys: KeyRing
    kept: Retention = field(default_factory=Retention)
    devices: Devices = field(default_factory=Devices)
    started: float = field(default_factory=time.monotonic)
    checks: RateLimit = field(default_factory=lambda: RateLimit(KEY_CHECKS_A_MINUTE))
    wrong_codes: RateLimit = field(default_factory=lambda: RateLimit(WRONG_CODES_A_MINUTE))
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    hub: Hub = field(init=False)

    def __post_init__(self) -> None:
        self.hub = Hub(self.store.counters)
        self.store.on_stored = self.hub.publish_points

    def start(self) -> None:
        """Begin to store, to keep order, to look for changed keys; called on the running loop."""
        self.store.start()
        self.background(self._watch_keys())
        self.background(Upkeep(self.store, self.kept, wall_ms).run())

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work beside the requests; cancelled at the end, told of if it fails."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error('Work in the background failed', exc_info=task.exception())

    async def close(self) -> None:
        """End the work in the background, store what was handed in and close."""
        tasks = tuple(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.store.close()

    async def renew_keys(self) -> None:
        """Take over the keys as the database has them now."""
        self.keys.renew(await self.store.read(read_entries), wall_ms())

    async def _watch_keys(self) -> None:
        """Notice keys that another process made or revoked, and those that expire."""
        while True:
            await asyncio.sleep(KEY_WATCH_INTERVAL_S)
            try:
                await self.renew_keys()
            except sqlite3.Error as error:
                logger.warning('The keys cannot be read: %s; those known go on', error)


def gateway_of(connection: HTTPConnection) -> Gateway:
    """Return the gateway that a request or socket came to."""
    gateway: Gateway = connection.app.state.gateway
    return gateway


def wall_ms() -> int:
    """Return the time as integer Unix ms."""
    return time.time_ns() // 1_000_000

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the routes of one gateway share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Coroutine
from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
from dataclasses import field
import logging
import math
import sqlite3
import time
from typing import Any
from typing import Concatenate
from typing import ParamSpec

from starlette.requests import HTTPConnection

from plexus_bridge.errors import AccessError
from plexus_bridge.errors import StoreError
from plexus_bridge.errors import TooOftenError
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.access.keys import KeyRing
from plexus_bridge.gateway.access.keys import read_entries
from plexus_bridge.gateway.access.tries import RateLimit
from plexus_bridge.gateway.cameras import Cameras
from plexus_bridge.gateway.commands.records import note_seen
from plexus_bridge.gateway.commands.records import save_device
from plexus_bridge.gateway.commands.runs import CommandRuns
from plexus_bridge.gateway.commands.updates import Updates
from plexus_bridge.gateway.devices import Connection
from plexus_bridge.gateway.devices import Devices
from plexus_bridge.gateway.frames.folder import FrameFolder
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.limits import Ceilings
from plexus_bridge.gateway.limits import Limits
from plexus_bridge.gateway.live.hub import Hub
from plexus_bridge.gateway.presence import camera_ids
from plexus_bridge.gateway.presence import row_of
from plexus_bridge.gateway.storage.queries import sources
from plexus_bridge.gateway.storage.retention import Retention
from plexus_bridge.gateway.storage.store import Store
from plexus_bridge.gateway.storage.upkeep import Upkeep
from plexus_bridge.points import ReceivedPoint
from plexus_bridge.protocol.hello import DeviceHello

logger = logging.getLogger(__name__)

# How long a key that another process made or revoked is not noticed.
KEY_WATCH_INTERVAL_S = 1.0
# An unknown key has the database read again, so often at most however many there are.
KEY_LOOK_INTERVAL_S = 0.1
# Who reads waits that long for what is being written.
READER_PATIENCE_S = 2.0
KEY_CHECKS_A_MINUTE = 30  # section 2.4
WRONG_CODES_A_MINUTE = 10
# From all addresses together: of those a guesser may have, or pretend to have, many.
ALL_WRONG_CODES_A_MINUTE = 100
# A device heard as lately has hardly gone when another one comes under its name.
DISPLACED_ALIVE_S = 40.0
FRAMES_NAME = 'frames'

P = ParamSpec('P')


@dataclass(frozen=True)
class Settings:
    """What whoever starts a gateway may choose; without `store_results` none is kept (8.4)."""

    limits: Limits = field(default_factory=Limits)
    store_results: bool = True


@dataclass
class Gateway:
    """
    The store, the keys, the devices that are connected and the viewers that look at them.

    `kept` says how much stays stored. `commands` are those that devices are sent, `updates` tells
    what becomes of them. `exports` counts those that are being sent, `strangers` are the
    device sockets that have not been let in yet, oldest first. `started` is monotonic seconds.
    """

    store: Store
    keys: KeyRing
    kept: Retention = field(default_factory=Retention)
    devices: Devices = field(default_factory=Devices)
    started: float = field(default_factory=time.monotonic)
    checks: RateLimit = field(default_factory=lambda: RateLimit(KEY_CHECKS_A_MINUTE))
    wrong_codes: RateLimit = field(default_factory=lambda: RateLimit(WRONG_CODES_A_MINUTE))
    all_wrong_codes: RateLimit = field(default_factory=lambda: RateLimit(ALL_WRONG_CODES_A_MINUTE))
    displacements: RateLimit = field(default_factory=lambda: RateLimit(1))
    settings: Settings = field(default_factory=Settings)
    updates: Updates = field(default_factory=Updates)
    exports: int = 0
    strangers: dict[Connection, None] = field(default_factory=dict)
    frames: FrameFolder = field(init=False)
    hub: Hub = field(init=False)
    commands: CommandRuns = field(init=False)
    cameras: Cameras = field(init=False)
    ceilings: Ceilings = field(init=False)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    changes: set[asyncio.Task[None]] = field(default_factory=set)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    looked_at: float = -math.inf

    def __post_init__(self) -> None:
        self.frames = FrameFolder(self.store.path.parent / FRAMES_NAME)
        self.hub = Hub(self.store.counters)
        self.store.on_stored = self.hub.publish_points
        self.commands = CommandRuns(
            self.store, self.devices, self.updates, wall_ms,
            keeps_results=self.settings.store_results)
        self.cameras = Cameras(self.devices)
        self.hub.listen(self.cameras.viewers_changed)
        self.ceilings = Ceilings(self.settings.limits)

    def start(self) -> None:
        """Begin to store, to keep order, to look for changed keys; called on the running loop."""
        self.store.start()
        self.commands.start()
        if self.settings.limits.max_devices is not None:
            self.background(self._know_sources())
        self.background(self._watch_keys())
        self.background(Upkeep(self.store, self.kept, wall_ms).run())

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do some work beside the requests; cancelled at the end, told of if it fails."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error('Work in the background failed', exc_info=task.exception())

    async def say_goodbye(self, reason: str) -> None:
        """End what would go on for ever, and close every device's socket properly."""
        self.stopping.set()
        await self.devices.say_goodbye(reason)

    async def close(self) -> None:
        """End the work in the background, store what was handed in and close."""
        self.cameras.close()
        await self.commands.close()
        tasks = tuple(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.store.close()

    async def admit(
            self, key: str | None, scope: str | None, source_id: str | None = None) -> Key:
        """
        Return a key as `KeyRing.admit` does, or raise its AccessError.

        One that is not known may be new: another process makes keys in the database. All that are
        not known wait for a look at it, so that one that was revoked takes as long as a wrong one.
        """
        try:
            return self.keys.admit(key, scope, source_id)
        except AccessError as error:
            if error.status != 401 or not key:
                raise
        await self._look_for_keys()
        return self.keys.admit(key, scope, source_id)

    async def renew_keys(self) -> None:
        """Take over the keys as the database has them now."""
        self.keys.renew(await self.store.read_at_once(read_entries), wall_ms())

    async def _look_for_keys(self) -> None:
        """Renew the keys; all who ask meanwhile share the next look."""
        clock = asyncio.get_running_loop().time
        asked = clock()
        async with self.looking:
            if self.looked_at > asked:
                return
            await asyncio.sleep(max(0.0, self.looked_at + KEY_LOOK_INTERVAL_S - clock()))
            self.looked_at = clock()
            with contextlib.suppress(StoreError):  # those known go on
                await self.renew_keys()

    async def _know_sources(self) -> None:
        self.ceilings.know(row.source_id for row in await self.store.read(sources))

    async def _watch_keys(self) -> None:
        """Notice keys that another process made or revoked, and those that expire."""
        while True:
            await asyncio.sleep(KEY_WATCH_INTERVAL_S)
            try:
                await self.renew_keys()
            except StoreError as error:
                logger.warning('The keys cannot be read: %s; those known go on', error)

    def entered(self, hello: DeviceHello, connection: Connection) -> None:
        """A device was let in and told so: it hears what waits for it."""
        logger.debug('%s has come (%s %s)', hello.source_id, hello.platform, hello.agent_version)
        cameras = camera_ids(hello)
        self.hub.add_cameras(hello.source_id, cameras)
        self.cameras.entered(hello.source_id, connection, cameras)
        self.commands.entered(hello.source_id, connection)
        self.change(save_device, hello.source_id, row_of(hello, connection.declared, wall_ms()))

    def displaced(self, source_id: str, peer: str | None) -> None:
        """A device takes the place of one that may be another device: tell people, not often."""
        older = self.devices.find(source_id)
        if older is None:
            return
        self.store.counters.add('devices_displaced')
        known = older.describe()
        silent_s = (wall_ms() - known['last_heard_ms']) / 1000
        if silent_s > DISPLACED_ALIVE_S:
            return
        with contextlib.suppress(TooOftenError):
            self.displacements.take(source_id, time.monotonic())
            logger.warning(
                '%s: a device at %s takes the place of the one at %s, which was heard %.0f s ago. '
                'If these are two, they will push each other out for ever: give each a source_id '
                'of its own', source_id, peer, known['address'], silent_s)

    def left(self, source_id: str, heard_ms: int) -> None:
        """A device has gone, and no other connection took its place."""
        logger.debug('%s has left', source_id)
        self.hub.forget_cameras(source_id)
        self.commands.left(source_id)
        self.change(note_seen, source_id, heard_ms)

    def change(
            self, change: Callable[Concatenate[sqlite3.Connection, P], None],
            *args: P.args, **kwargs: P.kwargs) -> None:
        """Change the database in the background; a failure is logged."""
        async def work() -> None:
            try:
                await self.store.execute(change, *args, **kwargs)
            except StoreError as error:
                logger.warning('%s is not written: %s', change.__name__, error)

        task = self.background(work())
        self.changes.add(task)
        task.add_done_callback(self.changes.discard)

    async def changed(self) -> None:
        """Wait until what `change` was asked for is written, for who reads; not for ever."""
        if self.changes:
            await asyncio.wait(self.changes, timeout=READER_PATIENCE_S)

    def store_quietly(self, parts: Sequence[tuple[str, Sequence[ReceivedPoint]]]) -> None:
        """Store what nobody waits for an answer about; a failure is logged."""
        self.store.write(parts, wall_ms()).add_done_callback(_log_failure)


def _log_failure(future: asyncio.Future[Any]) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        logger.warning('What the gateway itself had to note is not stored: %s', error)


def gateway_of(connection: HTTPConnection) -> Gateway:
    """Return the gateway that a request or socket came to."""
    gateway: Gateway = connection.app.state.gateway
    return gateway

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Everything between a program that hands in points and the gateway.

The same lanes, journal, outbox and link as the bridge's, with a thread of its own that flushes:
whoever sends never waits for disk or network.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import logging
import sqlite3
import threading
import time

from plexus_bridge import __version__
from plexus_bridge.client.adoption import adopt
from plexus_bridge.client.adoption import left_buffers
from plexus_bridge.client.link import Link
from plexus_bridge.client.link_status import LinkStatus
from plexus_bridge.client.link_status import Transport
from plexus_bridge.client.send_queue import SendQueue
from plexus_bridge.client.settings import Settings
from plexus_bridge.client.status_lines import StatusLines
from plexus_bridge.client.store import Store
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import JournalError
from plexus_bridge.points import Point
from plexus_bridge.protocol.backoff import Backoff
from plexus_bridge.protocol.control import Control
from plexus_bridge.protocol.device import Hello

log = logging.getLogger(__name__)

PLATFORM = 'python-sdk'
USER_AGENT = f'plexus-bridge/{__version__} (compatible; plexus-python/0.16)'
# What a killed process loses at most; a first point after a pause is written at once.
FLUSH_S = 0.1
THROWN_AWAY = (
    'gateway_rate_limited', 'gateway_source_limit', 'gateway_device_limit', 'gateway_dropped')
# While nobody is reached, only what is new has to be written.
_OFFLINE_FLUSH_S = 1.0


class Sender:
    """
    Hands points on from `start` to `close`; any thread may call.

    The points wait in `store`, which is closed at the end.
    """

    def __init__(self, settings: Settings, store: Store, counters: Counters, *,
                 control: Control, video: VideoFrames, pauses: Backoff):
        self._settings = settings
        self.counters = counters
        # Points that the gateway took and did not store, for their rate or the plan's limits.
        self.thrown_away = 0
        self.persistent = store.persistent
        self._store = store
        self._journal = store.journal
        self.queue = SendQueue(self.counters)
        self._outbox = Outbox(self.queue, self._journal, self.counters)
        self._outbox.now_ms = self.now_ms
        self.lines = StatusLines(settings, self.counters, self._held)
        self._link = Link(
            settings.gateway_url,
            Hello(settings.api_key, settings.source_id, PLATFORM, __version__), self._outbox,
            self.counters, user_agent=USER_AGENT, control=control, video=video,
            device_url=settings.device_url, http_pauses=pauses)
        self._link.on_change = self._link_changed
        self._outbox.on_settled = self._settled
        self._changed = threading.Condition()
        self._starting = threading.Lock()
        self._flushing = threading.Lock()
        self._started = self._closing = False
        self._thread = threading.Thread(target=self._run, name='plexus-flush', daemon=True)
        if self._journal.set_aside:
            self.lines.say(f'the buffer was damaged; it lies in {self._journal.set_aside} now and '
                           'a new one was begun')
        if store.runs is not None and store.runs.set_aside:
            self.lines.say('the memory of commands was damaged; it lies in '
                           f'{store.runs.set_aside} now, and runs of before may happen again')

    @property
    def source_id(self) -> str:
        """The source that everything belongs to."""
        return self._settings.source_id

    @property
    def status(self) -> LinkStatus:
        """How the link is."""
        return self._link.status

    @property
    def started(self) -> bool:
        """Whether the link was started."""
        return self._started

    @property
    def heard(self) -> bool:
        """Whether it is known how the link is."""
        return self.status != LinkStatus()

    def start(self) -> bool:
        """Begin to connect and to flush; True the first time."""
        if self._started:
            return False
        with self._starting:
            first, self._started = not self._started, True
            if first:
                self._thread.start()
                self._link.start()
        return first

    def now_ms(self) -> int:
        """Return the time by the gateway's clock, as far as it is known."""
        return time.time_ns() // 1_000_000 + self.status.correction_ms

    def wake(self) -> None:
        """Have the link look for what control has to say."""
        self._link.wake()

    def reconnect(self) -> None:
        """Say anew who we are, if we are connected."""
        self._link.reconnect()

    @property
    def max_points(self) -> int | None:
        """How many points may wait on disk; beyond, the oldest make room."""
        return self._journal.max_points

    @max_points.setter
    def max_points(self, points: int | None) -> None:
        self._journal.max_points = points

    def hand_in(self, lane: Lane, points: Sequence[Point]) -> bool:
        """Take points over for delivery; False once closed."""
        return self.queue.hand_in(lane, points)

    def unconfirmed(self) -> int:
        """Return how many points the gateway has not said to have stored, or refused."""
        # While they change hands they would be counted twice, or not at all.
        with self._flushing:
            return self._held()

    def _held(self) -> int:
        return len(self.queue) + self._outbox.unsettled_points()

    def wait_for_link(self, timeout_s: float) -> None:
        """Wait until it is known how the link is, whatever that is."""
        self._wait(lambda: self.heard, timeout_s)

    def wait_until_live(self, timeout_s: float) -> bool:
        """Wait until the device socket is there; stops waiting once it is known not to be."""
        self._wait(lambda: self.status.connections or self.status.detail, timeout_s)
        return self.live

    @property
    def live(self) -> bool:
        """Whether the device socket is there."""
        status = self.status
        return status.connections > 0 and status.transport is not Transport.NONE

    def wait_until_delivered(self, timeout_s: float, *, hopeful: bool = True) -> int:
        """
        Wait until the gateway has everything; returns how many points it does not have.

        Unless `hopeful`, it stops waiting once the gateway is known to be out of reach.
        """
        self._wait(
            lambda: not self.unconfirmed() or not (hopeful or self._in_reach()), timeout_s)
        return self.unconfirmed()

    def hurry(self) -> None:
        """Try at once to reach the gateway, whatever was to be waited for."""
        self._link.hurry()

    def close(self, drain_s: float) -> int:
        """
        Send what can be sent within the time, then end; returns how many points are left.

        They are on disk, unless they were to be kept in memory only.
        """
        if self._started:
            self.wait_until_delivered(drain_s, hopeful=not self.persistent)
        self._closing = True
        self.queue.close()
        if self._started:
            self._thread.join()
        self._link.stop(0.5)
        self._flush()
        left = self.unconfirmed()
        lost = self._outbox.unwritten()[0]
        if lost and self.persistent:
            self.lines.say(f'{lost} points could be neither delivered nor written to disk; they '
                           'are lost')
            left -= lost
        self._store.close()
        with self._changed:
            self._changed.notify_all()
        return left

    # -- the thread that flushes

    def _run(self) -> None:
        if self.persistent:
            self._adopt()
        last = 0.0
        while self.queue.wait(self._idle_s()):
            self.queue.gather(last + FLUSH_S - time.monotonic())
            last = time.monotonic()
            self._flush()
        self._flush()

    def _adopt(self) -> None:
        """Take over what the official SDK has left on this machine for this source."""
        for path in left_buffers(self._settings.folder, self._settings.source_id):
            try:
                points = adopt(path, self._keep, lambda: self.counters.drop('adopted_unreadable'))
            except sqlite3.Error as error:
                self.lines.say(f"{path}: the official SDK's buffer cannot be read: {error}")
                continue
            if points:
                self.lines.say(f"took over {points} points of the official SDK's buffer {path}")

    def _keep(self, points: list[Point]) -> bool:
        """Write points to the journal; False if they could not be."""
        errors = self.counters['journal_errors']
        if not self.queue.hand_in(Lane.STATE, points):
            return False
        self._flush()
        return self.counters['journal_errors'] == errors

    def _idle_s(self) -> float | None:
        """Return when a flush is due though nothing new comes; None for never."""
        if not self._outbox.pending()[0] and not self._outbox.unsettled_points():
            # Of losses that have come to an end an event is made by a flush.
            return _OFFLINE_FLUSH_S if self.counters.dropped() else None
        return FLUSH_S if self._in_reach() else _OFFLINE_FLUSH_S

    def _flush(self) -> None:
        try:
            with self._flushing:
                self._outbox.flush()
        except JournalError as error:
            self.counters.add('journal_errors')
            self.lines.say_once('journal', f'{error}; new points wait in memory')
        with self._changed:
            self._changed.notify_all()

    # -- what the link says, on its thread

    def _link_changed(self, status: LinkStatus) -> None:
        if not self._closing:
            self.lines.link_changed(status)
        with self._changed:
            self._changed.notify_all()

    def _settled(self) -> None:
        dropped = self.counters.dropped()
        self.thrown_away = sum(dropped.get(reason, 0) for reason in THROWN_AWAY)
        self.lines.settled()
        self.queue.poke()
        with self._changed:
            self._changed.notify_all()

    def _in_reach(self) -> bool:
        status = self.status
        return status.transport is not Transport.NONE or not status.detail

    def _wait(self, condition: Callable[[], object], timeout_s: float) -> None:
        with self._changed:
            self._changed.wait_for(condition, timeout_s)

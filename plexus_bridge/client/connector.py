# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Opens the device socket: when it is time to, and on a thread of its own.

A handshake that gets no answer takes ten seconds. Nobody has to wait for it meanwhile: what can
go by HTTP goes, and a link that is stopped ends.
"""

from __future__ import annotations

from collections.abc import Callable
import math
import queue
import threading
import time

from plexus_bridge.client.device_socket import DeviceSocket
from plexus_bridge.errors import LinkError
from plexus_bridge.errors import NotAuthorised
from plexus_bridge.protocol import backoff

# A gateway that says goodbye so often, and takes nothing in between, is not asked at once again.
MOST_GOODBYES = 5
# A connection that has lasted so long was a good one, even if nothing was stored over it.
STEADY_S = 10.0


class Connector:
    """
    Connects to `url` again and again, an empty one never; used by the link's thread.

    `wake` is called, from another thread, when an attempt has ended.
    """

    def __init__(self, url: str, wake: Callable[[], None]):
        self.url = url
        self._wake = wake
        self._backoff = backoff.Backoff()
        self._next = 0.0 if url else math.inf
        self._ended: queue.SimpleQueue[DeviceSocket | LinkError] = queue.SimpleQueue()
        self._busy = False
        self._failing = False
        self._connected_at = math.inf
        self._closed = False

    @property
    def promising(self) -> bool:
        """Whether what is to be sent should wait for the attempt that is under way."""
        return self._busy and not self._failing

    @property
    def failing(self) -> bool:
        """Whether there has been no connection since the last one ended or could not be had."""
        return self._failing

    @property
    def deadline(self) -> float:
        """When the next attempt is due (monotonic seconds); infinite while one is under way."""
        return math.inf if self._busy else self._next

    def connect(self, now: float, *, begin: bool) -> DeviceSocket | None:
        """
        Return the socket once there is one; unless told not to, begin an attempt if one is due.

        LinkError says that an attempt has failed: the next one is due later.
        """
        if begin and now >= self.deadline:
            self._busy = True
            threading.Thread(target=self._attempt, name='plexus-connect', daemon=True).start()
        if self._ended.empty():
            return None
        self._busy = False
        ended = self._ended.get()
        if isinstance(ended, LinkError):
            self.failed(refused=isinstance(ended, NotAuthorised))
            raise ended
        return ended

    def hurry(self) -> None:
        """Have the next attempt made at once."""
        if self.url:
            self._next = 0.0

    def let_in(self) -> None:
        """Note that the gateway has let us in."""
        self._failing = False
        self._connected_at = time.monotonic()

    def proved(self) -> None:
        """Note that the connection is of use: after its end the delays begin anew."""
        self._backoff.succeeded()

    def failed(self, *, goodbye: bool = False, refused: bool = False) -> float:
        """Note that an attempt or a connection has ended; returns the seconds to the next one."""
        now = time.monotonic()
        if now - self._connected_at >= STEADY_S:
            self.proved()
        self._connected_at = math.inf
        self._failing = True
        delay = self._backoff.next_delay(
            goodbye=goodbye and not refused and self._backoff.failures < MOST_GOODBYES)
        if refused:
            delay = max(delay, backoff.REFUSED_DELAY_S)
        self._next = now + delay
        return delay

    def close(self) -> None:
        """Let go of what an attempt under way may bring yet."""
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        while not self._ended.empty():
            late = self._ended.get()
            if not isinstance(late, LinkError):
                late.close()

    def _attempt(self) -> None:
        try:
            self._ended.put(DeviceSocket(self.url))
        except LinkError as error:
            self._ended.put(error)
        except Exception as error:  # the link must not wait for ever for what has died
            self._ended.put(LinkError(f'{self.url}: {type(error).__name__}: {error}'))
        if self._closed:
            self._let_go()
        else:
            self._wake()

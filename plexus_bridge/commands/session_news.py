# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells the gateway of recordings, also of those that began or ended while it was away."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Mapping
import threading
from typing import Any

from plexus_bridge.commands.streams import Session

# Recordings that were begun and ended without a link, and are told of when there is one.
MAX_WAITING = 64


class SessionNews:
    """
    Sends `session_started` and `session_stopped` (protocol section 11.4); any thread may call.

    A recording in progress is told of again with each connection: the gateway may be another one.
    """

    def __init__(self, send: Callable[[Mapping[str, Any]], None]):
        self._send = send
        self._lock = threading.Lock()
        self._live = False
        self._session: Session | None = None
        self._waiting: deque[tuple[str, Session]] = deque(maxlen=2 * MAX_WAITING)

    def take(self, session: Session, begun: bool) -> None:
        """Hear that a recording has begun or ended."""
        with self._lock:
            self._session = session if begun else None
            if not self._live:
                if not begun:
                    # Its beginning may have been told: to be told twice does no harm.
                    self._waiting += (('session_started', session), ('session_stopped', session))
                return
        # Outside the lock: what sends has one of its own.
        self._tell('session_started' if begun else 'session_stopped', session)

    def opened(self) -> None:
        """There is a connection: tell what it has not heard."""
        with self._lock:
            self._live = True
            news = list(self._waiting)
            self._waiting.clear()
            if self._session is not None:
                news.append(('session_started', self._session))
        for kind, session in news:
            self._tell(kind, session)

    def lost(self) -> None:
        """There is none any more."""
        with self._lock:
            self._live = False

    def _tell(self, kind: str, session: Session) -> None:
        self._send({'type': kind, 'session_id': session.session_id,
                    'session_name': session.name})

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Telling the gateway of commands: it learns of them by our introduction only (section 8.1)."""

from __future__ import annotations

import threading

from plexus_bridge.client.sender import Sender

# Programs declare their commands one after the other: one introduction is to be enough.
GATHER_S = 0.2


class Announcement:
    """Opens the connection, or has it opened anew, shortly after the last declaration."""

    def __init__(self, sender: Sender):
        self._sender = sender
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._said_too_early = False

    def due(self) -> None:
        """Say that there is something to announce; any thread may."""
        with self._lock:
            # Before the first connection there is nothing to correct.
            self._said_too_early = self._said_too_early or self._sender.started
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(GATHER_S, self._announce)
            self._timer.daemon = True
            self._timer.start()

    def cancel(self) -> None:
        """Announce nothing any more."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()

    def _announce(self) -> None:
        with self._lock:
            too_early, self._said_too_early = self._said_too_early, False
        if not self._sender.start() and too_early:
            self._sender.reconnect()

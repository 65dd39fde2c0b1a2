# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Waking a thread that waits in `select`."""

from __future__ import annotations

import contextlib
import socket


class Waker:
    """`reader` can be read once somebody called `wake`; until `clear`, by the one who waits."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.reader.setblocking(False)
        self._writer.setblocking(False)

    def wake(self) -> None:
        """Wake; any thread may."""
        # Where it blocks, enough wake-ups are waiting already; once closed, nobody waits.
        with contextlib.suppress(OSError):
            self._writer.send(b'\0')

    def clear(self) -> None:
        """Take note of all wake-ups until now."""
        with contextlib.suppress(BlockingIOError):
            while len(self.reader.recv(4096)) == 4096:
                pass

    def close(self) -> None:
        """Let go of it; nobody waits any more."""
        self.reader.close()
        self._writer.close()

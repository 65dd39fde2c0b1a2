# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Writes the journal on a thread of its own: whoever makes frames does not wait for the disk.

Disks stall: a checkpoint on a memory card takes a second or two now and then, and events that come
meanwhile must not.
"""

from __future__ import annotations

import logging
import threading
import time

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.journal_sync import LOOK_PERIOD_S
from plexus_bridge.delivery.outbox import MAX_UNWRITTEN_BYTES
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.errors import JournalError

log = logging.getLogger(__name__)


class JournalWriter:
    """All calls belong to one thread, which makes the frames and collects them."""

    def __init__(self, outbox: Outbox, counters: Counters):
        self._outbox = outbox
        self._counters = counters
        self._due = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._next_look = 0.0
        self._stopping = False
        self._told = False
        self._thread = threading.Thread(target=self._run, name='plexus-journal', daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def write_soon(self) -> None:
        """
        Have written what was collected; wait only where too much is in memory already.

        Where nothing was, the thread is woken now and then only: the disk is looked after, too.
        """
        now = time.monotonic()
        if not self._outbox.awaits_disk and now < self._next_look:
            return
        self._next_look = now + LOOK_PERIOD_S
        if self._outbox.unwritten()[1] > MAX_UNWRITTEN_BYTES:
            self._idle.wait()
        self._idle.clear()
        self._due.set()

    def stop(self) -> None:
        """End the thread, once it has written what it was asked to."""
        self._stopping = True
        self._due.set()
        if self._thread.ident:
            self._thread.join()

    def write(self, *, everything: bool = False) -> None:
        """Write now, on the thread that calls, which must be the only one that does."""
        try:
            self._outbox.write(everything=everything)
        except JournalError as error:
            self._counters.add('journal_errors')
            if not self._told:
                self._told = True
                log.error('%s; what is measured meanwhile is sent from memory', error)

    def _run(self) -> None:
        ending = False
        while not ending:
            self._due.wait()
            self._due.clear()
            ending = self._stopping
            try:
                self.write()
            except Exception:
                # Nothing is written if this ends, and then nothing is sent either.
                self._counters.add('journal_errors')
                log.exception('unexpected error while the journal was written; it is tried again')
            if not self._due.is_set():
                self._idle.set()

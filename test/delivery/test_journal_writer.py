# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A disk that stalls or refuses keeps nobody waiting who makes frames."""

from __future__ import annotations

from collections.abc import Iterator
import logging
import threading

import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.delivery import journal_writer
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.journal_writer import JournalWriter
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.errors import JournalError


class Disk:
    """A journal on a disk that stands still until `free` is set."""

    def __init__(self, folder, monkeypatch):
        self.counters = Counters()
        self.journal = Journal(folder / 'robot.db', 1 << 30, self.counters)
        self.lanes = Lanes(self.counters)
        self.outbox = Outbox(self.lanes, self.journal, self.counters)
        self.writer = JournalWriter(self.outbox, self.counters)
        self.begun, self.free = threading.Event(), threading.Event()
        self._write = self.journal.write
        monkeypatch.setattr(self.journal, 'write', self.write)
        self.writer.start()

    def write(self, *arguments):
        self.begun.set()
        assert self.free.wait(20)
        return self._write(*arguments)

    def make(self, lane: str) -> None:
        self.lanes.sinks[lane].add({'value': 1})
        self.outbox.collect()
        self.writer.write_soon()


@pytest.fixture
def disk(tmp_path, monkeypatch) -> Iterator[Disk]:
    made = Disk(tmp_path, monkeypatch)
    yield made
    made.free.set()
    made.writer.stop()
    made.journal.close()


def test_events_leave_while_the_disk_stands_still(disk):
    disk.make('state')
    assert disk.begun.wait(20)
    disk.make('urgent')
    frame = disk.outbox.take()
    assert frame is not None
    assert frame.lane is Lane.URGENT
    assert disk.outbox.take() is None  # what is measured waits for the disk
    disk.free.set()
    disk.writer.stop()
    assert disk.journal.points == 2
    state = disk.outbox.take()
    assert state is not None
    assert state.lane is Lane.STATE


def test_what_is_collected_waits_where_memory_would_run_full(disk, monkeypatch):
    disk.make('state')
    assert disk.begun.wait(20)
    monkeypatch.setattr(journal_writer, 'MAX_UNWRITTEN_BYTES', 10)
    made = threading.Thread(target=disk.make, args=('state',))
    made.start()
    made.join(0.1)
    assert made.is_alive()
    disk.free.set()
    made.join(20)
    assert not made.is_alive()


@pytest.mark.parametrize('error', [JournalError('disk full'), RuntimeError('a mistake of ours')])
def test_an_error_is_told_and_the_next_write_is_tried(disk, monkeypatch, caplog, error):
    failed = threading.Event()

    def refuse(*_):
        failed.set()
        raise error

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(disk.journal, 'write', refuse)
        disk.make('state')
        assert failed.wait(20)
        while not disk.counters['journal_errors']:
            failed.wait(0.001)
    disk.free.set()
    disk.make('state')
    disk.writer.stop()
    assert str(error) in caplog.text
    assert disk.journal.points == 2


def test_where_nothing_was_collected_the_disk_is_left_alone(disk):
    disk.free.set()
    disk.make('state')
    assert disk.begun.wait(20)
    disk.writer.stop()
    assert not disk.outbox.awaits_disk
    frame = disk.outbox.take()
    assert frame is not None
    disk.outbox.settle([frame.key])
    assert disk.outbox.awaits_disk  # it is to be let go of there

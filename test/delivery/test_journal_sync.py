# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What is not acknowledged within a second is synced to the disk, and nothing else is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.delivery import journal_sync
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.journal_file import key_of
from plexus_bridge.delivery.journal_sync import JournalSync
from plexus_bridge.delivery.journal_sync import LOOK_PERIOD_S
from plexus_bridge.errors import JournalError

MADE_MS = 1_790_000_000_000


class Robot:
    """Writes frames and moves its clock by hand; `synced` are the paths that the disk took."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch):
        self.synced: list[str] = []
        self.now = 1000.0
        for name in ('fdatasync', 'fsync'):
            monkeypatch.setattr(journal_sync.os, name, self._sync)
        self.journal = Journal(path, 1 << 30, Counters())
        self.sync = JournalSync(path)
        self._number = 0
        self.look()

    def _sync(self, handle: int) -> None:
        self.synced.append(Path(os.readlink(f'/proc/self/fd/{handle}')).name)

    def write(self, lane: Lane = Lane.STATE) -> int:
        self._number += 1
        key = key_of(lane, self._number)
        self.journal.write([Frame(key, lane, 1, MADE_MS, b'{}')])
        self.sync.wrote(self._number)
        return key

    def look(self) -> bool:
        """Let the time go by until it is looked again."""
        self.now += LOOK_PERIOD_S
        return self.sync.look(self.journal._database, self.now)


@pytest.fixture
def robot(tmp_path, monkeypatch):
    robot = Robot(tmp_path / 'robot.db', monkeypatch)
    yield robot
    robot.journal.close()


@pytest.mark.parametrize('lane', Lane)
def test_what_waits_for_a_second_is_synced_once_with_the_folder_it_lies_in(robot, lane):
    robot.write(lane)
    assert not robot.look()  # it may have come a moment ago
    assert robot.look()
    assert robot.synced == ['robot.db-wal', robot.journal.path.parent.name]
    assert not robot.look()
    assert not robot.look()


def test_each_second_of_an_outage_is_synced_and_the_folder_only_once(robot):
    for _ in range(round(6 / LOOK_PERIOD_S)):
        robot.write()
        robot.look()
    assert robot.synced.count('robot.db-wal') == 6
    assert len(robot.synced) == 7


def test_what_is_acknowledged_sooner_spares_the_disk(robot):
    for _ in range(10):
        key = robot.write()
        robot.look()
        robot.journal.write([], [key])
    assert robot.synced == []


def test_it_is_looked_no_more_often_than_needed(robot):
    robot.write()
    robot.look()
    robot.write()
    assert not robot.sync.look(robot.journal._database, robot.now + LOOK_PERIOD_S / 2)
    assert robot.synced == []


def test_what_the_last_process_left_is_made_safe_too(tmp_path, monkeypatch):
    Robot(tmp_path / 'robot.db', monkeypatch).write()  # its journal is not closed, as by a kill
    os.unlink(tmp_path / 'robot.db.lock')
    counters = Counters()
    journal = Journal(tmp_path / 'robot.db', 1 << 30, counters)
    now = [2000.0]
    monkeypatch.setattr('plexus_bridge.delivery.journal.time.monotonic', lambda: now[0])
    for _ in range(3):
        journal.outlast_power_cuts()
        now[0] += LOOK_PERIOD_S
    assert counters['journal_syncs'] == 1
    journal.close()


def test_a_disk_that_does_not_take_it_is_told(tmp_path, monkeypatch):
    journal = Journal(tmp_path / 'robot.db', 1 << 30, Counters())
    journal.write([Frame(key_of(Lane.STATE, 1), Lane.STATE, 1, MADE_MS, b'{}')])

    def refuse(handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(journal_sync.os, 'fdatasync', refuse)
    monkeypatch.setattr(journal_sync, 'LOOK_PERIOD_S', 0.0)
    journal.outlast_power_cuts()
    with pytest.raises(JournalError, match='Input/output error'):
        journal.outlast_power_cuts()
    journal.close()

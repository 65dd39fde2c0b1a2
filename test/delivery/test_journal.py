# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The journal keeps what it was given, whatever happens to the process or the file."""

from __future__ import annotations

from pathlib import Path
import sqlite3
import subprocess
import sys

import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal import Backlog
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.errors import JournalError

EVERYTHING = (0, 1 << 62, 1 << 30)


def frame(body: bytes = b'{}', lane: Lane = Lane.STATE, points: int = 1) -> Frame:
    return Frame(0, lane, points, 1_790_000_000_000, body)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / 'journal' / 'robot.db'


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def open_journal(path, counters):
    journals: list[Journal] = []

    def open_one(max_bytes: int = 1_000_000) -> Journal:
        journals.append(Journal(path, max_bytes, counters))
        return journals[-1]

    yield open_one
    for journal in journals:
        journal.close()


def test_frames_are_kept_in_order_by_lane_until_they_are_settled(open_journal, path):
    journal = open_journal()
    kept = journal.write([frame(b'1'), frame(b'2', Lane.BULK), frame(b'3', points=4)], [])
    assert [one.key for one in kept] == [1, 2, 3]
    backlog = Backlog(path)
    assert backlog.read(Lane.STATE, *EVERYTHING) == [kept[0], kept[2]]
    assert backlog.read(Lane.STATE, 1, 3, 100) == []
    journal.write([], [kept[0]])
    assert backlog.read(Lane.STATE, *EVERYTHING) == [kept[2]]
    assert (journal.points, journal.last_key) == (5, 3)
    backlog.close()


def test_what_is_kept_outlives_the_process(open_journal):
    first = open_journal()
    kept = first.write([frame(b'a'), frame(b'b')], [])
    size = first.size_bytes
    first.close()
    again = open_journal()
    assert (again.points, again.size_bytes, again.last_key) == (2, size, 2)
    # Keys are never given twice, or an old acknowledgement would settle new data.
    again.write([], kept)
    assert [one.key for one in again.write([frame()], [])] == [3]
    assert (again.points, again.size_bytes) == (1, again.size_bytes)


def test_when_full_the_oldest_bulk_goes_first_then_the_oldest(open_journal, path, counters):
    journal = open_journal(max_bytes=5 * (100 + 64))
    lanes = [Lane.STATE, Lane.BULK, Lane.STATE, Lane.BULK, Lane.URGENT]
    journal.write([frame(b'x' * 100, lane) for lane in lanes], [])
    for expected in ({1, 3, 4, 5, 6}, {1, 3, 5, 6, 7}, {3, 5, 6, 7, 8}):
        journal.write([frame(b'x' * 100)], [])
        backlog = Backlog(path)
        left = {one.key for lane in Lane for one in backlog.read(lane, *EVERYTHING)}
        backlog.close()
        assert left == expected
    assert counters.dropped() == {'journal_full': 3}
    assert journal.size_bytes == 5 * 164


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(open_journal, path):
    path.parent.mkdir()
    path.write_bytes(b'this is no database' * 100)
    journal = open_journal()
    assert journal.set_aside is not None
    assert journal.set_aside.read_bytes().startswith(b'this is no database')
    assert len(journal.write([frame()], [])) == 1


def test_a_journal_of_a_newer_program_is_refused(open_journal, path):
    open_journal().close()
    database = sqlite3.connect(path)
    database.execute('PRAGMA user_version = 99')
    database.close()
    with pytest.raises(JournalError, match='saw schema version 99, expected at most 1'):
        open_journal()


def test_two_processes_never_share_a_journal(open_journal, path):
    open_journal()
    code = ('from pathlib import Path; from plexus_bridge.counters import Counters; '
            'from plexus_bridge.delivery.journal import Journal; '
            f'Journal(Path({str(path)!r}), 1000, Counters())')
    other = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                           cwd=Path(__file__).parents[2], check=False)
    assert other.returncode == 1
    assert 'is in use by another process (pid ' in other.stderr


def test_the_file_is_for_its_owner_alone(open_journal, path):
    open_journal()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize('lane', list(Lane))
def test_making_room_does_not_search_the_whole_journal(open_journal, lane):
    journal = open_journal(max_bytes=20_000 * (10 + 64))
    journal.write([frame(b'x' * 10, lane) for _ in range(20_000)], [])
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    journal._database.set_progress_handler(count, 100)
    journal.write([frame(b'x' * 10)], [])
    journal._database.set_progress_handler(None, 0)
    assert journal.points == 20_000
    assert steps < 100, f'{steps} hundred steps for one frame among 20 000'


def test_many_frames_make_room_for_a_large_one(open_journal, counters):
    journal = open_journal(max_bytes=2000 * (10 + 64))
    journal.write([frame(b'x' * 10, lane) for lane in Lane for _ in range(600)], [])
    journal.write([frame(b'y' * 90_000)], [])
    assert journal.size_bytes <= 2000 * 74
    assert counters.dropped() == {'journal_full': 1801 - journal.points}
    stored = sqlite3.connect(journal.path).execute(
        'SELECT COUNT(*), SUM(LENGTH(body) + 64), SUM(lane = 2) FROM frames').fetchone()
    assert stored == (journal.points, journal.size_bytes, 0)


def test_a_journal_smaller_than_a_frame_keeps_none(open_journal, counters):
    journal = open_journal(max_bytes=10)
    journal.write([frame(b'x' * 100)], [])
    assert (journal.points, journal.size_bytes) == (0, 0)
    assert counters.dropped() == {'journal_full': 1}


def test_a_frame_that_was_evicted_and_then_settled_is_counted_once(open_journal):
    journal = open_journal(max_bytes=3 * (10 + 64))
    kept = journal.write([frame(b'x' * 10) for _ in range(3)], [])
    journal.write([frame(b'x' * 10)], [])
    journal.write([], kept)
    assert (journal.points, journal.size_bytes) == (1, 74)


def test_what_cannot_be_read_back_is_a_journal_error_after_what_can(open_journal, path):
    journal = open_journal()
    kept = journal.write([frame(b'ab%d' % index) for index in range(3)], [])
    with sqlite3.connect(path) as database:
        database.execute('DROP TABLE frames')
        database.execute('CREATE TABLE frames (key, lane, points, made_ms, body)')
        for index, one in enumerate(kept):
            body = one.points_json if index < 2 else None
            database.execute('INSERT INTO frames VALUES (?, ?, 1, 1, ?)', (one.key, 1, body))
    database.close()
    backlog = Backlog(path)
    assert [one.key for one in backlog.read(Lane.STATE, *EVERYTHING)] == [1, 2]
    with pytest.raises(JournalError, match='cannot be read back'):
        backlog.read(Lane.STATE, 2, 1 << 62, 1 << 30)
    backlog.close()


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(JournalError, match='cannot be made: '):
        Journal(tmp_path / 'file' / 'robot.db', 1000, Counters())

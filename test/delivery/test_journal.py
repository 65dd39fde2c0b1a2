# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The journal keeps what it was given, whatever happens to the process or the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
import sqlite3
import subprocess
import sys

import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.delivery import journal as journal_module
from plexus_bridge.delivery.backlog import Backlog
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.journal_file import key_of
from plexus_bridge.delivery.journal_file import number_of
from plexus_bridge.delivery.losses import Loss
from plexus_bridge.errors import JournalError

MADE_MS = 1_790_000_000_000
ALL_BYTES = 1 << 30


class Numbers:
    """Gives frames their keys, as the outbox does."""

    def __init__(self) -> None:
        self.last = 0

    def frame(self, body: bytes = b'{}', lane: Lane = Lane.STATE, points: int = 1) -> Frame:
        self.last += 1
        return Frame(key_of(lane, self.last), lane, points, MADE_MS + self.last, body)


@pytest.fixture
def frame() -> Callable[..., Frame]:
    return Numbers().frame


def numbers_in(path: Path) -> set[int]:
    database = sqlite3.connect(path)
    keys = {number_of(row[0]) for row in database.execute('SELECT key FROM frames')}
    database.close()
    return keys


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / 'journal' / 'robot.db'


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def open_journal(path, counters):
    journals: list[Journal] = []

    def open_one(max_bytes: int = 1_000_000, min_free_bytes: int = 0) -> Journal:
        journals.append(Journal(path, max_bytes, counters, min_free_bytes))
        return journals[-1]

    yield open_one
    for journal in journals:
        journal.close()


def test_frames_are_kept_in_order_by_lane_until_they_are_settled(open_journal, path, frame):
    journal = open_journal()
    kept = [frame(b'1'), frame(b'2', Lane.BULK), frame(b'3', points=4)]
    journal.write(kept)
    backlog = Backlog(path)
    assert backlog.read(Lane.STATE, 0, ALL_BYTES).frames == [kept[0], kept[2]]
    assert backlog.read(Lane.BULK, 0, ALL_BYTES).frames == [kept[1]]
    assert backlog.read(Lane.STATE, kept[2].key, ALL_BYTES).frames == []
    journal.write([], [kept[0].key])
    assert backlog.read(Lane.STATE, 0, ALL_BYTES).frames == [kept[2]]
    assert (journal.points, journal.last_number) == (5, 3)
    assert journal.kept[Lane.STATE].points == 4
    assert journal.oldest_ms(Lane.BULK) == kept[1].made_ms
    assert journal.oldest_ms(Lane.URGENT) == 0
    backlog.close()


def test_what_is_kept_outlives_the_process(open_journal, frame):
    first = open_journal()
    kept = [frame(b'a'), frame(b'b')]
    first.write(kept, [], [Loss('journal_full', 7, 1, 2)])
    size = first.size_bytes
    first.close()
    again = open_journal()
    assert (again.points, again.size_bytes, again.last_number) == (2, size, 2)
    assert again.noted_losses() == [Loss('journal_full', 7, 1, 2)]
    again.write([], [one.key for one in kept], [])
    assert (again.points, again.size_bytes, again.noted_losses()) == (0, 0, [])


def test_when_full_the_oldest_bulk_goes_first_then_the_oldest(open_journal, path, frame):
    journal = open_journal(max_bytes=5 * (100 + 64))
    lanes = [Lane.STATE, Lane.BULK, Lane.STATE, Lane.BULK, Lane.URGENT]
    journal.write([frame(b'x' * 100, lane) for lane in lanes])
    for expected, gone in (({1, 3, 4, 5, 6}, 2), ({1, 3, 5, 6, 7}, 4), ({3, 5, 6, 7, 8}, 1)):
        evicted = journal.write([frame(b'x' * 100)])
        assert numbers_in(path) == expected
        assert [(number_of(one.key), one.made_ms) for one in evicted] == [(gone, MADE_MS + gone)]
    assert journal.size_bytes == 5 * 164


def test_while_the_disk_is_nearly_full_the_journal_grows_no_more(
        open_journal, frame, monkeypatch):
    disk = Disk(free=3_000_000)
    monkeypatch.setattr(journal_module.os, 'statvfs', lambda _: disk)
    monkeypatch.setattr(journal_module, '_FREE_CHECK_S', 0.0)
    monkeypatch.setattr(journal_module, 'SMALLEST_LIMIT_BYTES', 1000)
    journal = open_journal(min_free_bytes=2_000_000)
    for _ in range(50):
        assert journal.write([frame(b'x' * 36)]) == []
    disk.free = 1_000_000
    for count in range(1, 6):
        evicted = journal.write([frame(b'x' * 36)])
        assert [number_of(one.key) for one in evicted] == [count]
    assert journal.limit_bytes == 5000
    disk.free = 3_000_000
    assert journal.write([frame(b'x' * 36)]) == []
    assert journal.points == 51


class Disk:
    f_frsize = 1

    def __init__(self, free: int):
        self.free = free

    @property
    def f_bavail(self) -> int:
        return self.free


def test_a_nearly_full_disk_leaves_a_new_journal_room_for_the_present(
        open_journal, frame, monkeypatch):
    monkeypatch.setattr(journal_module.os, 'statvfs', lambda _: Disk(free=0))
    journal = open_journal(max_bytes=1 << 30, min_free_bytes=2_000_000)
    assert journal.write([frame(b'x' * 1_000_000)]) == []
    assert journal.limit_bytes == journal_module.SMALLEST_LIMIT_BYTES


def test_what_an_outage_took_of_the_disk_is_given_back(open_journal, path, frame):
    journal = open_journal(max_bytes=1 << 30)
    kept = [frame(b'x' * 1_000_000) for _ in range(20)]
    journal.write(kept)
    assert disk_bytes(path) > 20_000_000
    journal.write([], [one.key for one in kept])
    assert disk_bytes(path) < 200_000


def disk_bytes(path: Path) -> int:
    return sum(one.stat().st_size for one in path.parent.glob(f'{path.name}*'))


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(open_journal, path, frame):
    path.parent.mkdir()
    path.write_bytes(b'this is no database' * 100)
    journal = open_journal()
    assert journal.set_aside is not None
    assert journal.set_aside.read_bytes().startswith(b'this is no database')
    assert [loss.reason for loss in journal.noted_losses()] == ['journal_damaged']
    journal.write([frame()])
    assert journal.points == 1


def damage(path: Path, page: int) -> None:
    with path.open('r+b') as file:
        file.seek(page * 16384)
        file.write(b'\xa5' * 16384)


def test_of_a_damaged_file_everything_is_saved_that_can_be_read(open_journal, path, counters,
                                                               frame):
    first = open_journal(max_bytes=1 << 30)
    first.write([frame(b'%d' % index * 500, lane, points=3) for index in range(600)
                 for lane in Lane])
    first.close()
    damage(path, 30)
    journal = open_journal(max_bytes=1 << 30)
    assert journal.set_aside
    assert 1700 * 3 < journal.points < 1800 * 3
    assert counters['points_salvaged'] == journal.points
    backlog = Backlog(path)
    assert all(backlog.read(lane, 0, ALL_BYTES).damaged == [] for lane in Lane)
    backlog.close()


def test_damage_that_shows_while_writing_is_counted_and_does_not_end_it(
        open_journal, path, counters, frame):
    journal = open_journal(max_bytes=1 << 30)
    kept = [frame(b'x' * 500) for _ in range(600)]
    journal.write(kept)
    journal._database.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    journal._database.execute('PRAGMA cache_size = 0')
    for page in range(3, 15):
        damage(path, page)
    def forget_all() -> None:
        for one in kept:
            journal.write([], [one.key])

    with pytest.raises(JournalError, match='was damaged'):
        forget_all()
    assert journal.number_of_files == 1
    lost = counters.dropped()['journal_damaged']
    assert lost > 100
    assert journal.noted_losses()[0].points == lost
    assert journal.write([frame(b'new')]) == []


def test_a_body_that_is_not_what_was_written_is_not_sent(open_journal, path, frame):
    journal = open_journal()
    kept = [frame(b'%d' % index) for index in range(3)]
    journal.write(kept)
    with sqlite3.connect(path) as database:
        database.execute("UPDATE frames SET body = CAST('9' AS BLOB) WHERE key = ?",
                         (kept[1].key,))
    database.close()
    backlog = Backlog(path)
    rows = backlog.read(Lane.STATE, 0, ALL_BYTES)
    assert rows.frames == [kept[0], kept[2]]
    assert [one.key for one in rows.damaged] == [kept[1].key]
    backlog.close()


def test_a_journal_of_the_first_version_is_taken_over(open_journal, path):
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.executescript('''
        CREATE TABLE frames (
          key INTEGER PRIMARY KEY AUTOINCREMENT, lane INTEGER NOT NULL, points INTEGER NOT NULL,
          made_ms INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
        CREATE INDEX frames_by_lane ON frames (lane, key);
        INSERT INTO frames VALUES (7, 1, 2, 5, X'7B7D'), (9, 2, 3, 6, X'5B5D');
        PRAGMA user_version = 1;''')
    database.close()
    journal = open_journal()
    assert (journal.points, journal.last_number, journal.set_aside) == (5, 9, None)
    backlog = Backlog(path)
    assert backlog.read(Lane.STATE, 0, ALL_BYTES).frames == [
        Frame(key_of(Lane.STATE, 7), Lane.STATE, 2, 5, b'{}')]
    assert backlog.read(Lane.BULK, 0, ALL_BYTES).frames[0].points_json == b'[]'
    backlog.close()


def test_a_journal_of_a_newer_program_is_refused(open_journal, path):
    open_journal().close()
    database = sqlite3.connect(path)
    database.execute('PRAGMA user_version = 99')
    database.close()
    with pytest.raises(JournalError, match='saw schema version 99, expected at most 2'):
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
def test_making_room_does_not_search_the_whole_journal(open_journal, lane, frame):
    journal = open_journal(max_bytes=20_000 * (10 + 64))
    journal.write([frame(b'x' * 10, lane) for _ in range(20_000)])
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    journal._database.set_progress_handler(count, 100)
    journal.write([frame(b'x' * 10)])
    journal._database.set_progress_handler(None, 0)
    assert journal.points == 20_000
    assert steps < 100, f'{steps} hundred steps for one frame among 20 000'


def test_many_frames_make_room_for_a_large_one(open_journal, frame):
    journal = open_journal(max_bytes=2000 * (10 + 64))
    journal.write([frame(b'x' * 10, lane) for lane in Lane for _ in range(600)])
    evicted = journal.write([frame(b'y' * 90_000)])
    assert journal.size_bytes <= 2000 * 74
    assert len(evicted) == 1801 - journal.points
    stored = sqlite3.connect(journal.path).execute(
        'SELECT COUNT(*), SUM(LENGTH(body) + 64), SUM(key >> 48 = 2) FROM frames').fetchone()
    assert stored == (journal.points, journal.size_bytes, 0)


def test_a_journal_smaller_than_a_frame_keeps_none(open_journal, frame):
    journal = open_journal(max_bytes=10)
    assert len(journal.write([frame(b'x' * 100)])) == 1
    assert (journal.points, journal.size_bytes) == (0, 0)


def test_a_frame_that_was_evicted_and_then_settled_is_counted_once(open_journal, frame):
    journal = open_journal(max_bytes=3 * (10 + 64))
    kept = [frame(b'x' * 10) for _ in range(3)]
    journal.write(kept)
    journal.write([frame(b'x' * 10)])
    journal.write([], [one.key for one in kept])
    assert (journal.points, journal.size_bytes) == (1, 74)


def test_what_cannot_be_read_back_is_a_journal_error_after_what_can(open_journal, path, frame):
    journal = open_journal()
    kept = [frame(b'ab%d' % index) for index in range(3)]
    journal.write(kept)
    with sqlite3.connect(path) as database:
        database.execute('ALTER TABLE frames RENAME TO old')
        database.execute('CREATE TABLE frames (key, points, made_ms, crc, body)')
        database.execute('INSERT INTO frames SELECT * FROM old')
        database.execute('UPDATE frames SET body = NULL WHERE key = ?', (kept[2].key,))
    database.close()
    backlog = Backlog(path)
    assert backlog.read(Lane.STATE, 0, ALL_BYTES).frames == kept[:2]
    with pytest.raises(JournalError, match='cannot be read back'):
        backlog.read(Lane.STATE, kept[1].key, ALL_BYTES)
    backlog.close()


def test_a_folder_that_cannot_be_is_told(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(JournalError, match='cannot be made: '):
        Journal(tmp_path / 'file' / 'robot.db', 1000, Counters())

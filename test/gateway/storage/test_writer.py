# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
import queue
import sqlite3
from typing import Any

import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.storage import queries
from plexus_bridge.gateway.storage import writer as writer_module
from plexus_bridge.gateway.storage.schema import open_reader
from plexus_bridge.gateway.storage.schema import open_writer
from plexus_bridge.gateway.storage.windows import Window
from plexus_bridge.gateway.storage.writer import Batch
from plexus_bridge.gateway.storage.writer import Outcome
from plexus_bridge.gateway.storage.writer import ROWS_PER_STATEMENT
from plexus_bridge.gateway.storage.writer import Writer
from plexus_bridge.points import read_point

NOW_MS = 1_790_000_000_000
Groups = queue.SimpleQueue[list[tuple[Batch, Outcome]]]


def batch(token: object, *values: float, source: str = 'kiln-7', metric: str = 'a') -> Batch:
    points = [read_point({'metric': metric, 'value': value, 'timestamp': NOW_MS + index}, NOW_MS)
              for index, value in enumerate(values)]
    return Batch([(source, points)], NOW_MS, token)


class Writing:
    """A writer whose thread starts on request, with what it settled."""

    def __init__(self, path: Path):
        self.groups: Groups = queue.SimpleQueue()
        self.counters = Counters()
        self.connection = open_writer(path)
        self.writer = Writer(self.connection, self.counters, self.groups.put)
        self.reader = open_reader(path)

    def next_group(self) -> list[tuple[Any, Outcome]]:
        return [(batch.token, outcome) for batch, outcome in self.groups.get(timeout=20)]

    def stored(self, table: str = 'sample') -> int:
        return int(self.reader.execute(f'SELECT count(*) FROM {table}').fetchone()[0])


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Writing]:
    writing = Writing(tmp_path / 'gateway.db')
    yield writing
    writing.reader.close()
    writing.writer.stop()


def test_what_is_handed_in_meanwhile_is_one_commit(writing: Writing):
    for token in range(5):
        writing.writer.put(batch(token, token, metric=f'm{token}'))
    writing.writer.start()
    assert writing.next_group() == [(token, None) for token in range(5)]
    assert writing.stored() == 5
    assert writing.counters.totals() == {'commits': 1, 'points_stored': 5, 'points_repeated': 0}


def test_a_commit_is_bounded(writing: Writing, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer_module, 'MAX_GROUP_POINTS', 4)
    for token in range(5):
        writing.writer.put(batch(token, 1, 2, source=f'kiln-{token}'))
    writing.writer.start()
    groups = [writing.next_group() for _ in range(3)]
    assert [len(group) for group in groups] == [2, 2, 1]


def test_nothing_is_settled_before_it_can_be_read(writing: Writing):
    writing.writer.start()
    for token in range(20):
        writing.writer.put(batch(token, token, metric=f'm{token}'))
        assert writing.next_group() == [(token, None)]
        assert writing.stored() == token + 1


@pytest.mark.parametrize('count', [
    1, ROWS_PER_STATEMENT - 1, ROWS_PER_STATEMENT, ROWS_PER_STATEMENT + 1, 3 * ROWS_PER_STATEMENT])
def test_every_row_of_a_batch_is_stored(writing: Writing, count: int):
    writing.writer.start()
    writing.writer.put(batch(1, *range(count)))
    assert writing.next_group() == [(1, None)]
    assert writing.reader.execute('SELECT timestamp_ms, value FROM sample').fetchall() == [
        (NOW_MS + index, index) for index in range(count)]


def test_a_frame_that_comes_again_changes_nothing_and_is_counted(writing: Writing):
    writing.writer.start()
    events = Batch([('kiln-7', [read_point({'metric': 'log', 'value': line, 'timestamp': NOW_MS},
                                           NOW_MS) for line in ('one', 'two')])], NOW_MS, 'events')
    for _ in range(3):
        writing.writer.put(batch('samples', 1.5, 2.5))
        writing.writer.put(events)
        while writing.next_group()[-1][0] != 'events':
            pass
    assert writing.stored() == 2
    assert writing.stored('event') == 2, 'two lines of one millisecond are two events'
    assert writing.counters['points_stored'] == 4
    assert writing.counters['points_repeated'] == 8


def test_a_batch_of_several_sources_is_one(writing: Writing):
    parts = [(f'kiln-{index}', batch(0, index).parts[0][1]) for index in range(3)]
    writing.writer.put(Batch(parts, NOW_MS, 'all'))
    writing.writer.start()
    assert writing.next_group() == [('all', None)]
    assert writing.stored('source') == 3


def test_a_failure_is_told_and_gets_over_by_itself(
        writing: Writing, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., None],
        caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(writer_module, 'PROBE_INTERVAL_S', 0.02)
    writing.writer.start()
    writing.writer.put(batch(0, 0.0))
    writing.next_group()
    # SQLite reports a limit on the number of pages exactly as it reports a full disk.
    [pages] = writing.reader.execute('PRAGMA page_count').fetchone()
    writing.connection.execute(f'PRAGMA max_page_count = {pages}')
    for token in (1, 2):
        writing.writer.put(batch(token, *range(1000), metric='filling'))
    failed = writing.next_group()
    while len(failed) < 2:
        failed += writing.next_group()
    assert [token for token, _ in failed] == [1, 2]
    for _, outcome in failed:
        assert isinstance(outcome, StoreError)
        assert 'full' in str(outcome)
    assert 'full' in str(writing.writer.failure)
    assert writing.stored() == 1, 'a failed group leaves nothing behind'
    assert caplog.text.count('cannot be written') == 1

    writing.connection.execute('PRAGMA max_page_count = 1000000')
    wait_for(lambda: writing.writer.failure is None, 'the writer has found out by itself')
    writing.writer.put(batch(3, *range(1000), metric='filling'))
    assert writing.next_group() == [(3, None)]
    assert writing.stored() == 1001
    # Numbers of series that were rolled back are not used: the samples can be found by name.
    found = queries.raw_samples(writing.reader, 'kiln-7', ['filling'], Window(0, 2**62))
    assert len(found.series['filling']['value']) == 1000


def test_a_bug_does_not_end_the_thread(writing: Writing, caplog: pytest.LogCaptureFixture):
    writing.writer.start()
    writing.writer.put(Batch([('kiln-7', [None])], NOW_MS, 1))  # type: ignore[list-item]
    [(_, outcome)] = writing.next_group()
    assert isinstance(outcome, StoreError)
    assert 'Traceback' in caplog.text
    writing.writer.put(batch(2, 1.0))
    assert writing.next_group() == [(2, None)]
    assert writing.writer.failure is None


def test_what_was_handed_in_is_written_before_the_end(tmp_path: Path):
    path = tmp_path / 'gateway.db'
    groups: Groups = queue.SimpleQueue()
    writer = Writer(open_writer(path), Counters(), groups.put)
    for token in range(100):
        writer.put(batch(token, token, metric=f'm{token}'))
    writer.start()
    writer.stop()
    connection = sqlite3.connect(path)
    assert connection.execute('SELECT count(*) FROM sample').fetchone() == (100,)
    connection.close()

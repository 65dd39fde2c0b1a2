# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.gateway.storage import queries
from plexus_bridge.gateway.storage.schema import open_reader
from plexus_bridge.gateway.storage.schema import open_writer
from plexus_bridge.gateway.storage.windows import Window
from plexus_bridge.gateway.storage.writer import Batch
from plexus_bridge.gateway.storage.writer import Writer
from plexus_bridge.points import read_point

NOW_MS = 1_790_000_000_000
IN_2015_MS = 1_425_000_000_000
ALWAYS = Window(0, 2**62)
MINUTE = 60_000


class Filled:
    """A database, written as the gateway writes it, and a reader."""

    def __init__(self, path: Path):
        self._writer = Writer(open_writer(path), Counters(), lambda outcomes: None)
        self.reader = open_reader(path)
        self._path = path

    def add(self, *points: tuple[Any, ...], source: str = 'kiln-7') -> None:
        names = ('metric', 'value', 'timestamp', 'tags')
        read = [read_point(dict(zip(names, point, strict=False)), NOW_MS) for point in points]
        self._writer._write([Batch([(source, read)], NOW_MS, None)])

    def close(self) -> None:
        self._writer._connection.close()
        self.reader.close()


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    filled = Filled(tmp_path / 'gateway.db')
    yield filled
    filled.close()


class TestSources:

    def test_nothing_yet(self, filled: Filled):
        assert queries.sources(filled.reader) == []
        assert queries.find_source(filled.reader, 'kiln-7') is None

    def test_the_newest_metric_counts_and_events_do_not(self, filled: Filled):
        filled.add(('door', 'open', NOW_MS), source='b')
        filled.add(
            ('t', 1, NOW_MS + 5), ('t', 1, NOW_MS), ('door', 'open', NOW_MS + 9), source='a')
        assert queries.sources(filled.reader) == [('a', NOW_MS + 5), ('b', None)]
        assert queries.find_source(filled.reader, 'b') == ('b', None)

    @pytest.mark.parametrize('name', ["' OR 1=1 --", '%', '', 'A', '../a', '\0', 'a*'])
    def test_no_name_means_more_than_itself(self, filled: Filled, name: str):
        filled.add(('t', 1, NOW_MS), source='a')
        assert queries.find_source(filled.reader, name) is None
        assert queries.metric_names(filled.reader, name) == []


class TestLatest:

    def test_the_newest_stamp_wins_whatever_came_last(self, filled: Filled):
        filled.add(('t', 2, NOW_MS + 1))
        filled.add(('t', 1, NOW_MS), ('u', 5.5, NOW_MS))
        assert queries.latest(filled.reader, 'kiln-7', NOW_MS) == {'t': 2, 'u': 5.5}

    def test_an_old_recording_that_is_replayed_now_is_shown(self, filled: Filled):
        filled.add(('t', 7, IN_2015_MS))
        assert queries.latest(filled.reader, 'kiln-7', NOW_MS) == {'t': 7}

    def test_what_was_received_over_an_hour_ago_is_not(self, filled: Filled):
        filled.add(('t', 7, NOW_MS))
        assert queries.latest(filled.reader, 'kiln-7', NOW_MS + 60 * MINUTE) == {'t': 7}
        assert queries.latest(filled.reader, 'kiln-7', NOW_MS + 60 * MINUTE + 1) == {}

    def test_tags_are_looked_through(self, filled: Filled):
        filled.add(('t', 1, NOW_MS, {'site': 'lab'}), ('t', 2, NOW_MS + 1, {'site': 'field'}),
                   ('t', 3, NOW_MS - 1))
        assert queries.latest(filled.reader, 'kiln-7', NOW_MS) == {'t': 2}


class TestRawSamples:

    def test_columns_by_metric_in_the_order_of_time(self, filled: Filled):
        filled.add(
            ('t', 3, NOW_MS + 2), ('u', 1.5, NOW_MS), ('t', 1, NOW_MS), ('door', 'x', NOW_MS))
        result = queries.raw_samples(filled.reader, 'kiln-7', None, ALWAYS)
        assert result == ({
            't': {'timestamp_ms': (NOW_MS, NOW_MS + 2), 'value': (1, 3)},
            'u': {'timestamp_ms': (NOW_MS,), 'value': (1.5,)}}, False)
        assert list(result.series) == ['t', 'u']

    def test_the_end_is_excluded(self, filled: Filled):
        filled.add(*(('t', index, NOW_MS + index) for index in range(5)))
        result = queries.raw_samples(
            filled.reader, 'kiln-7', ['t'], Window(NOW_MS + 1, NOW_MS + 3))
        assert result.series['t']['value'] == (1, 2)

    def test_metrics_that_are_asked_for(self, filled: Filled):
        filled.add(('a', 1, NOW_MS), ('b', 2, NOW_MS), ('c', 3, NOW_MS))
        filled.add(('b', 9, NOW_MS), source='other')
        result = queries.raw_samples(filled.reader, 'kiln-7', ['b', 'zzz', 'b'], ALWAYS)
        assert result.series == {'b': {'timestamp_ms': (NOW_MS,), 'value': (2,)}}

    def test_series_of_one_metric_are_merged(self, filled: Filled):
        filled.add(*(
            ('t', index, NOW_MS + index, {'wheel': str(index % 3)}) for index in range(9)))
        result = queries.raw_samples(filled.reader, 'kiln-7', ['t'], ALWAYS)
        assert result.series['t']['value'] == tuple(range(9))

    def test_the_cap_cuts_later_metrics_first(
            self, filled: Filled, monkeypatch: pytest.MonkeyPatch):
        filled.add(*((metric, index, NOW_MS + index) for index in range(6) for metric in 'abc'))
        monkeypatch.setattr(queries, 'MAX_ROWS', 9)
        result = queries.raw_samples(filled.reader, 'kiln-7', None, ALWAYS)
        assert {name: len(columns['value']) for name, columns in result.series.items()} == {
            'a': 6, 'b': 3}
        assert result.truncated

    def test_old_stamps_are_found_like_any_other(self, filled: Filled):
        filled.add(('t', 1, IN_2015_MS), ('t', 2, NOW_MS))
        result = queries.raw_samples(
            filled.reader, 'kiln-7', None, Window(IN_2015_MS, IN_2015_MS + 1))
        assert result.series['t']['value'] == (1,)


class TestBuckets:

    def test_statistics_of_aligned_buckets(self, filled: Filled):
        start = NOW_MS // MINUTE * MINUTE
        filled.add(('t', 1, start), ('t', 2, start + 59_999), ('t', 5.0, start + MINUTE),
                   ('t', 9, start + 2 * MINUTE))
        result = queries.bucketed_samples(
            filled.reader, 'kiln-7', None, Window(start, start + 2 * MINUTE), MINUTE)
        assert result == ({'t': {
            'timestamp_ms': (start, start + MINUTE), 'min': (1, 5.0), 'max': (2, 5.0),
            'avg': (1.5, 5.0), 'count': (2, 1)}}, False)

    def test_a_bucket_that_begins_before_the_window_is_left_out(self, filled: Filled):
        start = NOW_MS // MINUTE * MINUTE
        filled.add(('t', 1, start + 30_000), ('t', 2, start + MINUTE))
        result = queries.bucketed_samples(
            filled.reader, 'kiln-7', None, Window(start + 1, start + 2 * MINUTE), MINUTE)
        assert result.series['t']['timestamp_ms'] == (start + MINUTE,)

    def test_the_cap(self, filled: Filled, monkeypatch: pytest.MonkeyPatch):
        filled.add(*(
            (metric, 1, NOW_MS + index * MINUTE) for index in range(6) for metric in 'ab'))
        monkeypatch.setattr(queries, 'MAX_ROWS', 8)
        result = queries.bucketed_samples(filled.reader, 'kiln-7', None, ALWAYS, MINUTE)
        assert [sum(columns['count']) for columns in result.series.values()] == [6, 2]
        assert result.truncated

    @settings(deadline=None, max_examples=40)
    @given(st.lists(st.tuples(st.integers(0, 5 * MINUTE), st.sampled_from(['x', 'y']),
                              st.integers(-1000, 1000)), max_size=60),
           st.integers(0, 3 * MINUTE), st.integers(0, 5 * MINUTE))
    def test_they_agree_with_the_raw_samples(
            self, tmp_path_factory: Any, points: list[tuple[int, str, int]], start: int,
            length: int):
        filled = Filled(tmp_path_factory.mktemp('queries') / 'gateway.db')
        base = NOW_MS // MINUTE * MINUTE
        filled.add(*(('t', value, base + offset, {'tag': tag}) for offset, tag, value in points))
        window = Window(base + start, base + start + length)
        raw = queries.raw_samples(filled.reader, 'kiln-7', None, window).series.get('t')
        buckets: dict[int, list[float]] = {}
        if raw:
            for stamp, value in zip(raw['timestamp_ms'], raw['value'], strict=True):
                bucket = int(stamp) // MINUTE * MINUTE
                if bucket >= window.start_ms:
                    buckets.setdefault(bucket, []).append(value)
        found = queries.bucketed_samples(filled.reader, 'kiln-7', None, window, MINUTE).series
        filled.close()
        assert found == ({'t': {
            'timestamp_ms': tuple(buckets), 'min': tuple(map(min, buckets.values())),
            'max': tuple(map(max, buckets.values())),
            'avg': tuple(sum(values) / len(values) for values in buckets.values()),
            'count': tuple(map(len, buckets.values()))}} if buckets else {})


class TestEvents:

    def test_in_the_order_of_time_with_tags_and_texts(self, filled: Filled):
        filled.add(('door', 'open', NOW_MS + 1), ('log', {'a': [1]}, NOW_MS, {'node': 'x'}),
                   ('door', True, NOW_MS + 2), ('log', '"quoted"', NOW_MS + 3), ('t', 1, NOW_MS))
        assert queries.events(filled.reader, 'kiln-7', None, ALWAYS, 100) == [
            (NOW_MS, 'log', '{"a":[1]}', {'node': 'x'}), (NOW_MS + 1, 'door', 'open', {}),
            (NOW_MS + 2, 'door', 'true', {}), (NOW_MS + 3, 'log', '"quoted"', {})]

    def test_two_lines_of_one_millisecond(self, filled: Filled):
        filled.add(('log', 'first', NOW_MS), ('log', 'again', NOW_MS), ('log', 'first', NOW_MS))
        found = queries.events(filled.reader, 'kiln-7', 'log', ALWAYS, 100)
        assert [row.value for row in found] == ['first', 'again']

    def test_those_of_one_millisecond_are_told_as_they_arrived(self, filled: Filled):
        filled.add(('mode', 'idle', NOW_MS), ('mode', 'auto', NOW_MS, {'severity': 'warn'}))
        filled.add(('door', True, NOW_MS), ('mode', 'ESTOP', NOW_MS))
        filled.add(('mode', 'auto', NOW_MS, {'severity': 'warn'}))  # sent again
        expected = ['idle', 'auto', 'true', 'ESTOP']
        assert [row.value for row in queries.events(
            filled.reader, 'kiln-7', None, ALWAYS, 100)] == expected
        assert [row.value for row in queries.last_events(
            filled.reader, 'kiln-7', None, 3)] == expected[1:]

    def test_what_comes_after_a_new_start_of_the_gateway_is_behind(self, tmp_path: Path):
        found = []
        for value in ('z', 'a'):
            filled = Filled(tmp_path / 'again.db')
            filled.add(('mode', value, NOW_MS))
            found = queries.events(filled.reader, 'kiln-7', None, ALWAYS, 100)
            filled.close()
        assert [row.value for row in found] == ['z', 'a']

    def test_window_name_and_limit(self, filled: Filled):
        filled.add(*((name, str(index), NOW_MS + index) for index in range(5) for name in 'ab'))
        window = Window(NOW_MS + 1, NOW_MS + 4)
        found = queries.events(filled.reader, 'kiln-7', 'b', window, 2)
        assert [(row.metric, row.value) for row in found] == [('b', '1'), ('b', '2')]

    def test_the_last_ones_of_all_time(self, filled: Filled):
        filled.add(*(
            (name, str(index), IN_2015_MS + index) for index in range(5) for name in 'ab'))
        found = queries.last_events(filled.reader, 'kiln-7', None, 3)
        assert [row.value for row in found] == ['3', '4', '4']
        assert [row.value for row in queries.last_events(filled.reader, 'kiln-7', 'a', 2)] == [
            '3', '4']


def test_a_limited_answer_does_not_read_everything(filled: Filled):
    # A million samples of a hundred series of one metric; the first hundred are asked for.
    for wheel in range(100):
        filled.add(*(('t', index, NOW_MS + index, {'wheel': str(wheel)}) for index in range(2000)))
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    filled.reader.set_progress_handler(count, 1000)  # called after each 1000 of SQLite's steps
    result = queries.raw_samples(filled.reader, 'kiln-7', ['t'], ALWAYS)
    assert result.truncated
    assert steps < 1000, 'reading all 200,000 rows takes over 1,400,000 steps'

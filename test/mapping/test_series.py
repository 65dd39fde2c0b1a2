# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Holding back what has not changed, and statistics of windows."""

from __future__ import annotations

import itertools
import math
import re
import statistics

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.rules import Change
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.mapping.rules import STATISTICS
from plexus_bridge.mapping.series import ChangeSeries
from plexus_bridge.mapping.series import event_writer
from plexus_bridge.mapping.series import point_writer
from plexus_bridge.mapping.series import trim_name
from plexus_bridge.mapping.series import WindowSeries
from plexus_bridge.mapping.sinks import PointSink

BEGIN = 1_790_000_000_000


def passed(change: Change, values: list) -> list:
    """Return what a series passes on of values a second apart."""
    written: list = []
    series = ChangeSeries(lambda value, stamp: written.append(value), change, Counters())
    for second, value in enumerate(values):
        series.offer(value, BEGIN + second * 1000)
    return written


@pytest.mark.parametrize(('change', 'values', 'expected'), [
    (Change(), [1, 1, 2, 2, 1], [1, 2, 1]),
    (Change(absolute=0.5), [10, 10.5, 10.6, 10.2, 10.0], [10, 10.6, 10.0]),
    (Change(relative=0.1), [100, 109, 111, 100, -100], [100, 111, -100]),
    (Change(absolute=1), [0, 0.5, 1.0, 1.5, 2.0], [0, 1.5]),
    (Change(), ['IDLE', 'IDLE', 'AUTO'], ['IDLE', 'AUTO']),
    (Change(resend_s=2), [5, 5, 5, 5, 5], [5, 5, 5]),
    (Change(absolute=10, resend_s=3), [5, 6, 7, 8, 9], [5, 8]),
])
def test_what_differs_enough_is_passed_on(change, values, expected):
    assert passed(change, values) == expected


def test_a_slow_drift_is_not_overlooked():
    """The distance counts from the value last sent, not from the one before."""
    values = [step * 0.1 for step in range(100)]
    sent = passed(Change(absolute=0.5), values)
    assert all(after - before <= 0.7 for before, after in itertools.pairwise(sent))
    assert len(sent) > 10


def test_time_that_jumps_back_begins_anew():
    written: list = []
    series = ChangeSeries(lambda value, stamp: written.append(stamp), Change(), Counters())
    for stamp in (BEGIN, BEGIN + 1, BEGIN - 5000, BEGIN - 4000):
        series.offer(1, stamp)
    assert written == [BEGIN, BEGIN - 5000]


def windows(samples: list[tuple[int, float]], window_s: float = 1.0) -> dict[str, list]:
    """Return what each statistic has written as (stamp, value)."""
    written: dict[str, list] = {name: [] for name in STATISTICS}
    series = WindowSeries(
        {name: (lambda value, stamp, name=name: written[name].append((stamp, value)))
         for name in STATISTICS}, Sampling('window', window_s=window_s), Counters())
    for stamp, value in samples:
        series.offer(value, stamp)
    series.finish()
    return written


def test_a_window_gives_each_statistic_once():
    written = windows([(BEGIN + 100, 1.0), (BEGIN + 600, 3.0), (BEGIN + 1100, 5.0)])
    assert written['mean'] == [(BEGIN + 600, 2.0), (BEGIN + 1100, 5.0)]
    assert written['min'] == [(BEGIN + 600, 1.0), (BEGIN + 1100, 5.0)]
    assert written['max'] == [(BEGIN + 600, 3.0), (BEGIN + 1100, 5.0)]
    assert written['std'] == [(BEGIN + 600, 1.0), (BEGIN + 1100, 0.0)]
    assert written['count'] == [(BEGIN + 600, 2), (BEGIN + 1100, 1)]
    assert written['last'] == [(BEGIN + 600, 3.0), (BEGIN + 1100, 5.0)]
    assert written['rate'] == [(BEGIN + 600, 2.0), (BEGIN + 1100, 1.0)]


@given(st.lists(st.tuples(st.integers(0, 10_000), st.floats(-1e9, 1e9)), min_size=1))
def test_windows_agree_with_the_textbook(samples):
    samples = sorted((BEGIN + offset, value) for offset, value in samples)
    written = windows(samples, 0.5)
    groups: dict[int, list[float]] = {}
    for stamp, value in samples:
        groups.setdefault(stamp // 500, []).append(value)
    for index, values in enumerate(groups.values()):
        assert written['count'][index][1] == len(values)
        assert written['mean'][index][1] == pytest.approx(statistics.fmean(values), abs=1e-3)
        assert written['std'][index][1] == pytest.approx(statistics.pstdev(values), abs=1e-1)
        assert written['min'][index][1] == min(values)
        assert written['max'][index][1] == max(values)
    assert len(written['mean']) == len(groups)


def test_a_window_ends_when_nothing_comes_any_more():
    written: list = []
    series = WindowSeries(
        {'count': lambda value, stamp: written.append(value)}, Sampling('window', window_s=1),
        Counters())
    series.offer(1.0, BEGIN)
    for now_ms in (0, 500, 999):
        series.settle(now_ms)
    assert written == []
    series.settle(1000)
    assert written == [1]
    series.settle(5000)
    assert written == [1]


def test_names_tags_and_texts_are_cut_to_what_the_gateway_takes():
    points: list = []
    point_writer('m' * 300, {'t' * 300: 'ü' * 300}, PointSink(points.append))(1, BEGIN)
    event_writer('e', {}, PointSink(points.append))('ü' * 300, BEGIN)
    metric, event = points
    assert len(metric['metric'].encode()) == 256
    assert re.fullmatch('m+…~[0-9a-f]{8}', metric['metric'])
    (key, value), = metric['tags'].items()
    assert len(key.encode()) <= 256
    assert len(value.encode()) <= 256
    assert len(event['value'].encode()) <= 256
    assert event['class'] == 'event'


def test_stamps_that_are_a_little_late_do_not_tear_windows_apart():
    """Two publishers of one topic: their stamps cross the boundary in turns."""
    stamps = [BEGIN + offset for offset in (990, 1005, 995, 1010, 998, 1020)]
    written = windows([(stamp, 1.0) for stamp in stamps])
    assert [count for _, count in written['count']] == [1, 5]
    assert written['count'][-1][0] == BEGIN + 1020


def test_names_that_are_cut_stay_different():
    names = {trim_name('m' * 300 + end, {}).metric for end in ('.mean', '.max', '.count')}
    assert len(names) == 3
    assert len(trim_name('m', {str(n): 'x' for n in range(20)}).tags) == 16


def test_windows_of_large_numbers_keep_their_small_differences():
    written = windows([(BEGIN + n, 1e9 + n % 2) for n in range(1000)])
    assert math.isclose(written['std'][0][1], 0.5, rel_tol=1e-6)

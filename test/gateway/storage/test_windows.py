# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from plexus_bridge.errors import WindowError
from plexus_bridge.gateway.storage.windows import read_interval
from plexus_bridge.gateway.storage.windows import read_window
from plexus_bridge.gateway.storage.windows import Window

NOW_MS = 1_790_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@pytest.mark.parametrize(('last', 'length'), [
    ('1m', MINUTE), ('90m', 90 * MINUTE), ('1h', HOUR), ('7d', 7 * DAY), (None, HOUR)])
def test_last(last: str | None, length: int):
    assert read_window(last, None, None, NOW_MS) == (NOW_MS - length, NOW_MS + 1)


def test_last_wins_over_start_and_end():
    assert read_window('1m', 'rubbish', None, NOW_MS).start_ms == NOW_MS - MINUTE


def test_a_window_does_not_begin_before_time():
    assert read_window('999999999d', None, None, NOW_MS).start_ms == 0


@pytest.mark.parametrize('last', [
    '', '1', 'h', '1s', '-1h', '1.5h', '1h ', ' 1h', '1H', '9999999999d', '١h', '1h\n'])
def test_a_length_that_is_none(last: str):
    with pytest.raises(WindowError, match='last: saw'):
        read_window(last, None, None, NOW_MS)


@pytest.mark.parametrize('text', [
    '2026-09-21T14:13:20Z', '2026-09-21T14:13:20z', '2026-09-21T14:13:20', '2026-09-21 14:13:20',
    '2026-09-21T14:13:20.000+00:00', '2026-09-21T16:13:20+02:00', '2026-09-21T16:13:20 02:00',
    '2026-09-21T09:13:20-05:00', str(NOW_MS)])
def test_times(text: str):
    assert read_window(None, text, '2100-01-01T00:00:00Z', 0).start_ms == NOW_MS


def test_fractions_and_dates():
    assert read_window(None, '2026-09-21', '2026-09-21T14:13:20.123Z', 0) == (
        NOW_MS // DAY * DAY, NOW_MS + 123)


@pytest.mark.parametrize('text', ['', 'yesterday', '2026-13-01T00:00:00Z', '20260921T', '-5',
                                  '0001-01-01T00:00:00+23:59:', '١'])
def test_a_time_that_is_none(text: str):
    with pytest.raises(WindowError, match='start: saw'):
        read_window(None, text, '2026-09-21T14:13:20Z', 0)
    with pytest.raises(WindowError, match='end: saw'):
        read_window(None, '2026-09-21T14:13:20Z', text, 0)


@pytest.mark.parametrize(('start', 'end'), [('2026-09-21', None), (None, '2026-09-21')])
def test_one_end_alone_is_no_window(start: str | None, end: str | None):
    with pytest.raises(WindowError, match='expected both or neither'):
        read_window(None, start, end, NOW_MS)


@pytest.mark.parametrize(('length', 'chosen'), [
    (0, 'raw'), (10 * MINUTE - 1, 'raw'), (10 * MINUTE, '1m'), (10 * HOUR - 1, '1m'),
    (10 * HOUR, '10m'), (3 * DAY - 1, '10m'), (3 * DAY, '1h'), (15 * DAY, '1d'),
    (999 * DAY, '1d')])
def test_an_interval_is_chosen_by_the_length(length: int, chosen: str):
    assert read_interval(None, Window(NOW_MS - length, NOW_MS)) == chosen


@pytest.mark.parametrize('interval', ['raw', '1m', '10m', '1h', '1d'])
def test_an_interval_that_is_asked_for_is_taken(interval: str):
    assert read_interval(interval, Window(0, NOW_MS)) == interval


@pytest.mark.parametrize('interval', ['', '2m', 'RAW', '1m;'])
def test_an_interval_that_is_none(interval: str):
    with pytest.raises(WindowError, match=r'interval: saw .* expected raw, 1m, 10m, 1h, 1d'):
        read_interval(interval, Window(0, NOW_MS))

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Log lines: told once, folded, bounded; the numbers add up."""

from __future__ import annotations

import itertools
from typing import Any
import uuid

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge.mapping.events.log_lines import LogFolder
from plexus_bridge.mapping.events.log_lines import LogLine
from plexus_bridge.mapping.events.log_lines import MAX_FOLDS
from plexus_bridge.mapping.events.log_lines import severity_of

WARN = 30
WORDS = [''.join(letters) for letters in itertools.product('abcdefghij', repeat=3)]


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


def line(text: str, *, node: str = 'planner', level: int = WARN, stamp_ms: int = 7) -> LogLine:
    return LogLine(level, node, text, stamp_ms)


def test_a_line_is_told_at_once_with_its_node_and_severity(told):
    LogFolder('log', told.append).offer(line('no path'), 0)
    assert told == [{'class': 'event', 'metric': 'log', 'value': 'no path', 'timestamp': 7,
                     'tags': {'severity': 'warn', 'node': 'planner'}}]


def test_repetitions_are_told_together_whatever_their_numbers(told):
    folder = LogFolder('log', told.append)
    for number in range(1000):
        folder.offer(line(f'transform is {number}.5 s old', stamp_ms=number), number)
        folder.settle(number)
    assert len(told) == 1
    folder.settle(10_000)
    assert [point['value'] for point in told[1:]] == [
        {'message': 'transform is 999.5 s old', 'repeated': 999}]
    assert told[1]['timestamp'] == 999


def test_a_line_that_goes_on_is_told_once_for_each_period(told):
    folder = LogFolder('log', told.append)
    for now in range(0, 35_000, 100):
        folder.offer(line('no path'), now)
        folder.settle(now)
    assert len(told) == 4
    assert 1 + sum(point['value']['repeated'] for point in told[1:]) >= 300


def test_a_long_line_keeps_more_than_a_text_may_hold(told):
    LogFolder('log', told.append).offer(line('x' * 1000), 0)
    assert told[0]['value'] == {'message': 'x' * 1000}


def test_a_storm_of_different_lines_is_bounded_and_what_is_left_out_is_counted(told):
    folder = LogFolder('log', told.append)
    for text in WORDS:
        folder.offer(line(text, level=40 if text == 'jjj' else WARN), 0)
    assert len(told) == 20
    folder.settle(9_999)
    assert len(told) == 20
    folder.settle(10_000)
    last = told[-1]
    assert (last['metric'], last['value']) == (
        'log.suppressed', {'lines': 980, 'nodes': {'planner': 980}})
    assert last['tags']['severity'] == 'error'


def test_the_storms_bound_lets_five_a_second_through(told):
    folder = LogFolder('log', told.append)
    for index, text in enumerate(WORDS[:600]):
        folder.offer(line(text), index * 100)
    assert len(told) == pytest.approx(20 + 5 * 60, abs=2)


@pytest.mark.parametrize(('level', 'name'), [
    (10, 'debug'), (20, 'info'), (30, 'warn'), (40, 'error'), (50, 'fatal'), (45, 'error'),
    (0, 'debug'), (99, 'fatal')])
def test_levels_have_names(level, name):
    assert severity_of(level) == name


@given(st.lists(st.tuples(st.sampled_from('abcdefgh'), st.integers(0, 3000)), max_size=200))
def test_every_line_is_told_folded_or_counted(lines):
    told: list[dict[str, Any]] = []
    folder = LogFolder('log', told.append, per_s=1, burst=3)
    now = 0
    for text, wait in lines:
        now += wait
        folder.offer(line(text), now)
        folder.settle(now)
    folder.finish()
    count = 0
    for point in told:
        value = point['value']
        if isinstance(value, str):
            count += 1
        else:
            count += value.get('repeated', 0) + value.get('lines', 0)
    assert count == len(lines)


def test_ever_new_lines_do_not_fill_the_memory(told):
    folder = LogFolder('log', told.append)
    assert len(WORDS) > MAX_FOLDS
    for index, text in enumerate(WORDS):
        folder.offer(line(text), index)
    assert len(folder._folds) <= MAX_FOLDS


def test_a_storm_of_lines_that_come_twice_is_bounded_as_well(told):
    folder = LogFolder('log', told.append)
    for index, text in enumerate(WORDS * 4):
        for _ in range(2):
            folder.offer(line(text), index)
        folder.settle(index)
    assert len(told) <= 20 + 5 * len(WORDS) * 4 // 1000 + 2


def test_lines_that_differ_in_the_identity_of_a_goal_are_one_complaint(told):
    folder = LogFolder('log', told.append)
    for index in range(50):
        folder.offer(line(f'goal {uuid.UUID(int=index * 0xabcdef12345)} is lost'), 0)
    assert len(told) == 1

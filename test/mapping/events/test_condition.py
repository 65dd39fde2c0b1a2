# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Conditions begin once, hold for their time, and end with hysteresis."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge.mapping.events.condition import Condition
from plexus_bridge.mapping.events.condition import ConditionRule
from plexus_bridge.mapping.events.condition import Edge

LOW = ConditionRule(below=0.2, clear=0.25, for_s=5)


def edges(condition: Condition, *values: float, period_ms: int = 1000) -> list[Edge | None]:
    return [condition.offer(value, index * period_ms) for index, value in enumerate(values)]


def test_it_is_raised_once_it_has_held_for_its_time_and_cleared_beyond_its_hysteresis():
    told = edges(Condition(LOW), 0.3, 0.19, 0.19, 0.1, 0.1, 0.1, 0.1, 0.1, 0.22, 0.19, 0.25)
    assert told == [None] * 6 + [Edge.RAISED, None, None, None, Edge.CLEARED]


def test_a_short_dip_is_no_event():
    assert edges(Condition(LOW), 0.19, 0.19, 0.3, 0.19, 0.19, 0.19, 0.19) == [None] * 7


def test_a_value_holds_until_the_next_one_even_if_none_comes():
    condition = Condition(LOW)
    assert condition.offer(0.1, 1_790_000_000_000) is None
    assert condition.settle(100) is None
    assert condition.settle(5_099) is None
    assert condition.settle(5_100) is Edge.RAISED
    # When it was raised, and not when the value came: a black box looks around that moment.
    assert condition.stamp_ms == 1_790_000_005_000
    assert condition.settle(99_000) is None


@pytest.mark.parametrize(('rule', 'raising', 'holding', 'clearing'), [
    (ConditionRule(above=80, clear=70), 81, 71, 70),
    (ConditionRule(above=80), 80.1, 81, 80),
    (ConditionRule(below=-1), -2, -1.5, -1),
    (ConditionRule(equals=2), 2, 2, 1),
])
def test_each_kind_begins_and_ends_where_it_says(rule, raising, holding, clearing):
    assert edges(Condition(rule), clearing, raising, holding, clearing) == [
        None, Edge.RAISED, None, Edge.CLEARED]


def test_nan_is_no_value():
    assert edges(Condition(ConditionRule(below=1)), 0, math.nan, 2) == [
        Edge.RAISED, None, Edge.CLEARED]


def test_stamps_that_jump_back_begin_the_time_anew():
    condition = Condition(LOW)
    condition.offer(0.1, 1_000_000)
    assert condition.offer(0.1, 0) is None
    assert condition.offer(0.1, 4_999) is None
    assert condition.offer(0.1, 5_000) is Edge.RAISED


@given(st.lists(st.floats(0, 1), max_size=60))
def test_raised_and_cleared_take_turns(values):
    told = [edge for edge in edges(Condition(LOW), *values) if edge]
    assert told == [Edge.RAISED, Edge.CLEARED] * (len(told) // 2) + [Edge.RAISED] * (
        len(told) % 2)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What changes all the time is told of now and then, and its changes add up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plexus_bridge.mapping.events.flapping import BURST
from plexus_bridge.mapping.events.flapping import Flapping
from plexus_bridge.mapping.events.flapping import MAX_NAMES
from plexus_bridge.mapping.events.flapping import PERIOD_MS


def test_the_first_changes_are_told_and_then_one_for_each_period():
    flapping: Flapping[int] = Flapping()
    told = []
    for now in range(0, 60_000, 50):
        told += [news for news, _ in flapping.due(now)]
        if flapping.offer('motor', now) is not None:
            told.append(now)
    assert len(told) == BURST + 60_000 // PERIOD_MS - 1


def test_the_last_change_is_told_when_peace_returns():
    flapping: Flapping[int] = Flapping()
    for index in range(BURST + 5):
        flapping.offer('motor', index)
    assert list(flapping.due(PERIOD_MS - 1)) == []
    assert list(flapping.due(2 * PERIOD_MS)) == [(BURST + 4, 4)]
    assert list(flapping.due(3 * PERIOD_MS)) == []


def test_a_quiet_name_has_its_whole_ration_again_and_takes_no_memory():
    flapping: Flapping[int] = Flapping()
    flapping.offer('motor', 1)
    list(flapping.due(2 * PERIOD_MS))
    assert not flapping._rations


@given(st.lists(st.tuples(st.sampled_from('ab'), st.integers(0, 2000)), max_size=200))
def test_every_change_is_told_or_counted(changes):
    flapping: Flapping[int] = Flapping()
    now = count = 0
    for name, wait in changes:
        now += wait
        for _, more in flapping.due(now):
            count += 1 + more
        more_before = flapping.offer(name, now)
        if more_before is not None:
            count += 1 + more_before
    for _, more in flapping.due(now + 10 * PERIOD_MS):
        count += 1 + more
    assert count == len(changes)


def test_ever_new_names_neither_fill_the_memory_nor_lose_what_waits():
    flapping: Flapping[int] = Flapping()
    for _ in range(BURST + 1):
        flapping.offer('motor', 7)
    for index in range(MAX_NAMES):
        flapping.offer(str(index), index)
    assert len(flapping._rations) == MAX_NAMES
    assert list(flapping.due(0)) == [(7, 0)]

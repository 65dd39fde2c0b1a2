# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Levels: changes are told once, silence too."""

from __future__ import annotations

from plexus_bridge.mapping.events.levels import ERROR
from plexus_bridge.mapping.events.levels import Levels
from plexus_bridge.mapping.events.levels import MAX_STATUSES
from plexus_bridge.mapping.events.levels import OK
from plexus_bridge.mapping.events.levels import STALE
from plexus_bridge.mapping.events.levels import WARN


def test_only_changes_are_news_and_a_good_beginning_is_none():
    levels = Levels(stale_s=5)
    assert [levels.heard('motor', level) for level in (OK, OK, WARN, WARN, ERROR, OK)] == [
        None, None, OK, None, WARN, ERROR]
    assert levels.heard('fan', ERROR) == OK


def test_what_is_heard_no_more_is_stale_once_and_its_return_is_news():
    levels = Levels(stale_s=5)
    levels.heard('motor', OK)
    assert list(levels.gone(1_000_000)) == []
    levels.heard('fan', WARN)
    assert list(levels.gone(1_003_000)) == []
    assert list(levels.gone(1_004_999)) == []
    assert list(levels.gone(1_005_000)) == [('motor', OK)]
    assert list(levels.gone(1_007_999)) == []
    assert list(levels.gone(1_008_000)) == [('fan', WARN)]
    assert levels.heard('motor', OK) == STALE


def test_what_says_itself_that_it_is_stale_is_not_told_again():
    levels = Levels(stale_s=5)
    assert levels.heard('motor', STALE) == OK
    assert list(levels.gone(0)) == []
    assert list(levels.gone(6_000)) == []


def test_ever_new_names_do_not_fill_the_memory():
    levels = Levels(stale_s=5)
    for index in range(MAX_STATUSES + 10):
        levels.heard(str(index), OK)
        if index % 100 == 0:
            assert list(levels.gone(index)) == []
    assert len(levels._levels) == MAX_STATUSES
    assert len(levels._heard) + len(levels._fresh) <= MAX_STATUSES

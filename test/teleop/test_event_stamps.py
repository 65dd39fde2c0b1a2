# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""When the events of driving happened, as the timeline tells it."""

from __future__ import annotations

from plexus_bridge.teleop.event_stamps import EventStamps


def test_an_event_is_stamped_with_its_own_moment():
    assert EventStamps().stamp_ms(10.0, 10.05, 1_790_000_000_050) == 1_790_000_000_000


def test_events_of_one_moment_keep_their_order():
    stamps = EventStamps()
    assert [stamps.stamp_ms(at, 10.05, 1_050) for at in (10.0, 10.0, 10.0004, 10.02)] == [
        1_000, 1_001, 1_002, 1_020]


def test_the_same_burst_taken_in_two_parts_keeps_its_order():
    stamps = EventStamps()
    first = [stamps.stamp_ms(10.0, 10.01, 1_010) for _ in range(3)]
    assert stamps.stamp_ms(10.001, 10.06, 1_060) > first[-1]


def test_a_clock_that_was_set_back_is_followed():
    stamps = EventStamps()
    stamps.stamp_ms(10.0, 10.0, 9_000_000)
    assert stamps.stamp_ms(11.0, 11.0, 5_000_000) == 5_000_000

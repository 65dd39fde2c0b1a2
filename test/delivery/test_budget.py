# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What is urgent never waits, no more leaves than allowed in the long run, windows adapt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from plexus_bridge.delivery.budget import ByteBudget
from plexus_bridge.delivery.budget import FEWEST_MESSAGES_PER_S
from plexus_bridge.delivery.budget import LARGEST_WINDOW_BYTES
from plexus_bridge.delivery.budget import Level
from plexus_bridge.delivery.budget import MessagePace
from plexus_bridge.delivery.budget import MESSAGES_PER_S
from plexus_bridge.delivery.budget import SMALLEST_WINDOW_BYTES
from plexus_bridge.delivery.budget import Window


def test_without_a_limit_nothing_waits():
    budget = ByteBudget(None)
    budget.spend(Level.STATE, 1 << 40)
    assert budget.allows(Level.SPARE, 0.0)
    assert budget.deadline(Level.SPARE, 0.0) is None


def test_what_a_lower_level_overdraws_keeps_no_higher_one_waiting():
    budget = ByteBudget(1000.0)
    budget.spend(Level.SPARE, 100_000)
    assert [budget.allows(level, 0.0) for level in Level] == [True, True, True, False]
    budget.spend(Level.STATE, 2000)
    assert [budget.allows(level, 0.0) for level in Level] == [True, False, False, False]


def test_a_level_may_send_again_when_it_was_said():
    level, budget = Level.SPARE, ByteBudget(1000.0)
    budget.spend(level, 3000)
    moment = budget.deadline(level, 0.0)
    assert moment == pytest.approx(2.0, abs=0.01)
    assert not budget.allows(level, moment - 0.01)
    assert budget.allows(level, moment + 0.01)


@given(st.lists(st.tuples(st.sampled_from(list(Level)[1:]), st.integers(1, 5000),
                          st.floats(0, 0.5)), min_size=50, max_size=300))
@settings(deadline=None)
def test_in_the_long_run_no_more_leaves_than_is_allowed(sends):
    rate = 2000.0
    budget = ByteBudget(rate)
    now = spent = largest = 0.0
    for level, size, pause in sends:
        now += pause
        if budget.allows(level, now):
            budget.spend(level, size)
            spent += size
            largest = max(largest, size)
    # A second's worth at once, and of each level one message more than there was left for.
    assert spent <= rate * (now + 1) + largest * (len(Level) - 1)


def test_messages_are_paced_and_fewer_after_the_gateway_complained():
    pace = MessagePace()
    assert sent_in(pace, 0.0, 10.0) == pytest.approx(MESSAGES_PER_S * 10, rel=0.05)
    pace.slow_down()
    assert sent_in(pace, 10.0, 11.0) == pytest.approx(MESSAGES_PER_S / 2, rel=0.1)
    for _ in range(20):
        pace.slow_down()
    assert sent_in(pace, 11.0, 12.0) == pytest.approx(FEWEST_MESSAGES_PER_S, rel=0.2)
    sent_in(pace, 500.0, 501.0)
    assert sent_in(pace, 501.0, 502.0) == pytest.approx(MESSAGES_PER_S, rel=0.1)


def sent_in(pace: MessagePace, start: float, end: float) -> int:
    now, sent = start, 0
    while now < end:
        if pace.allows(now):
            pace.spend()
            sent += 1
        else:
            now = pace.deadline(now)
    return sent


def gateway_rate(window: Window, bytes_per_s: float, trip_s: float, seconds: float
                 ) -> tuple[float, float]:
    """Return bytes per second and the longest delay at last, of a gateway that works so fast."""
    size, now, free_at, key, answered = 10_000, 0.0, 0.0, 0, 0
    flying: list[tuple[float, int, float]] = []
    longest = 0.0
    while now < seconds:
        while window.has_room:
            key += 1
            window.sent(key, size, now)
            free_at = max(free_at, now + trip_s / 2) + size / bytes_per_s
            flying.append((free_at + trip_s / 2, key, now))
        moment, answer, sent_at = flying.pop(0)
        now = moment
        window.answered(answer, now)
        if now > seconds / 2:
            answered += size
            longest = max(longest, now - sent_at)
    return answered / (seconds / 2), longest


@pytest.mark.parametrize(('rate', 'trip_s'), [
    (5e6, 0.001), (1e6, 0.001), (20e6, 0.0005), (1e6, 0.2), (100e3, 0.05)])
def test_the_window_keeps_a_gateway_busy_and_its_queue_short(rate, trip_s):
    carried, longest = gateway_rate(Window(), rate, trip_s, 60.0)
    # It may take what it has, or what a window's bytes are in a round trip.
    most = min(rate, LARGEST_WINDOW_BYTES / trip_s)
    assert carried > 0.5 * most
    assert longest < trip_s + 0.15 + SMALLEST_WINDOW_BYTES / rate


def test_answers_to_what_was_never_sent_and_a_new_connection_do_not_matter():
    window = Window()
    window.answered(7, 1.0)
    assert window.has_room
    window.sent(1, 1 << 30, 0.0)
    assert not window.has_room
    window.forget()
    assert window.has_room
    window.answered(1, 2.0)
    assert window.has_room

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The gateway's time, and stamps that neither go back nor leap when the system clock does."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge.client.gateway_clock import ClockEstimate
from plexus_bridge.client.gateway_clock import StampClock

WALL_MS = 1_790_000_000_000.0
HOUR_MS = 3_600_000.0


@given(offset_ms=st.floats(-1e6, 1e6), up_s=st.floats(0.0001, 2), down_s=st.floats(0.0001, 2))
def test_the_gateways_time_is_known_within_half_the_round_trip(offset_ms, up_s, down_s):
    sent_at = 50.0
    server_ms = WALL_MS + offset_ms + (sent_at + up_s) * 1000
    received_at = sent_at + up_s + down_s
    estimate = ClockEstimate.from_round_trip(server_ms, up_s + down_s, received_at)
    true_ms = WALL_MS + offset_ms + received_at * 1000
    assert abs(estimate.now_ms(received_at) - true_ms) <= estimate.error_at(received_at) + 0.01


def test_the_more_exact_of_two_is_believed_until_it_has_aged():
    exact = ClockEstimate(WALL_MS, 1.0, 0.0)
    vague = ClockEstimate(WALL_MS + 10_000 + 20, 30.0, 10.0)
    assert vague.better(exact, 10.0) is exact
    late = ClockEstimate(WALL_MS + 1_000_000 + 20, 30.0, 1000.0)
    assert late.better(exact, 1000.0) is late
    assert exact.better(None, 0.0) is exact


def test_a_gateway_whose_own_clock_was_set_is_followed():
    before = ClockEstimate(WALL_MS, 1.0, 0.0)
    after = ClockEstimate(WALL_MS + HOUR_MS, 30.0, 10.0)
    assert after.better(before, 10.0) is after


def test_a_difference_that_may_be_mere_delay_corrects_nothing():
    clock = StampClock()
    assert clock.correction_ms(WALL_MS, 10.0, None) == 0
    assert clock.correction_ms(WALL_MS + 20, 10.02, ClockEstimate(WALL_MS + 3, 5.0, 10.0)) == 0


@pytest.mark.parametrize('offset', [12_000.0, -12_000.0, 40.0])
def test_a_sure_difference_is_corrected_at_once(offset):
    estimate = ClockEstimate(WALL_MS + offset, 5.0, 10.0)
    assert StampClock().correction_ms(WALL_MS, 10.0, estimate) == offset


def stamps(clock: StampClock, steps: dict[int, float], estimate: ClockEstimate | None,
           polls: int = 400) -> list[float]:
    """Return what is stamped every 20 ms, while the system clock is set at some polls."""
    found, ahead = [], 0.0
    for poll in range(polls):
        ahead += steps.get(poll, 0.0)
        now = 10.0 + poll * 0.02
        wall_ms = WALL_MS + ahead + poll * 20
        found.append(wall_ms + clock.correction_ms(wall_ms, now, estimate))
    return found


@pytest.mark.parametrize('estimate', [
    ClockEstimate(WALL_MS, 2.0, 10.0), ClockEstimate(WALL_MS + 5000, 2.0, 10.0)])
@pytest.mark.parametrize('steps', [
    {100: HOUR_MS}, {100: -HOUR_MS}, {100: HOUR_MS, 200: -HOUR_MS}, {50: -150.0, 51: 300.0}])
def test_steps_of_the_system_clock_leave_the_stamps_as_they_would_have_been(estimate, steps):
    clock = StampClock()
    assert stamps(clock, steps, estimate) == stamps(StampClock(), {}, estimate)
    assert clock.steps == len(steps)


def test_before_the_gateway_was_heard_stamps_never_go_back():
    found = stamps(StampClock(), {100: HOUR_MS, 200: -HOUR_MS, 300: -HOUR_MS}, None)
    assert found == sorted(found)
    # A computer that has just learnt the time is believed.
    assert found[150] - found[50] == HOUR_MS + 2000


def test_a_small_correction_into_the_past_lets_no_two_stamps_fall_together():
    clock = StampClock()
    before = stamps(clock, {}, None, polls=10)
    found = []
    for poll in range(10, 1000):
        now, wall_ms = 10.0 + poll * 0.02, WALL_MS + poll * 20
        estimate = ClockEstimate(WALL_MS - 500 + poll * 20, 1.0, now)
        found.append(wall_ms + clock.correction_ms(wall_ms, now, estimate))
    assert found[0] > before[-1]
    assert all(later - earlier >= 19 for earlier, later in itertools.pairwise(found))
    assert abs(found[-1] - (WALL_MS - 500 + 999 * 20)) <= 2

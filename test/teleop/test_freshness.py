# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The age of orders, with operators' clocks of every kind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge.errors import ClockSteppedError
from plexus_bridge.teleop.freshness import Freshness


def test_the_first_order_is_at_most_as_old_as_the_answer_took():
    assert Freshness(asked=10.0).age_ms(5_000_000.0, 10.08) == pytest.approx(80)


def test_an_order_that_was_held_up_is_that_much_older():
    freshness = Freshness(asked=10.0)
    freshness.age_ms(0.0, 10.08)
    assert freshness.age_ms(50.0, 12.13) == pytest.approx(2080, abs=2)


def test_a_quicker_order_bounds_those_that_follow():
    freshness = Freshness(asked=10.0)
    freshness.age_ms(0.0, 10.4)
    assert freshness.age_ms(50.0, 10.4 + 0.05 - 0.3) == pytest.approx(100, abs=2)
    assert freshness.age_ms(100.0, 10.4 + 0.1 - 0.3) == pytest.approx(100, abs=4)


def test_an_operators_clock_that_jumps_ahead_is_noticed():
    freshness = Freshness(asked=10.0)
    freshness.age_ms(0.0, 10.1)
    with pytest.raises(ClockSteppedError):
        freshness.age_ms(5_000.0, 10.15)


def test_an_operators_clock_that_jumps_back_makes_orders_look_old():
    freshness = Freshness(asked=10.0)
    freshness.age_ms(10_000.0, 10.1)
    assert freshness.age_ms(5_050.0, 10.15) > 5_000


def test_an_echo_of_our_latest_answer_bounds_the_age_anew():
    freshness = Freshness(asked=10.0)
    freshness.age_ms(0.0, 10.4)
    assert freshness.age_ms(3_600_000.0, 3610.4, echo_ms=3_610_350.0) == pytest.approx(50)
    assert freshness.age_ms(3_600_050.0, 3610.45) == pytest.approx(50, abs=2)


@pytest.mark.parametrize('echo_ms', [9_999.0, 10_500.0, float('nan')])
def test_an_echo_of_what_we_never_said_is_no_proof(echo_ms):
    freshness = Freshness(asked=10.0)
    freshness.age_ms(0.0, 10.1)
    assert freshness.age_ms(50.0, 10.15, echo_ms) == pytest.approx(100, abs=2)


@given(offset=st.floats(-1e9, 1e9), drift=st.floats(-4e-5, 4e-5),
       delays=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=30), period=st.floats(0.02, 0.5),
       echoes=st.booleans())
def test_no_order_is_ever_taken_for_younger_than_it_is(offset, drift, delays, period, echoes):
    freshness = Freshness(asked=100.0)
    issued = 100.0 + 0.01  # the grant has reached the operator
    for delay in delays:
        stamp = issued * 1000 * (1 + drift) + offset
        echo_ms = issued * 1000 - 10 if echoes else None
        assert freshness.age_ms(stamp, issued + delay, echo_ms) >= delay * 1000 - 0.1
        issued += period

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

import pytest

from plexus_bridge.protocol.backoff import Backoff


def test_delays_double_up_to_a_minute_and_begin_anew_after_a_success():
    backoff = Backoff(random.Random(1), spread=0.0)
    assert [backoff.next_delay() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.failures == 8
    backoff.succeeded()
    assert backoff.next_delay() == 1


def test_a_fleet_does_not_return_as_one():
    delays = [Backoff(random.Random(seed)).next_delay() for seed in range(200)]
    assert 0.75 <= min(delays) < 0.8
    assert 1.2 < max(delays) <= 1.25


def test_after_a_goodbye_it_is_back_at_once():
    backoff = Backoff(random.Random(1))
    for _ in range(20):
        assert 0.1 <= backoff.next_delay(goodbye=True) <= 0.5


@pytest.mark.parametrize(('factor', 'expected'), [(3.0, [0.5, 1.5, 4.0]), (1.0, [0.5] * 3)])
def test_its_measures_can_be_chosen(factor, expected):
    backoff = Backoff(first_s=0.5, longest_s=4.0, factor=factor, spread=0.0)
    assert [backoff.next_delay() for _ in range(3)] == expected

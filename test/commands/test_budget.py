# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from plexus_bridge.commands.budget import Budget


def test_so_many_at_once_and_then_so_many_a_second():
    budget = Budget(per_s=10, at_once=5)
    assert [budget.take(100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    taken = sum(budget.take(100.0 + i / 1000) for i in range(10_000))
    assert 99 <= taken <= 101


def test_a_clock_that_goes_back_gives_nothing_away():
    budget = Budget(per_s=10, at_once=1)
    assert budget.take(100.0)
    assert not budget.take(50.0)
    assert budget.take(50.2)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

from plexus_bridge.counters import Counters


def test_totals_and_drops_are_counted_apart():
    counters = Counters()
    counters.add('points_sent')
    counters.add('points_sent', 4)
    counters.drop('not_finite')
    counters.drop('not_finite', 2)
    counters.drop('points_sent', 7)
    assert counters['points_sent'] == 5
    assert counters.totals() == {'points_sent': 5}
    assert counters.dropped() == {'not_finite': 3, 'points_sent': 7}


def test_what_was_never_counted_is_0_and_is_not_listed():
    counters = Counters()
    assert counters['bytes_sent'] == 0
    assert (counters.totals(), counters.dropped()) == ({}, {})


def test_what_is_returned_does_not_change_afterwards():
    counters = Counters()
    counters.add('a')
    counters.drop('b')
    totals, dropped = counters.totals(), counters.dropped()
    counters.add('a')
    counters.drop('b')
    counters.drop('c')
    assert (totals, dropped) == ({'a': 1}, {'b': 1})


def test_threads_lose_nothing():
    counters = Counters()
    together = threading.Barrier(8)

    def count() -> None:
        together.wait()
        for index in range(5000):
            counters.add('a')
            counters.drop('b', 2)
            if index % 100 == 0:
                counters.add(f'{threading.get_ident()}-{index}')
                counters.totals()
                counters.dropped()

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters['a'] == 40_000
    assert counters.dropped() == {'b': 80_000}
    assert len(counters.totals()) == 1 + 8 * 50

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the bridge measures of itself says what happened."""

from __future__ import annotations

import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.own_metrics import OwnMetrics
from plexus_bridge.delivery.own_metrics import PERIOD_S

NOW_MS = 1_790_000_000_000


@pytest.fixture
def robot(tmp_path):
    counters = Counters()
    lanes = Lanes(counters)
    journal = Journal(tmp_path / 'robot.db', 1 << 30, counters)
    outbox = Outbox(lanes, journal, counters)
    outbox.now_ms = lambda: NOW_MS - 4000
    yield counters, lanes, outbox
    outbox.close_backlog()
    journal.close()


def named(points) -> dict[str, float]:
    names = {}
    for point in points:
        extra = ''.join(f' {value}' for key, value in sorted(point['tags'].items())
                        if key in ('lane', 'reason'))
        names[point['metric'] + extra] = point['value']
        assert point['timestamp'] == NOW_MS
        assert point['tags']['site'] == 'lab'
    return names


def test_backlog_drops_rates_and_the_clock_are_told_every_ten_seconds(robot):
    counters, lanes, outbox = robot
    metrics = OwnMetrics(outbox, counters, {'site': 'lab'})
    metrics.points(0.0, NOW_MS, 1, None)
    for value in range(5):
        lanes.sinks['bulk'].add({'value': value})
        outbox.flush()
    outbox.bundle_bytes = 0
    first, second = outbox.take(), outbox.take()
    outbox.settle([first.key])
    outbox.lose([second.key], 'gateway_rate_limited')
    outbox.flush()
    counters.add('video_bytes_sent', 5000)
    assert metrics.points(PERIOD_S - 0.1, NOW_MS, 3, (12.5, 2.0)) == []
    told = named(metrics.points(PERIOD_S, NOW_MS, 3, (12.5, 2.0)))
    assert told == {
        'plexus.points.sent': 2, 'plexus.points.acknowledged': 1, 'plexus.backlog.points': 3,
        'plexus.backlog.bytes': 3 * (11 + 64), 'plexus.backlog.age': 4.0,
        'plexus.reconnects': 2, 'plexus.dropped gateway_rate_limited': 1,
        'plexus.bytes_per_s urgent': 0, 'plexus.bytes_per_s state': 0,
        'plexus.bytes_per_s bulk': 2.2, 'plexus.bytes_per_s video': 500,
        'plexus.clock.offset': 12.5, 'plexus.clock.error': 2.0}

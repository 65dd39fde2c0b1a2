# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What ``/diagnostics`` says of delivery."""

from __future__ import annotations

from collections.abc import Iterator

from diagnostic_msgs.msg import DiagnosticStatus
import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.durability import Durability
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.ros.delivery_status import DeliveryDiagnostic
from plexus_bridge.ros.delivery_status import DeliveryWatch
from plexus_bridge.ros.delivery_status import LONGEST_WAIT_S

MADE_MS = 1_790_000_000_000


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(Counters())


@pytest.fixture
def outbox(lanes: Lanes, tmp_path) -> Iterator[Outbox]:
    counters = Counters()
    journal = Journal(tmp_path / 'robot.db', 1 << 20, counters)
    outbox = Outbox(lanes, journal, counters, Durability.ALWAYS)
    outbox.now_ms = lambda: MADE_MS
    yield outbox
    outbox.close_backlog()
    journal.close()


def test_points_that_wait_for_long_are_a_warning(lanes: Lanes, outbox: Outbox):
    diagnostic = DeliveryDiagnostic(outbox, Counters())
    assert diagnostic.status('bridge', 'sim-01').level == DiagnosticStatus.OK
    lanes.sinks['state'].add({'value': 1})
    outbox.flush()
    assert diagnostic.status('bridge', 'sim-01').level == DiagnosticStatus.OK
    outbox.now_ms = lambda: MADE_MS + round(1000 * LONGEST_WAIT_S) + 2000
    late = diagnostic.status('bridge', 'sim-01')
    assert late.level == DiagnosticStatus.WARN
    assert late.message == (
        '1 points wait, the oldest for 12 s: the gateway does not acknowledge them')
    assert {value.key: value.value for value in late.values}['backlog_age_s'] == '12.0'


def test_silence_is_that_of_a_gateway_that_owes_an_answer(lanes: Lanes, outbox: Outbox):
    watch = DeliveryWatch(outbox, 0.0)
    watch.look(100.0, 0, connected=True)
    assert not watch.silent  # nothing was sent
    lanes.sinks['state'].add({'value': 1})
    outbox.flush()
    watch.look(200.0, 0, connected=False)
    assert not watch.silent  # nobody is there
    frame = outbox.take()
    assert frame is not None
    watch.look(200.0 + LONGEST_WAIT_S - 1, 0, connected=True)
    assert not watch.silent
    watch.look(200.0 + LONGEST_WAIT_S, 0, connected=True)
    assert (watch.silent, watch.silent_s) == (True, LONGEST_WAIT_S)
    # The connection ends, another one begins: nothing is acknowledged by that.
    outbox.give_back([frame.key])
    watch.look(220.0, 0, connected=False)
    watch.look(221.0, 0, connected=True)
    assert (watch.silent, watch.silent_s) == (True, 21.0)
    taken = outbox.take()
    assert taken is not None
    outbox.settle([taken.key])
    watch.look(222.0, MADE_MS, connected=True)
    assert not watch.silent


def test_a_lane_is_held_back_while_it_waits_and_none_of_it_leaves(lanes: Lanes, outbox: Outbox):
    watch = DeliveryWatch(outbox, 0.0)
    lanes.sinks['bulk'].add({'value': 1})
    outbox.flush()
    for now in (1.0, 2.0, 2.0 + LONGEST_WAIT_S):
        watch.look(now, 0, connected=True)
    assert (watch.held_back_s('bulk'), watch.held_back_s('state')) == (1.0 + LONGEST_WAIT_S, 0.0)
    assert outbox.take() is not None
    watch.look(20.0, 0, connected=True)
    assert watch.held_back_s('bulk') == 0.0

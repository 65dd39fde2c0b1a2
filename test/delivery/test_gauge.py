# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a link carries, from pairs of pings around pictures, on links that are simulated."""

from __future__ import annotations

import pytest

from plexus_bridge.delivery.gauge import FIRST_FRAME_BYTES
from plexus_bridge.delivery.gauge import HOLD_S
from plexus_bridge.delivery.gauge import LinkGauge
from plexus_bridge.delivery.gauge import MAX_UNANSWERED
from plexus_bridge.delivery.gauge import MEASURE_S
from plexus_bridge.delivery.gauge import SILENT_S
from plexus_bridge.delivery.gauge import SMALLEST_FRAME_BYTES


class Link:
    """A narrow and long way to a gateway: bytes queue, then travel."""

    def __init__(self, bytes_per_s: float, way_s: float):
        self.bytes_per_s = bytes_per_s
        self.way_s = way_s
        self.free_at = 0.0

    def carry(self, size: int, now: float) -> tuple[float, float]:
        """Return when the two pings around so many bytes are answered."""
        begin = max(now, self.free_at)
        self.free_at = begin + size / self.bytes_per_s
        return begin + self.way_s, self.free_at + self.way_s


def drive(gauge: LinkGauge, link: Link, seconds: float) -> list[tuple[float, int]]:
    """Send whenever the gauge lets us, pictures as large as it allows; return when how much."""
    now = 0.0
    answers: list[tuple[float, int]] = []
    sent = []
    while now < seconds:
        while answers and answers[0][0] <= now:
            at, number = answers.pop(0)
            gauge.answered(number, at)
        if gauge.may_send(now):
            size = gauge.frame_bytes
            first, second = link.carry(size, now)
            ping = gauge.begin(size, now)
            assert ping is not None
            answers += [(first, ping), (second, ping + 1)]
            sent.append((now, size))
        else:
            now = answers[0][0]
            continue
        now += 0.001
    return sent


@pytest.mark.parametrize('bytes_per_s', [30_000, 125_000, 1_000_000])
@pytest.mark.parametrize('way_s', [0.001, 0.05, 0.3])
def test_the_rate_is_found_however_long_the_way(bytes_per_s, way_s):
    gauge = LinkGauge()
    link = Link(bytes_per_s, way_s)
    sent = drive(gauge, link, 10.0)
    assert gauge.bytes_per_s == pytest.approx(bytes_per_s, rel=0.05)
    assert sent[-1][1] == pytest.approx(
        max(bytes_per_s * HOLD_S, SMALLEST_FRAME_BYTES), rel=0.06)
    # However much is sent, what is urgent never stands behind more than a few pictures.
    queued_s = max(0.0, link.free_at - sent[-1][0])
    assert queued_s <= way_s + 3 * max(HOLD_S, SMALLEST_FRAME_BYTES / bytes_per_s)


def test_before_anything_is_known_a_picture_suits_a_poor_link():
    gauge = LinkGauge()
    assert (gauge.bytes_per_s, gauge.frame_bytes) == (None, FIRST_FRAME_BYTES)
    gauge.begin(1000, 0.0)
    assert not gauge.may_send(0.1)


def test_a_link_that_gets_slower_is_noticed_at_once():
    gauge = LinkGauge()
    drive(gauge, Link(1_000_000, 0.01), 3.0)
    gauge._sent.clear()
    for index in range(6):
        ping = gauge.begin(10_000, index)
        gauge.answered(ping, index + 0.01)
        gauge.answered(ping + 1, index + 0.11)
    assert gauge.bytes_per_s == pytest.approx(100_000, rel=0.2)


def test_a_peer_that_never_answers_does_not_end_all_video():
    gauge = LinkGauge()
    gauge.begin(1000, 0.0)
    assert not gauge.may_send(SILENT_S)
    assert gauge.may_send(SILENT_S + 0.1)
    gauge.begin(1000, SILENT_S + 0.1)
    assert gauge.may_send(SILENT_S + 0.2)


def test_answers_that_stand_for_earlier_ones_free_the_way():
    gauge = LinkGauge()
    for _ in range(3):
        gauge.begin(1000, 0.0)
    gauge.answered(5, 0.1)
    assert gauge.may_send(0.1)
    assert gauge.bytes_per_s is None  # and measure nothing


def test_no_more_than_so_many_pictures_are_under_way():
    gauge = LinkGauge()
    drive(gauge, Link(1_000_000, 10.0), 30.0)
    assert len(gauge._sent) <= MAX_UNANSWERED


def test_another_connection_is_measured_anew():
    gauge = LinkGauge()
    drive(gauge, Link(1_000_000, 0.01), 1.0)
    gauge.reset()
    assert gauge.bytes_per_s is None
    gauge.answered(7, 0.1)  # a late answer of the old one
    assert gauge.may_send(0.2)
    assert gauge.begin(1000, 0.2) == 0


def test_a_fast_link_is_measured_only_now_and_then():
    gauge = LinkGauge()
    now, pings = 0.0, []
    for _ in range(60):
        ping = gauge.begin(100_000, now)
        pings.append(ping)
        if ping is not None:
            gauge.answered(ping, now + 0.002)
            gauge.answered(ping + 1, now + 0.004)
        assert gauge.may_send(now + 0.005)
        now += 1 / 30
    assert 2 / MEASURE_S - 1 <= sum(ping is not None for ping in pings) <= 2 / MEASURE_S + 1

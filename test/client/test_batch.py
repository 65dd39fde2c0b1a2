# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from typing import Any

import pytest

from plexus_bridge.client.batch import BatchSender
from plexus_bridge.client.readings import make_point
from plexus_bridge.errors import PlexusError
from plexus_bridge.errors import PointError
from plexus_bridge.errors import RateLimitedError


class Desk:
    """Stands in for the client's side: keeps what is handed on."""

    def __init__(self) -> None:
        self.handed: list[list[Any]] = []
        self.limits: set[int] = set()
        self.handed_on = threading.Event()
        self.trouble: Exception | None = None
        self.closed = False

    def make_point(self, metric: str, value: Any, *_: Any) -> dict[str, Any]:
        return make_point(metric, value, 1)

    def make_points(self, points: Any, *_: Any) -> list[dict[str, Any]]:
        return [make_point(metric, value, 1) for metric, value in points]

    def hand_in(self, points: list[dict[str, Any]], limit: int) -> None:
        if self.closed:
            raise PlexusError('closed')
        self.handed.append([point['value'] for point in points])
        self.limits.add(limit)
        self.handed_on.set()

    def tell_trouble(self) -> None:
        if self.trouble:
            raise self.trouble


@pytest.fixture
def desk() -> Desk:
    return Desk()


def batch_of(desk: Desk, *arguments: Any) -> BatchSender:
    return BatchSender(desk, *arguments)  # type: ignore[arg-type]


def test_readings_are_handed_on_together_at_the_interval(desk):
    with batch_of(desk, 20) as batch:
        assert batch.send('m', 1) is None
        assert batch.send_batch([('m', 2), ('m', 3)]) is None
        assert batch.pending == 3
        assert desk.handed_on.wait(20)
        assert batch.pending == 0
        batch.send('m', 4)
    assert [value for values in desk.handed for value in values] == [1, 2, 3, 4]
    assert desk.handed[0] == [1, 2, 3]


def test_before_it_is_begun_nothing_is_handed_on_but_by_hand(desk):
    batch = batch_of(desk, 2)
    batch.send('m', 1)
    assert not desk.handed_on.wait(0.05)
    batch.flush()
    assert desk.handed == [[1]]
    assert batch.start() is batch
    batch.send('m', 2)
    batch.close()
    batch.close()
    assert desk.handed == [[1], [2]]


def test_leaving_the_block_by_an_exception_hands_on_what_is_left(desk):
    def work() -> None:
        with batch_of(desk, 60_000) as batch:
            batch.send('m', 1)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert desk.handed == [[1]]


def test_a_full_batch_is_handed_on_by_who_sends(desk):
    with batch_of(desk, 60_000, 5000, 3) as batch:
        for value in range(7):
            batch.send('m', value)
        assert desk.handed == [[0, 1, 2], [3, 4, 5]]
        assert batch.dropped == 0


def test_trouble_is_for_the_caller_of_flush_not_for_the_thread(desk):
    desk.trouble = RateLimitedError('earlier ones')
    with batch_of(desk, 2) as batch:
        batch.send('m', 1)
        assert desk.handed_on.wait(20)
        batch.send('m', 2)
        with pytest.raises(RateLimitedError):
            batch.flush()
    assert [value for values in desk.handed for value in values] == [1, 2]


def test_what_is_no_point_is_told_where_it_is_sent(desk):
    with batch_of(desk, 20) as batch:
        with pytest.raises(PointError):
            batch.send('m', float('nan'))
        with pytest.raises(PointError):
            batch.send_batch([('m', 1), ('m', None)])
        assert batch.pending == 0


def test_a_closed_batch_takes_and_begins_nothing(desk):
    batch = batch_of(desk)
    batch.close()
    for call in (lambda: batch.send('m', 1), lambda: batch.send_batch([('m', 1)]), batch.start):
        with pytest.raises(RuntimeError, match='closed'):
            call()


def test_its_thread_ends_when_the_client_was_closed(desk):
    with batch_of(desk, 2) as batch:
        desk.closed = True
        batch.send('m', 1)
        assert batch._thread is not None
        batch._thread.join(20)
        assert not batch._thread.is_alive()


@pytest.mark.parametrize('arguments', [(1.9,), (float('nan'),), (100, 0), (100, 10, 0)])
def test_limits_that_are_none_are_told(desk, arguments):
    with pytest.raises(ValueError, match='expected'):
        batch_of(desk, *arguments)


def test_a_frame_gets_no_more_points_than_a_gateway_takes(desk):
    with batch_of(desk, 2, 50_000) as batch:
        batch.send('m', 1)
    assert desk.limits == {10_000}

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import pytest

from plexus_bridge import encoding
from plexus_bridge.client import send_queue
from plexus_bridge.client.send_queue import SendQueue
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Lane


def point(value: object) -> dict[str, object]:
    return {'class': 'metric', 'metric': 'm', 'value': value}


@pytest.fixture
def queue() -> SendQueue:
    return SendQueue(Counters())


def test_points_become_frames_urgent_ones_first(queue):
    queue.hand_in(Lane.STATE, [point(1), point(2)])
    queue.hand_in(Lane.URGENT, [point(3)])
    # What delivery itself has to tell comes by the same lanes.
    queue.sinks['urgent'].add(point(4))
    assert len(queue) == 3
    frames = queue.flush(1000)
    assert len(queue) == 0
    assert [(frame.lane, frame.points, frame.made_ms) for frame in frames] == [
        (Lane.URGENT, 1, 1000), (Lane.URGENT, 1, 1000), (Lane.STATE, 2, 1000)]
    assert [value['value'] for value in encoding.loads(b'[%b]' % frames[2].points_json)] == [1, 2]
    assert queue.flush(1001) == []


def test_a_frame_may_be_bounded_in_points(queue):
    queue.max_frame_points = 3
    queue.hand_in(Lane.STATE, [point(value) for value in range(8)])
    assert [frame.points for frame in queue.flush(0)] == [3, 3, 2]


def test_waiting_ends_with_points_a_poke_or_the_end(queue):
    started = time.monotonic()
    assert queue.wait(0.02) is True  # nothing came
    assert time.monotonic() - started >= 0.02
    for event in (lambda: queue.hand_in(Lane.STATE, [point(1)]), queue.poke):
        timer = threading.Timer(0.02, event)
        timer.start()
        assert queue.wait(20.0) is True
        timer.join()
        queue.flush(0)
    queue.close()
    assert queue.wait(None) is False
    assert time.monotonic() - started < 5


def test_points_gather_unless_something_urgent_comes(queue):
    queue.hand_in(Lane.STATE, [point(1)])
    started = time.monotonic()
    queue.gather(0.05)
    assert time.monotonic() - started >= 0.05
    timer = threading.Timer(0.02, queue.hand_in, (Lane.URGENT, [point(2)]))
    timer.start()
    queue.gather(20.0)
    timer.join()
    assert time.monotonic() - started < 5
    queue.gather(-1.0)


def test_who_is_faster_than_the_flush_waits_for_it_and_loses_nothing(queue, monkeypatch):
    monkeypatch.setattr(send_queue, 'MAX_WAITING_POINTS', 10)
    taken = []

    def hand_in() -> None:
        for value in range(100):
            assert queue.hand_in(Lane.STATE, [point(value)])

    thread = threading.Thread(target=hand_in)
    thread.start()
    while thread.is_alive() or len(queue):
        assert len(queue) <= 10
        for frame in queue.flush(0):
            taken += encoding.loads(b'[%b]' % frame.points_json)
    thread.join()
    assert [one['value'] for one in taken] == list(range(100))


def test_after_the_end_nothing_is_taken(queue):
    queue.hand_in(Lane.STATE, [point(1)])
    queue.close()
    assert queue.hand_in(Lane.STATE, [point(2)]) is False
    assert [frame.points for frame in queue.flush(0)] == [1]

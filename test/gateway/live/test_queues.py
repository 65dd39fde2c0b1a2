# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

from plexus_bridge.gateway.live.queues import FrameQueue
from plexus_bridge.gateway.live.queues import NewestFrames
from plexus_bridge.gateway.live.queues import RecentFrames


def taken(queue: FrameQueue, count: int) -> list[str]:
    async def take() -> list[str]:
        return [await asyncio.wait_for(queue.get(), 5) for _ in range(count)]

    return asyncio.run(take())


def is_empty(queue: FrameQueue) -> bool:
    async def take() -> bool:
        try:
            await asyncio.wait_for(queue.get(), 0.01)
        except asyncio.TimeoutError:
            return True
        return False

    return asyncio.run(take())


class TestRecentFrames:

    def test_frames_come_in_their_order(self):
        queue = RecentFrames()
        assert [queue.put(frame) for frame in 'abc'] == [0, 0, 0]
        assert taken(queue, 3) == ['a', 'b', 'c']
        assert is_empty(queue)

    def test_the_oldest_go_when_there_are_too_many(self):
        queue = RecentFrames(max_frames=2)
        assert [queue.put(frame) for frame in 'abcd'] == [0, 0, 1, 1]
        assert taken(queue, 2) == ['c', 'd']

    def test_the_oldest_go_when_they_are_too_large(self):
        queue = RecentFrames(max_characters=10)
        assert [queue.put(frame) for frame in ('aaaa', 'bbbb', 'cccccccc')] == [0, 0, 2]
        assert taken(queue, 1) == ['cccccccc']

    def test_a_frame_larger_than_all_room_is_shown_alone(self):
        queue = RecentFrames(max_characters=10)
        assert (queue.put('a'), queue.put('b' * 100)) == (0, 1)
        assert taken(queue, 1) == ['b' * 100]

    def test_room_comes_back_when_a_frame_is_taken(self):
        queue = RecentFrames(max_characters=10)
        for number in range(5):
            assert queue.put(f'{number}' * 8) == 0
            assert taken(queue, 1) == [f'{number}' * 8]


class TestNewestFrames:

    def test_of_one_camera_the_newest_frame_stays(self):
        queue = NewestFrames()
        assert [queue.put(frame, 'front') for frame in 'abc'] == [0, 1, 1]
        assert taken(queue, 1) == ['c']
        assert is_empty(queue)

    def test_a_fast_camera_does_not_push_out_another(self):
        queue = NewestFrames()
        queue.put('a', 'front')
        queue.put('b', 'rear')
        queue.put('c', 'front')
        assert taken(queue, 2) == ['c', 'b']

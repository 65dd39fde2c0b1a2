# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Coroutine
import json
from typing import Any

import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.gateway.live import hub as hub_module
from plexus_bridge.gateway.live.hub import Hub
from plexus_bridge.gateway.live.hub import MAX_CAMERAS
from plexus_bridge.gateway.live.queues import FrameQueue
from plexus_bridge.points import read_point
from plexus_bridge.points import ReceivedPoint
from plexus_bridge.protocol.video import Picture
from plexus_bridge.protocol.video import Thermal

NOW_MS = 1_790_000_000_000
JPEG = b'\xff\xd8\xff\xe0\0\0\xff\xd9'


def point(metric: str, value: Any, **others: Any) -> ReceivedPoint:
    return read_point({'metric': metric, 'value': value, **others}, NOW_MS)


def picture(camera_id: str) -> Picture:
    return Picture('what it says', camera_id, 640, 480, NOW_MS, JPEG)


async def frame(queue: FrameQueue) -> Any:
    return json.loads(await asyncio.wait_for(queue.get(), 5))


@pytest.fixture
def hub() -> Hub:
    return Hub(Counters())


def on_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on an event loop, where the hub lives."""
    def run(self: object, hub: Hub) -> None:
        asyncio.run(test(self, hub))

    run.__name__ = test.__name__
    return run


class TestMetrics:

    @on_loop
    async def test_points_of_one_flush_come_in_one_frame(self, hub: Hub):
        with hub.metrics('kiln-7', None) as queue:
            hub.publish_points('kiln-7', [point('a', 1), point('b', 2.5, tags={'k': 'v'})])
            hub.publish_points('kiln-7', [point('a', 2)])
            assert await frame(queue) == {'type': 'telemetry', 'points': [
                {'source_id': 'kiln-7', 'metric': 'a', 'value': 1, 'timestamp': NOW_MS,
                 'class': 'metric', 'alert': 0},
                {'source_id': 'kiln-7', 'metric': 'b', 'value': 2.5, 'timestamp': NOW_MS,
                 'class': 'metric', 'alert': 0, 'tags': {'k': 'v'}},
                {'source_id': 'kiln-7', 'metric': 'a', 'value': 2, 'timestamp': NOW_MS,
                 'class': 'metric', 'alert': 0}]}

    @on_loop
    async def test_a_viewer_sees_only_the_names_that_it_asked_for(self, hub: Hub):
        with hub.metrics('kiln-7', frozenset('b')) as some, hub.metrics('kiln-7', None) as every:
            hub.publish_points('kiln-7', [point('a', 1), point('b', 2)])
            assert [each['metric'] for each in (await frame(some))['points']] == ['b']
            assert [each['metric'] for each in (await frame(every))['points']] == ['a', 'b']

    @on_loop
    async def test_neither_events_nor_other_sources_are_among_them(self, hub: Hub):
        with hub.metrics('kiln-7', None) as queue:
            hub.publish_points('kiln-8', [point('a', 1)])
            hub.publish_points('kiln-7', [point('door', 'open')])
            hub.publish_points('kiln-7', [point('b', 2)])
            assert [each['metric'] for each in (await frame(queue))['points']] == ['b']

    @on_loop
    async def test_an_integer_beyond_64_bits_is_shown_as_it_is_stored(self, hub: Hub):
        with hub.metrics('kiln-7', None) as queue:
            hub.publish_points('kiln-7', [point('a', 2**80)])
            assert (await frame(queue))['points'][0]['value'] == float(2**80)

    @on_loop
    async def test_a_flood_is_cut_and_counted(self, hub: Hub):
        points = [point('a', index) for index in range(hub_module.MAX_PENDING_POINTS + 10)]
        with hub.metrics('kiln-7', None) as queue:
            hub.publish_points('kiln-7', points)
            first = (await frame(queue))['points']
            assert len(first) == hub_module.MAX_FRAME_POINTS
            assert first[0]['value'] == 10
        assert hub._counters.dropped() == {'live_points': 10}

    @on_loop
    async def test_a_viewer_that_left_gets_nothing_and_is_forgotten(self, hub: Hub):
        with hub.metrics('kiln-7', None):
            hub.publish_points('kiln-7', [point('a', 1)])
            assert hub.metric_viewers('kiln-7') == 1
        assert hub.metric_viewers('kiln-7') == 0
        assert hub._audiences == {}
        await asyncio.sleep(2 * hub_module.FLUSH_S)


class TestEvents:

    @on_loop
    async def test_each_event_comes_alone_with_the_type_it_was_sent_with(self, hub: Hub):
        with hub.events('kiln-7') as queue:
            hub.publish_points('kiln-7', [
                point('door', 'open'), point('a', 1), point('mode', {'n': [1, None]})])
            assert await frame(queue) == {
                'type': 'event', 'source_id': 'kiln-7', 'metric': 'door', 'value': 'open',
                'timestamp': NOW_MS, 'class': 'event'}
            assert (await frame(queue))['value'] == {'n': [1, None]}


class TestVideo:

    @on_loop
    async def test_a_picture_comes_as_base64(self, hub: Hub):
        with hub.video('kiln-7', ['front']) as queue:
            hub.publish_video('kiln-7', picture('front'))
            assert await frame(queue) == {
                'type': 'video_frame', 'source_id': 'kiln-7', 'camera_id': 'front',
                'frame': '/9j/4AAA/9k=', 'width': 640, 'height': 480, 'timestamp': NOW_MS}

    @on_loop
    async def test_the_temperatures_of_a_thermal_camera_come_along(self, hub: Hub):
        with hub.video('kiln-7', ['t']) as queue:
            hub.publish_video('kiln-7', picture('t'), Thermal(2, 1, 20.5, 30.0, (20.5, 30.0)))
            shown = await frame(queue)
            assert shown['video_type'] == 'thermal'
            assert shown['temps'] == [20.5, 30.0]

    @on_loop
    async def test_a_camera_of_the_same_name_elsewhere_is_another(self, hub: Hub):
        with hub.video('kiln-7', ['front', 'rear']) as queue:
            hub.publish_video('kiln-8', picture('front'))
            hub.publish_video('kiln-7', picture('left'))
            hub.publish_video('kiln-7', picture('rear'))
            assert (await frame(queue))['camera_id'] == 'rear'

    @on_loop
    async def test_a_slow_viewer_loses_frames_and_that_is_counted(self, hub: Hub):
        with hub.video('kiln-7', ['front']):
            for _ in range(5):
                hub.publish_video('kiln-7', picture('front'))
        assert hub._counters.dropped() == {'live_video_frames': 4}

    @on_loop
    async def test_viewers_are_told_of_as_they_come_and_go(self, hub: Hub):
        heard: list[tuple[str, str, int]] = []
        hub.listen(lambda *change: heard.append(change))
        with hub.video('kiln-7', ['front', 'rear', 'front']):
            with hub.video('kiln-7', ['front']):
                assert hub.viewers('kiln-7', 'front') == 2
            assert hub.viewers('kiln-7', 'front') == hub.viewers('kiln-7', 'rear') == 1
        assert heard == [
            ('kiln-7', 'front', 1), ('kiln-7', 'rear', 1), ('kiln-7', 'front', 2),
            ('kiln-7', 'front', 1), ('kiln-7', 'front', 0), ('kiln-7', 'rear', 0)]
        assert hub._audiences == {}

    def test_cameras_are_known_while_their_device_is_there(self, hub: Hub):
        hub.add_cameras('kiln-7', ['front'])
        hub.publish_video('kiln-7', picture('rear'))
        hub.publish_video('kiln-7', picture('rear'))
        assert hub.cameras('kiln-7') == ['front', 'rear']
        hub.forget_cameras('kiln-7')
        assert hub.cameras('kiln-7') == []

    def test_a_device_cannot_name_cameras_without_end(self, hub: Hub):
        for number in range(10 * MAX_CAMERAS):
            hub.publish_video('kiln-7', picture(f'camera:{number}'))
        assert len(hub.cameras('kiln-7')) == MAX_CAMERAS

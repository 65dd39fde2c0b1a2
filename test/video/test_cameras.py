# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a dashboard may ask of cameras, and what is told about them."""

from __future__ import annotations

import math

import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import CommandError
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.video.camera_messages import CameraMessages
from plexus_bridge.video.cameras import Cameras
from plexus_bridge.video.pacing import Demand
from plexus_bridge.video.pacing import Pace
from plexus_bridge.video.rules import CameraRule

RULES = (CameraRule('/f', 'front', rate_hz=20.0, quality=80, max_width=800, preview_s=None),
         CameraRule('/r', 'rear', preview_s=5.0))


@pytest.fixture
def frames() -> VideoFrames:
    return VideoFrames()


@pytest.fixture
def cameras(frames: VideoFrames) -> Cameras:
    return Cameras(RULES, 'rig', frames, Counters())


def demands(cameras: Cameras) -> list[Demand]:
    return [camera.pace.demand for camera in cameras.all]


def test_cameras_are_announced_and_started_and_stopped_by_name_or_all_at_once(cameras):
    messages = CameraMessages(cameras)
    assert [camera['camera_id'] for camera in messages.hello()['cameras']] == ['front', 'rear']
    assert demands(cameras) == [Demand.UNKNOWN] * 2
    messages.receive({'type': 'stop_camera', 'camera_id': '*'})
    assert demands(cameras) == [Demand.UNWATCHED] * 2
    messages.receive({'type': 'start_camera', 'camera_id': 'rear'})
    assert demands(cameras) == [Demand.UNWATCHED, Demand.WATCHED]
    messages.lost()
    assert demands(cameras) == [Demand.UNKNOWN] * 2


def test_a_dashboard_can_ask_for_less_than_the_map_allows_and_never_for_more(cameras):
    messages = CameraMessages(cameras)
    front = cameras.all[0]
    messages.receive({'type': 'start_camera', 'camera_id': 'front', 'frame_rate': 100,
                      'resolution': [1920, 1080], 'quality': 200})
    assert (front.rule.rate_hz, front.rule.max_width, front.rule.quality) == (20.0, 800, 100)
    messages.receive({'type': 'configure_camera', 'camera_id': 'front', 'config': {
        'frame_rate': 5, 'resolution': [320, 240], 'quality': 40}})
    assert (front.rule.rate_hz, front.rule.max_width, front.rule.quality) == (5.0, 320, 40)
    messages.lost()
    assert front.rule == RULES[0]


@pytest.mark.parametrize('config', [
    {'frame_rate': 'fast', 'resolution': 'big', 'quality': True}, {'resolution': []},
    {'frame_rate': -1, 'resolution': [None], 'quality': 0}, {'frame_rate': 1e300}])
def test_values_that_are_none_change_nothing(cameras, config):
    CameraMessages(cameras).receive(
        {'type': 'configure_camera', 'camera_id': 'front', 'config': config})
    assert cameras.all[0].rule == RULES[0]


@pytest.mark.parametrize(('message', 'text'), [
    ({'type': 'start_camera', 'camera_id': 'left'}, 'expected one of front, rear'),
    ({'type': 'stop_camera'}, 'camera_id: is missing')])
def test_a_camera_that_is_not_there_is_refused(cameras, message, text):
    with pytest.raises(CommandError, match=text) as error:
        CameraMessages(cameras).receive(message)
    assert error.value.code == 'bad_params'


def test_a_robot_without_cameras_announces_none(frames):
    messages = CameraMessages(Cameras((), 'rig', frames, Counters()))
    assert messages.hello() == {}
    with pytest.raises(CommandError, match='no video section'):
        messages.receive({'type': 'start_camera', 'camera_id': 'front'})


def test_what_was_sent_is_told_as_metrics(cameras, frames):
    frames.sent(VideoFrame('front', Binary(bytes(1000)), 10.0), 10.25)
    frames.sent(VideoFrame('front', Binary(bytes(3000)), 10.0), 10.1)
    points = {point['metric']: (point['value'], point['tags']['unit'])
              for point in cameras.report(0.0, 1_790_000_000_000)}
    assert points == {'video.front.rate': (0.4, 'Hz'), 'video.front.bytes_per_s': (800.0, 'By/s'),
                      'video.front.age': (0.25, 's')}
    assert list(cameras.report(1.0, 0)) == []  # not yet again
    assert list(cameras.report(5.0, 0)) == []  # and nothing where nothing was sent


def test_pictures_come_at_their_rate_on_average_and_anew_after_a_pause():
    pace = Pace(10.0, None)
    taken, now = 0, 0.0
    while now < 10.0:
        if now >= pace.due:
            pace.took(now)
            taken += 1
        now += 0.033
    assert 98 <= taken <= 102
    now += 60.0
    pace.took(now)
    assert pace.due > now


def test_where_nobody_watches_there_is_a_preview_or_nothing():
    now = 100.0
    seldom, never = Pace(10.0, 5.0), Pace(10.0, None)
    for pace in (seldom, never):
        pace.took(now)
        pace.set_demand(Demand.UNWATCHED, now)
    assert (seldom.due, never.due) == (now + 5.0, math.inf)
    for pace in (seldom, never):
        pace.set_demand(Demand.WATCHED, now + 1.0)
        assert pace.due == now + 1.0  # whoever begins to watch sees something at once

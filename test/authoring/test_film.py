# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras of a map on messages that are there already, and cameras of a map to begin with."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator

from cdr import write_cdr
from pictures import encoded_as
from pictures import scene
import pytest

from plexus_bridge.authoring.film import film
from plexus_bridge.authoring.film import film_text
from plexus_bridge.authoring.proposal import propose
from plexus_bridge.authoring.source import Definitions
from plexus_bridge.authoring.source import SourceMessage
from plexus_bridge.authoring.source import SourceTopic
from plexus_bridge.config.map import load_map
from plexus_bridge.counters import Counters
from plexus_bridge.video.rules import CameraRule
from plexus_bridge.video.rules import COMPRESSED_IMAGE
from plexus_bridge.video.rules import IMAGE

SCENE = scene(64, 48)


class Recording:
    """A second of a camera at 30 Hz, the last picture of which is none."""

    name = 'recording'
    seconds = 1.0

    def __init__(self, *topics: tuple[str, str]):
        self.layout = Definitions({}).layout
        self.topics = {name: SourceTopic(name, (kind,), 30) for name, kind in topics}

    def messages(self, topics: Collection[str]) -> Iterator[SourceMessage]:
        data, step = encoded_as(SCENE, 'rgb8')
        good = write_cdr(self.layout(IMAGE), {
            'height': 48, 'width': 64, 'encoding': 'rgb8', 'step': step, 'data': list(data)})
        for index in range(30):
            for topic in topics:
                yield SourceMessage(
                    topic, 10**18 + index * 10**9 // 30, good if index < 29 else good[:-100])


def test_a_dry_run_says_what_a_camera_would_send():
    source = Recording(('/c', IMAGE))
    report, = film((CameraRule('c', 'front', rate_hz=100.0),), source, Counters())
    assert (report.messages, report.pictures, report.unusable) == (30, 29, 1)
    assert report.bytes > 29 * 500
    first, second = film_text([report], 1.0)
    assert first.startswith('camera front (c): 29 of 30 messages, 29.0 pictures/s of ')
    assert '1 pictures cannot be used: ' in second


def test_a_dry_run_keeps_the_rate():
    source = Recording(('/c', IMAGE))
    report, = film((CameraRule('/c', 'front', rate_hz=10.0),), source, Counters())
    assert 9 <= report.pictures <= 11


@pytest.mark.parametrize(('rule', 'text'), [
    (CameraRule('/d', 'd'), 'no such topic in recording'),
    (CameraRule('/imu', 'd'), 'saw sensor_msgs/msg/Imu, expected sensor_msgs/msg/Image or'),
    (CameraRule('/c', 'd', type=COMPRESSED_IMAGE), 'saw sensor_msgs/msg/Image, expected')])
def test_a_dry_run_says_why_a_camera_sends_nothing(rule, text):
    source = Recording(('/c', IMAGE), ('/imu', 'sensor_msgs/msg/Imu'))
    report, = film((rule,), source, Counters())
    line, = film_text([report], 1.0)
    assert text in line


def test_a_proposed_map_takes_each_picture_once_and_names_cameras_apart(tmp_path):
    source = Recording(
        ('/left/image_raw', IMAGE), ('/left/image_raw/compressed', COMPRESSED_IMAGE),
        ('/left/image_raw/compressedDepth', COMPRESSED_IMAGE), ('/arm/left/image_raw', IMAGE))
    file = tmp_path / 'map.yaml'
    file.write_text('\n'.join(propose(source, 'rig', 'http://127.0.0.1:8787')))
    assert [(rule.topic, rule.camera_id, rule.rate_hz) for rule in load_map(file).video] == [
        ('/left/image_raw/compressed', 'left', 10), ('/arm/left/image_raw', 'left-2', 10)]

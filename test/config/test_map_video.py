# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The section `video` of a map, and what in it does not fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from plexus_bridge.config.map import load_map
from plexus_bridge.errors import ConfigError
from plexus_bridge.video.rules import CameraRule
from plexus_bridge.video.rules import Crop
from plexus_bridge.video.rules import Depth
from plexus_bridge.video.rules import ThermalRule


def read(tmp_path: Path, video: str) -> tuple[CameraRule, ...]:
    file = tmp_path / 'robot.yaml'
    file.write_text(f'version: 1\nvideo:\n{video}')
    return load_map(file, {}).video


def test_all_keys_of_a_camera_are_read(tmp_path):
    full, plain, thermal = read(tmp_path, '''\
  - topic: camera/depth
    camera_id: depth
    type: sensor_msgs/msg/Image
    rate_hz: 5
    quality: 60.0
    max_width: 640
    crop: {x: 1, y: 2, width: 30, height: 40}
    rotate: 90
    grey: true
    depth: {near: 0.3, far: 8, colour_map: jet}
    timestamp: receive
    preview_s: null
  - {topic: /c, camera_id: c}
  - {topic: /t, camera_id: t, thermal: {scale: 0.04, offset: -273.15}}
''')
    assert full == CameraRule(
        'camera/depth', 'depth', 'sensor_msgs/msg/Image', 5, 60, 640, Crop(1, 2, 30, 40), 90, True,
        Depth(0.3, 8, 'jet'), None, 'receive', None, ('video', 0))
    assert plain == CameraRule('/c', 'c', place=('video', 1))
    assert thermal.thermal == ThermalRule(0.04, -273.15)


@pytest.mark.parametrize(('video', 'text'), [
    ('  - {topic: /a, camera_id: c}\n  - {topic: /b, camera_id: c}\n',
     "video[1].camera_id: saw 'c' again, which is that of video[0]"),
    ('  - {topic: /a, camera_id: c, depth: {near: 5, far: 2}}\n', 'saw near 5 and far 2'),
    ('  - {topic: /a, camera_id: c, thermal: {}, max_width: 100}\n', 'beside thermal'),
    ('  - {topic: /a, camera_id: c, rotate: 45}\n', 'expected 0, 90, 180, 270'),
    ('  - {topic: /a, camera_id: c, quality: 0}\n', 'quality'),
    ('  - {topic: /a, camera_id: c, rate_h: 5}\n', "did you mean 'rate_hz'"),
    ('  - {topic: /a}\n', "'camera_id' is missing"),
    (f'  - {{topic: /a, camera_id: {"ü" * 200}}}\n', 'saw 400 bytes')])
def test_what_does_not_fit_is_told(tmp_path, video, text):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, video)
    assert text in str(error.value)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from typing import Any

import cv2
import numpy as np
import pytest

from plexus_bridge.client.pictures import Pictures
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.errors import PictureError
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.video import decode_binary
from plexus_bridge.protocol.video import decode_text
from plexus_bridge.protocol.video import MAX_JPEG_BYTES
from plexus_bridge.protocol.video import Picture

NOW_MS = 1_790_000_000_123


class Studio:
    """What is sent, and what is said about it."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.sent: list[VideoFrame] = []
        self.said: dict[str, str] = {}
        self.pictures = Pictures('kiln-7', self, self.counters,  # type: ignore[arg-type]
                                 self.said.setdefault)

    def put(self, frame: VideoFrame) -> VideoFrame | None:
        self.sent.append(frame)
        return self.sent[-2] if len(self.sent) > 1 else None

    def send(self, frame: Any, quality: int = 85) -> Picture:
        self.pictures.send(frame, 'front', quality, NOW_MS)
        message = self.sent[-1].message
        assert isinstance(message, Binary)
        return decode_binary(message.payload)


@pytest.fixture
def studio() -> Studio:
    return Studio()


def gradient(height: int = 48, width: int = 64, channels: int = 3) -> Any:
    ramp = np.linspace(0, 255, height * width * channels).astype(np.uint8)
    return ramp.reshape(height, width, channels)


def encoded(extension: str, array: Any, *options: int) -> bytes:
    data: bytes = cv2.imencode(extension, array, list(options))[1].tobytes()
    return data


def unpacked(jpeg: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def test_a_jpeg_passes_as_it_is_with_its_size_and_stamp(studio):
    jpeg = encoded('.jpg', gradient())
    for frame in (jpeg, bytearray(jpeg), memoryview(jpeg)):
        assert studio.send(frame) == Picture('kiln-7', 'front', 64, 48, NOW_MS, jpeg)
    assert studio.sent[0].camera_id == 'front'
    assert studio.counters.dropped() == {'video_replaced': 2}


def test_a_jpeg_whose_size_cannot_be_read_passes_too(studio):
    assert studio.send(b'\xff\xd8\xff\xe0junk').width == 0


@pytest.mark.parametrize('extension', ['.png', '.bmp', '.webp'])
def test_other_formats_become_jpeg(studio, extension):
    picture = studio.send(encoded(extension, gradient()))
    assert (picture.width, picture.height) == (64, 48)
    assert np.abs(unpacked(picture.jpeg).astype(int) - gradient()).mean() < 6


def test_transparency_is_left_out(studio):
    assert unpacked(studio.send(encoded('.png', gradient(channels=4))).jpeg).shape == (48, 64, 3)


@pytest.mark.parametrize('array', [
    gradient(), gradient(channels=4), gradient(channels=1), gradient(channels=1)[..., 0],
    gradient()[::2, ::-1], np.asfortranarray(gradient())])
def test_arrays_become_jpeg_with_blue_first(studio, array):
    picture = studio.send(array)
    assert (picture.height, picture.width) == array.shape[:2]
    expected = array if array.ndim == 3 else array[..., np.newaxis]
    expected = np.broadcast_to(expected[..., :3], (*array.shape[:2], 3))
    assert np.abs(unpacked(picture.jpeg).astype(int) - expected).mean() < 12


@pytest.mark.parametrize('frame', [
    None, 'a.jpg', 7, b'', b'no picture', [[1, 2]], gradient().astype(np.float32),
    gradient(channels=2), np.zeros((0, 5, 3), np.uint8), np.zeros((2, 2, 3, 1), np.uint8),
    object()])
def test_what_is_no_picture_is_told_as_a_value_error(studio, frame):
    with pytest.raises(ValueError, match='saw') as caught:
        studio.send(frame)
    assert isinstance(caught.value, PictureError)
    assert studio.sent == []


@pytest.mark.parametrize('quality', [0, 101, 85.5, True, '85'])
def test_a_quality_is_of_1_to_100(studio, quality):
    with pytest.raises(ValueError, match='quality'):
        studio.send(gradient(), quality)


def noise(side: int) -> Any:
    return np.random.default_rng(1).integers(0, 256, (side, side, 3), np.uint8)


def test_what_is_too_large_is_sent_with_less_quality_and_told_once(studio):
    large = encoded('.jpg', noise(1000), cv2.IMWRITE_JPEG_QUALITY, 95)
    assert len(large) > MAX_JPEG_BYTES
    for frame in (large, noise(1000)):
        picture = studio.send(frame, 95)
        assert len(picture.jpeg) <= MAX_JPEG_BYTES
        assert (picture.width, picture.height) == (1000, 1000)
    assert str(MAX_JPEG_BYTES) in studio.said['video_large']


def test_what_is_still_too_large_is_made_smaller_for_the_gateway_would_hang_up(studio):
    picture = studio.send(noise(3500), 100)
    assert len(picture.jpeg) <= MAX_JPEG_BYTES
    assert picture.width == picture.height < 3500


def test_temperatures_travel_with_their_picture(studio):
    temperatures = np.linspace(20, 40, 24 * 32).reshape(24, 32)
    temperatures[0, 0] = math.nan
    studio.pictures.send_thermal(temperatures, 'thermal:0', 85, NOW_MS)
    message = json.loads(studio.sent[0].message.payload)
    picture, thermal = decode_text(message)
    assert message['video_type'] == 'thermal'
    assert (thermal.width, thermal.height, len(thermal.temperatures)) == (32, 24, 768)
    assert thermal.lowest == pytest.approx(20.03, abs=0.01)
    assert (min(picture.width, picture.height), picture.timestamp_ms) == (160, NOW_MS)


@pytest.mark.parametrize('temperatures', [
    np.zeros(5), np.full((2, 2), math.nan), 'warm', None, np.zeros((2, 2, 2))])
def test_what_are_no_temperatures_is_told(studio, temperatures):
    with pytest.raises(PictureError, match='temps'):
        studio.pictures.send_thermal(temperatures, 'thermal:0', 85, NOW_MS)

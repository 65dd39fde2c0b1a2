# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""From a message to a frame: shape, size, stamp, and all that is no picture."""

from __future__ import annotations

import math
import struct
from typing import Any

from cdr import write_cdr
import cv2
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
from pictures import decode
from pictures import encoded_as
from pictures import psnr
from pictures import scene
import pytest

from plexus_bridge import encoding
from plexus_bridge.authoring.source import Definitions
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import MappingError
from plexus_bridge.protocol.video import decode_binary
from plexus_bridge.protocol.video import decode_text
from plexus_bridge.protocol.video import MAX_JPEG_BYTES
from plexus_bridge.protocol.video import Picture
from plexus_bridge.video.camera import Camera
from plexus_bridge.video.jpeg import _by_open_cv
from plexus_bridge.video.jpeg import jpeg_size
from plexus_bridge.video.jpeg import open_cv
from plexus_bridge.video.jpeg import Pixels
from plexus_bridge.video.rules import CameraRule
from plexus_bridge.video.rules import COMPRESSED_IMAGE
from plexus_bridge.video.rules import Crop
from plexus_bridge.video.rules import Depth
from plexus_bridge.video.rules import IMAGE
from plexus_bridge.video.rules import ThermalRule

NOW_MS = 1_790_000_000_123
SCENE = scene()
HEIGHT, WIDTH = SCENE.shape[:2]
layout = Definitions({}).layout


class Frames(VideoFrames):
    """A link that says what a frame may have."""

    allowed = MAX_JPEG_BYTES

    @property
    def frame_bytes(self) -> int:
        return self.allowed


class Filmed:
    def __init__(self, kind: str = IMAGE, allowed: int = MAX_JPEG_BYTES, **rule: Any):
        self.counters = Counters()
        self.frames = Frames()
        self.frames.allowed = allowed
        self.frames.opened()
        self.camera = Camera(
            CameraRule(**{'topic': '/c', 'camera_id': 'c', **rule}), 'rig', self.frames,
            self.counters)
        self.camera.expect(layout(kind))
        self._layout = layout(kind)

    def take(self, **message: Any) -> Picture | None:
        return self.take_bytes(write_cdr(self._layout, message))

    def take_bytes(self, data: bytes) -> Picture | None:
        used = self.camera.encode(data, NOW_MS, 1.0)
        frame = self.frames.take(0.0)
        self.frames._gauge.reset()
        assert (frame is not None) == used
        return decode_binary(frame.message.payload) if frame else None

    def film(self, picture: np.ndarray = SCENE, encoding: str = 'rgb8', **more: Any) -> Picture:
        data, step = encoded_as(picture, encoding)
        height, width = picture.shape[:2]
        found = self.take(height=height, width=width, encoding=encoding, step=step,
                          data=list(data), **more)
        assert found is not None, self.camera.trouble
        return found


def test_crop_width_turn_and_grey_come_in_this_order():
    it = Filmed(crop=Crop(20, 10, 80, 40), max_width=40, rotate=90, grey=True)
    picture = it.film()
    assert (picture.width, picture.height) == (20, 40)
    wanted = cv2.cvtColor(SCENE[10:50, 20:100], cv2.COLOR_RGB2GRAY)
    wanted = cv2.rotate(cv2.resize(wanted, (40, 20), interpolation=cv2.INTER_AREA),
                        cv2.ROTATE_90_CLOCKWISE)
    shown = decode(picture.jpeg)
    assert psnr(shown[..., 0], wanted) > 30
    assert (shown[..., 0] == shown[..., 2]).all()


def test_a_crop_beyond_the_picture_is_told():
    it = Filmed(crop=Crop(WIDTH, 0, 10, 10))
    data, step = encoded_as(SCENE, 'rgb8')
    assert it.take(height=HEIGHT, width=WIDTH, encoding='rgb8', step=step,
                   data=list(data)) is None
    assert 'reaches to the crop' in it.camera.trouble


@pytest.mark.parametrize(('stamp', 'expected'), [
    ({'sec': 1_790_000_000, 'nanosec': 5_000_000}, 1_790_000_000_005),
    ({}, NOW_MS), ({'sec': 12}, NOW_MS)])
def test_frames_carry_the_stamp_of_the_header_if_it_can_be_believed(stamp, expected):
    assert Filmed().film(header={'stamp': stamp}).timestamp_ms == expected


def test_a_rule_can_ask_for_the_time_of_receipt():
    it = Filmed(timestamp='receive')
    assert it.film(header={'stamp': {'sec': 1_790_000_000}}).timestamp_ms == NOW_MS


@pytest.mark.parametrize('allowed', [2_000, 6_000, 20_000])
def test_pictures_are_made_to_suit_the_link(allowed):
    noisy = np.random.default_rng(3).integers(0, 255, (480, 640, 3), np.uint8)
    noisy = cv2.GaussianBlur(noisy, (5, 5), 0)
    it = Filmed(allowed=allowed)
    pictures = [it.film(noisy) for _ in range(3)]
    assert max(len(picture.jpeg) for picture in pictures) <= allowed * 1.25
    for picture in pictures:
        assert picture.height == pytest.approx(picture.width * 0.75, abs=1)
        assert jpeg_size(picture.jpeg) == (picture.width, picture.height)


def test_a_picture_that_would_be_too_large_for_any_gateway_is_made_smaller():
    noise = np.random.default_rng(3).integers(0, 255, (1080, 1920, 3), np.uint8)
    it = Filmed(quality=100)
    data = noise.tobytes()
    message = write_cdr(layout(IMAGE), {
        'height': 1080, 'width': 1920, 'encoding': 'rgb8', 'step': 5760, 'data': b''})
    message = message[:-4] + struct.pack('<I', len(data)) + data
    picture = it.take_bytes(message)
    assert picture is not None
    assert len(picture.jpeg) <= MAX_JPEG_BYTES


def compressed(picture: np.ndarray, kind: str, *options: int) -> bytes:
    return cv2.imencode(kind, np.ascontiguousarray(picture[..., ::-1]), options)[1].tobytes()


def test_a_jpeg_passes_untouched_without_what_drivers_add():
    jpeg = compressed(SCENE, '.jpg')
    it = Filmed(COMPRESSED_IMAGE)
    picture = it.take(format='jpeg', data=list(jpeg + bytes(100)))
    assert picture == Picture('rig', 'c', WIDTH, HEIGHT, NOW_MS, jpeg)
    assert it.counters['video_frames_passed_through'] == 1


@pytest.mark.parametrize('rule', [
    {'max_width': 40}, {'rotate': 180}, {'grey': True}, {'crop': Crop(0, 0, 30, 30)}])
def test_a_jpeg_that_is_to_look_different_is_encoded_anew(rule):
    jpeg = compressed(SCENE, '.jpg')
    picture = Filmed(COMPRESSED_IMAGE, **rule).take(format='jpeg', data=list(jpeg))
    assert picture is not None
    assert picture.jpeg != jpeg
    assert jpeg_size(picture.jpeg) == (picture.width, picture.height)
    assert picture.width == {'max_width': 40, 'crop': 30}.get(next(iter(rule)), WIDTH)


def damaged(how: str) -> bytes:
    jpeg = compressed(SCENE, '.jpg')
    middle = len(jpeg) * 2 // 3
    return {'cut': jpeg[:middle] + jpeg[-2:], 'hole': jpeg[:middle] + jpeg[middle + 400:],
            'two in one': jpeg[:middle] + jpeg,
            'zeros': jpeg[:middle] + bytes(400) + jpeg[middle + 400:]}[how]


@pytest.mark.parametrize('rule', [{}, {'grey': True}])
@pytest.mark.parametrize('how', ['cut', 'hole', 'two in one', 'zeros'])
def test_a_jpeg_that_is_damaged_between_head_and_end_is_told_and_never_shown(how, rule):
    it = Filmed(COMPRESSED_IMAGE, **rule)
    assert it.take(format='jpeg', data=list(damaged(how))) is None
    assert 'saw a damaged JPEG' in it.camera.trouble
    assert it.counters.dropped() == {'video_unusable': 1}
    assert it.take(format='jpeg', data=list(compressed(SCENE, '.jpg'))) is not None


def test_a_jpeg_that_a_camera_has_filled_up_before_its_end_passes():
    jpeg = compressed(SCENE, '.jpg')
    filled = jpeg[:-2] + bytes(6) + b'\x07' + jpeg[-2:]
    picture = Filmed(COMPRESSED_IMAGE).take(format='jpeg', data=list(filled))
    assert picture is not None
    assert picture.jpeg == filled


def test_a_jpeg_that_says_to_be_immense_is_not_even_looked_at():
    jpeg = bytearray(compressed(SCENE, '.jpg'))
    at = jpeg.index(b'\xff\xc0') + 5
    jpeg[at:at + 4] = b'\xff\xff\xff\xff'
    it = Filmed(COMPRESSED_IMAGE)
    assert it.take(format='jpeg', data=list(jpeg)) is None
    assert 'at most 64000000 pixels' in it.camera.trouble


def test_a_jpeg_that_is_too_large_for_the_link_is_encoded_anew():
    large = scene(640, 480)
    jpeg = compressed(large, '.jpg', cv2.IMWRITE_JPEG_QUALITY, 100)
    picture = Filmed(COMPRESSED_IMAGE, allowed=8_000).take(format='jpeg', data=list(jpeg))
    assert picture is not None
    assert len(picture.jpeg) <= 10_000
    assert picture.width >= 80


@pytest.mark.parametrize('kind', ['png', 'webp', 'bmp', 'tiff'])
def test_other_formats_become_jpeg(kind):
    data = compressed(SCENE, f'.{kind}')
    picture = Filmed(COMPRESSED_IMAGE).take(format=f'rgb8; {kind} compressed bgr8',
                                            data=list(data))
    assert picture is not None
    assert psnr(decode(picture.jpeg), SCENE) > 30


def test_compressed_distances_are_coloured_as_others_are():
    millimetres = np.linspace(0, 4000, 64 * 48).reshape(48, 64).astype(np.uint16)
    png = cv2.imencode('.png', millimetres)[1].tobytes()
    it = Filmed(COMPRESSED_IMAGE, depth=Depth(0, 4, 'grey'))
    picture = it.take(format='16UC1; compressedDepth png', data=list(
        struct.pack('<iff', 0, 0.0, 0.0) + png))
    assert picture is not None
    assert psnr(decode(picture.jpeg)[..., 0], (millimetres / 4000 * 255).astype(np.uint8)) > 35
    metres = np.linspace(1, 4, 64 * 48).reshape(48, 64)
    inverse = (100.0 / metres + 1.0).astype(np.uint16)
    png = cv2.imencode('.png', inverse)[1].tobytes()
    picture = it.take(format='32FC1; compressedDepth png', data=list(
        struct.pack('<iff', 0, 100.0, 1.0) + png))
    assert picture is not None
    assert psnr(decode(picture.jpeg)[..., 0], (metres / 4 * 255).astype(np.uint8)) > 30


def png_of(width: int, height: int) -> bytes:
    return b'\x89PNG\r\n\x1a\n' + struct.pack('>I4sII', 13, b'IHDR', width, height)


@pytest.mark.parametrize(('kind', 'data', 'text'), [
    ('jpeg', b'', 'saw no data at all, expected a picture'),
    ('jpeg', b'\xff\xd8', 'expected a JPEG'),
    ('jpeg', compressed(SCENE, '.jpg')[:-300], 'expected a JPEG'),
    ('jpeg', b'\xff\xd8\xff\xe0\x00\x10' + bytes(40) + b'\xff\xd9', 'head says no size'),
    ('jpeg', b'\xff\xd8\xff\xd9', 'head says no size'),
    ('png', png_of(10_000, 10_000), 'expected at most'),
    ('png', b'\x89PNG\r\n\x1a\n', 'cannot be read'), ('png', b'GIF', 'cannot be read'),
    ('16UC1; compressedDepth png', b'short', 'expected a head'),
    ('16UC1; compressedDepth png', bytes(12) + compressed(SCENE, '.png'), '16 bits')])
def test_what_cannot_be_unpacked_is_counted_and_told_once(kind, data, text, caplog):
    it = Filmed(COMPRESSED_IMAGE)
    for _ in range(3):
        assert it.take(format=kind, data=list(data)) is None
    assert text in it.camera.trouble
    assert it.counters.dropped() == {'video_unusable': 3}
    assert len(caplog.records) == 1


@given(st.binary(max_size=200), st.sampled_from([IMAGE, COMPRESSED_IMAGE]))
@settings(max_examples=200)
def test_whatever_comes_does_no_harm(data, kind):
    it = Filmed(kind)
    it.take_bytes(b'\0\1\0\0' + data)


@given(st.data())
@settings(max_examples=100)
def test_a_damaged_jpeg_never_raises(data):
    jpeg = bytearray(compressed(SCENE, '.jpg'))
    for _ in range(data.draw(st.integers(1, 10))):
        jpeg[data.draw(st.integers(2, len(jpeg) - 3))] = data.draw(st.integers(0, 255))
    Filmed(COMPRESSED_IMAGE, max_width=32).take(format='jpeg', data=list(jpeg))


def test_an_image_of_a_hundred_megapixels_is_refused_before_anything_is_done():
    it = Filmed()
    assert it.take(height=10_000, width=10_000, encoding='mono8', step=10_000, data=[]) is None
    assert '10000x10000' in it.camera.trouble


def test_a_camera_may_change_its_size_and_encoding():
    it = Filmed()
    for size, name in (((160, 120), 'rgb8'), ((64, 48), 'mono8'), ((320, 200), 'bgra8')):
        picture = it.film(scene(*size), name)
        assert (picture.width, picture.height) == size


@pytest.mark.parametrize(('allowed', 'numbers'), [(20_000, 3072), (8_000, 0)])
def test_temperatures_travel_only_where_the_link_carries_them(allowed, numbers):
    it = Filmed(allowed=allowed, thermal=ThermalRule())
    values = np.arange(3072, dtype=np.uint16) + 29_000
    assert it.camera.encode(write_cdr(layout(IMAGE), {
        'height': 48, 'width': 64, 'encoding': '16UC1', 'step': 128,
        'data': values.tobytes()}), NOW_MS, 1.0)
    frame = it.frames.take(0.0)
    assert frame is not None
    assert len(frame.message.payload) <= allowed * 1.25
    _, thermal = decode_text(encoding.loads(frame.message.payload))
    assert thermal is not None
    assert len(thermal.temperatures) == numbers
    assert (thermal.lowest, thermal.highest) == pytest.approx((16.85, 47.56))


def test_thermal_pictures_suit_the_link_too():
    noise = np.random.default_rng(3).integers(29_000, 31_000, (240, 320)).astype('<u2')
    it = Filmed(allowed=8_000, thermal=ThermalRule())
    data = write_cdr(layout(IMAGE), {
        'height': 240, 'width': 320, 'encoding': '16UC1', 'step': 640,
        'data': list(noise.tobytes())})
    for _ in range(3):
        assert it.camera.encode(data, NOW_MS, 1.0)
        frame, = it.frames.take_all()
        assert len(frame.message.payload) <= 8_000 * 1.3
    picture, thermal = decode_text(encoding.loads(frame.message.payload))
    assert thermal is not None
    assert (thermal.width, thermal.height, thermal.temperatures) == (320, 240, ())
    assert jpeg_size(picture.jpeg) == (picture.width, picture.height)


@pytest.mark.parametrize('values', [[float('nan')] * 4, []])
def test_temperatures_that_are_none_make_no_picture(values):
    it = Filmed(thermal=ThermalRule())
    data = np.array(values, '<f4').tobytes()
    assert it.take(height=2, width=2, encoding='32FC1', step=8, data=list(data)) is None
    assert it.take(height=2, width=2, encoding='rgb8', step=6, data=[0] * 12) is None
    assert it.counters.dropped() == {'video_unusable': 2}


def test_both_encoders_show_the_same():
    one = _by_open_cv(open_cv(), Pixels(SCENE, 'RGB'), 90)
    assert psnr(decode(one), decode(Filmed(quality=90).film().jpeg)) > 40
    grey = _by_open_cv(open_cv(), Pixels(SCENE[..., 0], 'GRAY'), 90)
    assert psnr(decode(grey)[..., 0], SCENE[..., 0]) > 35


def test_a_camera_wants_nothing_while_its_last_frame_waits_or_nobody_is_there():
    it = Filmed()
    assert it.camera.wanted_at(5.0) == 5.0
    it.camera.busy = True
    assert it.camera.wanted_at(5.0) == math.inf
    it.camera.busy = False
    it.camera.encode(write_cdr(layout(IMAGE), {
        'height': 1, 'width': 1, 'encoding': 'mono8', 'step': 1, 'data': [0]}), NOW_MS, 1.0)
    assert it.camera.wanted_at(5.0) == math.inf
    it.frames.clear()
    assert it.camera.wanted_at(5.0) == math.inf
    it.frames.opened()
    assert it.camera.wanted_at(5.0) == 5.0


def test_a_message_before_its_type_is_known_is_refused():
    camera = Camera(CameraRule('/c', 'c'), 'rig', Frames(), Counters())
    assert not camera.encode(b'', NOW_MS, 0.0)
    with pytest.raises(MappingError, match='no field'):
        camera.expect(layout('sensor_msgs/msg/Imu'))

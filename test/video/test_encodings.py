# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Every encoding against the picture that it was made of, and images that are none."""

from __future__ import annotations

import cv2
import numpy as np
from pictures import decode
from pictures import encoded_as
from pictures import psnr
from pictures import scene
import pytest

from plexus_bridge.errors import PictureError
from plexus_bridge.video.encodings import coloured
from plexus_bridge.video.encodings import ENCODINGS
from plexus_bridge.video.encodings import is_distance
from plexus_bridge.video.encodings import pixels_of
from plexus_bridge.video.jpeg import choose_encoder
from plexus_bridge.video.raw_image import RawImage
from plexus_bridge.video.rules import Depth

SCENE = scene()
HEIGHT, WIDTH = SCENE.shape[:2]
COLOURS = [name for name in ENCODINGS if not is_distance(name)]
GREYS = ('mono8', 'mono16', '8UC1')


def image(encoding: str, data: bytes, step: int, **changed) -> RawImage:
    return RawImage(**{
        'stamp': (0, 0), 'height': HEIGHT, 'width': WIDTH, 'encoding': encoding,
        'big_endian': False, 'step': step, 'data': np.frombuffer(data, np.uint8), **changed})


def shown(raw: RawImage) -> np.ndarray:
    return decode(choose_encoder()(pixels_of(raw, Depth()), 90))


def expected(encoding: str) -> np.ndarray:
    if encoding in GREYS:
        grey = cv2.cvtColor(SCENE, cv2.COLOR_RGB2GRAY)
        return np.repeat(grey[..., None], 3, -1)
    return SCENE


@pytest.mark.parametrize('encoding', COLOURS)
def test_the_jpeg_shows_what_the_camera_saw(encoding):
    data, step = encoded_as(SCENE, encoding)
    # A mosaic has a third of the colours, so that edges are guessed.
    assert psnr(shown(image(encoding, data, step)), expected(encoding)) > (
        24 if encoding.startswith('bayer') else 30)


@pytest.mark.parametrize('encoding', ['rgb8', 'mono8', 'mono16', 'bgra8', 'bayer_rggb8', 'uyvy'])
def test_gaps_at_the_end_of_rows_are_left_out(encoding):
    data, step = encoded_as(SCENE, encoding)
    rows = [data[start:start + step] + b'\xa5' * 64 for start in range(0, len(data), step)]
    padded = b''.join(rows)[:-64]  # a last row without its gap is whole all the same
    assert (shown(image(encoding, padded, step + 64)) == shown(image(encoding, data, step))).all()


def test_common_encodings_are_views_of_the_message():
    data, step = encoded_as(SCENE, 'rgb8')
    raw = image('rgb8', data, step)
    assert np.shares_memory(pixels_of(raw, Depth()).array, raw.data)


@pytest.mark.parametrize('encoding', ['mono16', 'rgb16', '16UC1', '32FC1'])
def test_the_other_order_of_bytes_is_read(encoding):
    grey = cv2.cvtColor(SCENE, cv2.COLOR_RGB2GRAY)
    values = {'mono16': grey.astype('<u2') * 257, 'rgb16': SCENE.astype('<u2') * 257,
              '16UC1': grey.astype('<u2') * 40, '32FC1': grey.astype('<f4') / 25}[encoding]
    step = values.nbytes // HEIGHT
    little = image(encoding, values.tobytes(), step)
    big = image(encoding, values.byteswap().tobytes(), step, big_endian=True)
    assert (shown(big) == shown(little)).all()


@pytest.mark.parametrize(('encoding', 'values'), [
    ('16UC1', np.array([[0, 1000, 2000, 3000, 9000]], np.uint16)),
    ('32FC1', np.array([[np.nan, 1, 2, 3, 9]], np.float32)),
    ('64FC1', np.array([[np.inf, 1, 2, 3, 9]], np.float64))])
def test_distances_take_the_colours_between_near_and_far(encoding, values):
    raw = RawImage((0, 0), 1, 5, encoding, False, values.nbytes,
                   np.frombuffer(values.tobytes(), np.uint8))
    pixels = pixels_of(raw, Depth(1.0, 3.0, 'turbo'))
    ends = cv2.applyColorMap(np.array([[0, 127, 255]], np.uint8), cv2.COLORMAP_TURBO)[0]
    assert pixels.array[0].tolist() == [[0, 0, 0], *ends.tolist(), ends[2].tolist()]
    grey = pixels_of(raw, Depth(1.0, 3.0, 'grey'))
    assert (grey.order, grey.array[0].tolist()) == ('GRAY', [0, 0, 127, 255, 255])


def test_whole_numbers_of_other_kinds_are_coloured_too():
    assert coloured(np.array([[-5, 0, 10]], np.int16), 1.0, Depth(0, 10, 'grey')).tolist() == [
        [0, 0, 255]]


@pytest.mark.parametrize(('changed', 'text'), [
    ({'step': WIDTH * 3 - 1}, 'saw step'), ({'step': 0}, 'saw step'),
    ({'data': np.zeros(100, np.uint8)}, 'saw 100 bytes of data'),
    ({'data': np.zeros(0, np.uint8)}, 'saw 0 bytes of data'),
    ({'encoding': 'rgb_8'}, "did the publisher mean 'rgb8'"), ({'encoding': ''}, 'saw encoding'),
    ({'encoding': '8UC2'}, 'saw encoding'), ({'encoding': '32SC4'}, 'saw encoding'),
    ({'encoding': 'bayer_xxxx8'}, 'saw encoding'),
    ({'width': 2**32 - 1}, 'saw step'), ({'height': 2**31}, 'bytes of data'),
    ({'encoding': 'nv12', 'step': WIDTH, 'height': 7}, 'even'),
    ({'encoding': 'uyvy', 'width': 7}, 'even'),
    ({'encoding': 'mono16', 'step': WIDTH * 2 + 1}, 'saw step'),
    ({'encoding': 'nv24', 'step': WIDTH + 8}, 'nv24')])
def test_what_does_not_fit_together_is_refused(changed, text):
    data, step = encoded_as(SCENE, 'rgb8')
    with pytest.raises(PictureError, match=text):
        pixels_of(image(**{'encoding': 'rgb8', 'data': data, 'step': step} | {
            key: value for key, value in changed.items() if key in ('encoding', 'step')},
            **{key: value for key, value in changed.items()
               if key in ('width', 'height')}) if 'data' not in changed else
            RawImage((0, 0), HEIGHT, WIDTH, 'rgb8', False, step, changed['data']), Depth())

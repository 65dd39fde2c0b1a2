# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Every encoding of ``sensor_msgs/image_encodings.hpp``, and how it becomes pixels of 8 bits.

Colours and greys of 8 bits are handed on as views of the message. Bayer patterns, YUV and wider
numbers are converted. One channel of 16 bits or more without a colour's name is a distance
(REP-118): it is coloured by `Depth`.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import Any

import numpy as np

from plexus_bridge.errors import PictureError
from plexus_bridge.video.jpeg import open_cv
from plexus_bridge.video.jpeg import Order
from plexus_bridge.video.jpeg import Pixels
from plexus_bridge.video.raw_image import RawImage
from plexus_bridge.video.rules import ColourMap
from plexus_bridge.video.rules import Depth

_AS_THEY_ARE: dict[str, tuple[Order, int]] = {
    'rgb8': ('RGB', 3), 'bgr8': ('BGR', 3), 'rgba8': ('RGBA', 4), 'bgra8': ('BGRA', 4),
    'mono8': ('GRAY', 1), '8UC1': ('GRAY', 1), '8UC3': ('BGR', 3), '8UC4': ('BGRA', 4)}
_OF_16_BITS: dict[str, tuple[Order, int]] = {
    'rgb16': ('RGB', 3), 'bgr16': ('BGR', 3), 'rgba16': ('RGBA', 4), 'bgra16': ('BGRA', 4),
    'mono16': ('GRAY', 1), '16UC3': ('BGR', 3), '16UC4': ('BGRA', 4)}
_YUV_422 = {
    'yuv422': 'UYVY', 'uyvy': 'UYVY', 'yuv422_yuy2': 'YUY2', 'yuyv': 'YUY2'}
# OpenCV names a pattern by its second row's second and third pixel, ROS by its first two rows.
_BAYER = {'rggb': 'BG', 'bggr': 'RG', 'gbrg': 'GR', 'grbg': 'GB'}
_NUMBERS = re.compile(r'(8S|16U|16S|32S|32F|64F)C([1-4])')
_DTYPES = {'8S': 'i1', '16U': 'u2', '16S': 'i2', '32S': 'i4', '32F': 'f4', '64F': 'f8'}
# Unsigned millimetres or metres as floats (REP-118).
_METRES = {'16U': 0.001, '32F': 1.0, '64F': 1.0}
ENCODINGS = (
    *_AS_THEY_ARE, *_OF_16_BITS, *_YUV_422, 'nv12', 'nv21', 'nv24',
    *(f'bayer_{pattern}{bits}' for pattern in _BAYER for bits in (8, 16)),
    *(f'{kind}C1' for kind in _DTYPES), '32FC3', '64FC3')


def is_distance(encoding: str) -> bool:
    """Tell whether pixels are numbers to be coloured: distances, as far as anybody knows."""
    match = _NUMBERS.fullmatch(encoding)
    return match is not None and match[2] == '1'


def numbers(image: RawImage) -> Any:
    """Return the numbers of an image of one channel, as they are; PictureError if it has more."""
    match = _NUMBERS.fullmatch(image.encoding)
    if image.encoding == 'mono16':
        return image.rows('u2', 1)
    if match is None or match[2] != '1':
        raise PictureError(
            f'saw encoding {image.encoding!r}, expected one number for each pixel: 16UC1, 32FC1')
    return image.rows(_DTYPES[match[1]], 1)


def pixels_of(image: RawImage, depth: Depth) -> Pixels:
    """Return an image as pixels of 8 bits; PictureError if it cannot be read."""
    encoding = image.encoding
    if encoding in _AS_THEY_ARE:
        order, channels = _AS_THEY_ARE[encoding]
        return Pixels(image.rows('u1', channels), order)
    if encoding in _OF_16_BITS:
        order, channels = _OF_16_BITS[encoding]
        return Pixels(_upper_bytes(image.rows('u2', channels)), order)
    if encoding in _YUV_422:
        if image.width % 2:
            raise PictureError(f'saw {image.width} columns of {encoding}, expected an even number')
        return _converted(image.rows('u1', 2), f'YUV2BGR_{_YUV_422[encoding]}')
    if encoding in ('nv12', 'nv21', 'nv24'):
        return _planes(image)
    if encoding.startswith('bayer_') and encoding in ENCODINGS:
        mosaic = image.rows('u1', 1) if encoding.endswith('8') else _upper_bytes(
            image.rows('u2', 1))
        return _converted(mosaic, f'Bayer{_BAYER[encoding[6:10]]}2BGR')
    if is_distance(encoding):
        return Pixels(coloured(numbers(image), _metres(encoding), depth), _order_of(depth))
    if encoding in ('32FC3', '64FC3'):
        colours = image.rows(_DTYPES[encoding[:3]], 3)
        return Pixels(np.clip(np.nan_to_num(colours) * 255, 0, 255).astype(np.uint8), 'BGR')
    near = [] if encoding.endswith('C2') else difflib.get_close_matches(encoding, ENCODINGS, 1)
    raise PictureError(
        f'saw encoding {encoding[:64]!r}, expected one of sensor_msgs with 1, 3 or 4 channels'
        + (f'; did the publisher mean {near[0]!r}?' if near else ''))


def _order_of(depth: Depth) -> Order:
    return 'GRAY' if depth.colour_map == 'grey' else 'BGR'


def _metres(encoding: str) -> float:
    return _METRES.get(encoding.rpartition('C')[0], 1.0)


def _upper_bytes(numbers_: Any) -> Any:
    """Return the upper half of numbers of 16 bits."""
    return (numbers_ >> 8).astype(np.uint8)


def _converted(array: Any, code: str) -> Pixels:
    cv2 = open_cv()
    return Pixels(cv2.cvtColor(array, getattr(cv2, f'COLOR_{code}')), 'BGR')


def _planes(image: RawImage) -> Pixels:
    """Return what has a plane of brightness and, below it, one of both colours."""
    if image.width % 2 or image.height % 2:
        raise PictureError(f'saw {image.width}x{image.height} {image.encoding}, expected even '
                           'numbers of columns and rows')
    if image.encoding != 'nv24':
        planes = image.rows('u1', 1, image.height * 3 // 2)
        return _converted(planes, f'YUV2BGR_{image.encoding.upper()}')
    # Brightness, then pairs of colours of the same resolution: here taken at every other column,
    # as a JPEG keeps them in any case.
    if image.step != image.width:
        raise PictureError(f'saw step {image.step}, expected {image.width}: nobody says where '
                           'the pairs of nv24 lie if there are gaps')
    planes = image.rows('u1', 1, image.height * 3)
    packed = np.empty((image.height, image.width, 2), np.uint8)
    packed[..., 1] = planes[:image.height]
    colours = planes[image.height:].reshape(image.height, image.width, 2)
    packed[:, 0::2, 0] = colours[:, 0::2, 0]
    packed[:, 1::2, 0] = colours[:, 0::2, 1]
    return _converted(packed, 'YUV2BGR_UYVY')


def coloured(values: Any, unit: float, depth: Depth) -> Any:
    """Return numbers × `unit` by a colour map; where there is no measurement it is black."""
    span = max(depth.far - depth.near, 1e-9)
    if values.dtype == np.uint16:
        grey = _table(unit, depth.near, span)[values]
        measured = values != 0
    else:
        scaled = (values.astype(np.float32) * unit - depth.near) * (255 / span)
        measured = np.isfinite(scaled)
        if values.dtype.kind == 'f':
            measured &= values != 0
        grey = np.clip(np.where(measured, scaled, 0), 0, 255).astype(np.uint8)
    if depth.colour_map == 'grey':
        return np.where(measured, grey, 0).astype(np.uint8)
    picture = map_colours(grey, depth.colour_map)
    picture[~measured] = 0
    return picture


@functools.lru_cache(maxsize=8)
def _table(unit: float, near: float, span: float) -> Any:
    """Return the grey of each number of 16 bits: cheaper to look up than to compute."""
    scaled = (np.arange(65536, dtype=np.float32) * unit - near) * (255 / span)
    return np.clip(scaled, 0, 255).astype(np.uint8)


def map_colours(grey: Any, colour_map: ColourMap) -> Any:
    """Return greys as colours, blue first; `grey` gives three equal channels."""
    cv2 = open_cv()
    if colour_map == 'grey':
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    return cv2.applyColorMap(grey, getattr(cv2, f'COLORMAP_{colour_map.upper()}'))



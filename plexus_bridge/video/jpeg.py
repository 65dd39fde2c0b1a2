# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Pixels to JPEG, and what a JPEG's head says.

libjpeg-turbo does the work, through simplejpeg where it is installed: it takes every order of
colours as it is. OpenCV, which wants blue first, takes 5 % longer for 640x480 of red first.
Both take rows with gaps between them, and let other threads run meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import re
from typing import Any
from typing import Literal
from typing import NamedTuple

import numpy as np

from plexus_bridge.errors import PictureError
from plexus_bridge.video.raw_image import MAX_PIXELS

Order = Literal['RGB', 'BGR', 'RGBA', 'BGRA', 'GRAY']
# The format cannot say more.
MAX_SIDE = 65_535


class Pixels(NamedTuple):
    """A picture of 8 bits: rows × columns × channels in this order (no channels for GRAY)."""

    array: Any
    order: Order

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.array.shape[:2]
        return width, height


Encode = Callable[[Pixels, int], bytes]


def open_cv() -> Any:
    """Return the module cv2, told to use no threads of its own; PictureError if there is none."""
    try:
        import cv2
    except ImportError as error:
        raise PictureError(
            f'video needs OpenCV ({error}): apt install python3-opencv, or '
            "pip install 'plexus_bridge[images]'") from None
    # Our threads are its parallelism; its own would take the cores from everything else.
    cv2.setNumThreads(1)
    # What cannot be read is counted and told by us, once; it would print a line for each picture.
    if hasattr(cv2, 'setLogLevel'):
        cv2.setLogLevel(0)
    return cv2


@functools.cache
def _find_simplejpeg() -> Any:
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg


def choose_encoder() -> Encode:
    """Return the fastest encoder that is installed; PictureError if there is none."""
    cv2 = open_cv()
    simplejpeg = _find_simplejpeg()
    if simplejpeg is None:
        return functools.partial(_by_open_cv, cv2)
    return functools.partial(_by_simplejpeg, simplejpeg)


def _by_simplejpeg(simplejpeg: Any, pixels: Pixels, quality: int) -> bytes:
    _check_size(pixels)
    array, order = pixels
    if order == 'GRAY':
        encoded: bytes = simplejpeg.encode_jpeg(
            array[..., np.newaxis], quality, 'GRAY', 'Gray', True)
    else:
        encoded = simplejpeg.encode_jpeg(array, quality, order, '420', True)
    return encoded


def _by_open_cv(cv2: Any, pixels: Pixels, quality: int) -> bytes:
    _check_size(pixels)
    array, order = pixels
    if order not in ('GRAY', 'BGR'):
        array = cv2.cvtColor(array, getattr(cv2, f'COLOR_{order}2BGR'))
    _, encoded = cv2.imencode('.jpg', array, [cv2.IMWRITE_JPEG_QUALITY, quality])
    data: bytes = encoded.tobytes()
    return data


def _check_size(pixels: Pixels) -> None:
    if max(pixels.size) > MAX_SIDE:
        width, height = pixels.size
        raise PictureError(
            f'saw a picture of {width}x{height}, expected sides of at most {MAX_SIDE} pixels; '
            'max_width makes it fit')


_START, _END = b'\xff\xd8', b'\xff\xd9'
# Start of frame: all but the four that mean something else (T.81, table B.1).
_FRAME_HEADS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD8)))


def is_jpeg(data: bytes) -> bool:
    """Tell whether data begin as a JPEG does."""
    return data[:2] == _START


def jpeg_size(data: bytes) -> tuple[int, int]:
    """
    Return width and height of a whole JPEG.

    PictureError if head or end are not right, or if it has more than `MAX_PIXELS`.
    """
    if not is_jpeg(data) or not data.endswith(_END):
        raise PictureError(
            f'saw {len(data)} bytes from {data[:2].hex()} to {data[-2:].hex()}, expected a JPEG, '
            'from ffd8 to ffd9')
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # filling
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        if marker in _FRAME_HEADS:
            height = int.from_bytes(data[position + 5:position + 7], 'big')
            width = int.from_bytes(data[position + 7:position + 9], 'big')
            if width * height > MAX_PIXELS:
                raise PictureError(
                    f'saw a JPEG of {width}x{height}, expected at most {MAX_PIXELS} pixels')
            if width and height:
                return width, height
            break
        position += 2 + int.from_bytes(data[position + 2:position + 4], 'big')
    raise PictureError(f'saw a JPEG of {len(data)} bytes whose head says no size; it is damaged')


# What libjpeg complains of although the picture is whole: many cameras fill up before the end, or
# write heads that are not quite right. Colours are another matter than damage.
_HARMLESS = re.compile(
    'extraneous bytes before marker 0xd9|SOS parameters|progression sequence|color', re.IGNORECASE)


def check_whole(jpeg: bytes) -> None:
    """
    Raise PictureError for a JPEG whose head and end are right, but not what is between.

    It is unpacked to an eighth, which takes three quarters of an encoding. Bits that turned over
    may give wrong colours that nothing gives away; what is cut out or overwritten is found. Only
    simplejpeg tells: without it nothing is checked, for OpenCV paints what is missing grey.
    """
    simplejpeg = _find_simplejpeg()
    if simplejpeg is not None:
        _unpack(simplejpeg, jpeg, 'GRAY', 1)


def unpacked_jpeg(jpeg: bytes, width: int) -> Pixels | None:
    """
    Return the pixels of a JPEG, no larger than needed for this many columns (0: all of it).

    PictureError if it is damaged, None if simplejpeg is not there or cannot say.
    """
    simplejpeg = _find_simplejpeg()
    array = None if simplejpeg is None else _unpack(simplejpeg, jpeg, 'BGR', width)
    return None if array is None else Pixels(array, 'BGR')


def _unpack(simplejpeg: Any, jpeg: bytes, order: str, width: int) -> Any:
    """Return the array of a JPEG, None for one that is whole though not to be had in this way."""
    fast = order == 'GRAY'
    try:
        return simplejpeg.decode_jpeg(jpeg, order, fast, fast, min(1, width), width)
    except ValueError as error:
        if _HARMLESS.search(str(error)):
            return None
        raise PictureError(
            f'saw a damaged JPEG of {len(jpeg)} bytes ({error}), expected a whole one') from None

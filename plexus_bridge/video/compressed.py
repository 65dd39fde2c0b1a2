# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that arrive compressed: JPEG, PNG and the other formats of image_transport."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from plexus_bridge.errors import PictureError
from plexus_bridge.video.encodings import coloured
from plexus_bridge.video.jpeg import is_jpeg
from plexus_bridge.video.jpeg import jpeg_size
from plexus_bridge.video.jpeg import open_cv
from plexus_bridge.video.jpeg import Pixels
from plexus_bridge.video.jpeg import unpacked_jpeg
from plexus_bridge.video.raw_image import CompressedImage
from plexus_bridge.video.raw_image import MAX_PIXELS
from plexus_bridge.video.rules import Depth

# compressed_depth_image_transport puts this before the PNG: a format, two parameters.
_DEPTH_HEAD = struct.Struct('<iff')
_PNG = b'\x89PNG\r\n\x1a\n'


def whole_jpeg(image: CompressedImage) -> bytes | None:
    """Return the bytes of a picture that is a JPEG, without what drivers add; else None."""
    if 'compressedDepth' in image.format or not is_jpeg(bytes(image.data[:2])):
        return None
    # Some drivers fill their buffers up with zeros.
    return bytes(image.data).rstrip(b'\0')


def decoded(image: CompressedImage, jpeg: bytes | None, width: int | None, depth: Depth) -> Pixels:
    """
    Return the pixels; a JPEG is unpacked no larger than needed for `width` columns.

    PictureError if it cannot be read.
    """
    if jpeg is not None:
        return _decoded_jpeg(jpeg, width)
    data = bytes(image.data)
    if 'compressedDepth' in image.format:
        return _decoded_depth(image.format, data, depth)
    _check_png_size(data)
    cv2 = open_cv()
    found = _unpacked(data, cv2.IMREAD_UNCHANGED, image.format)
    if found.dtype == np.uint16:
        if found.ndim == 2 and '16UC1' in image.format:
            return Pixels(coloured(found, 0.001, depth), _order(depth))
        found = (found >> 8).astype(np.uint8)
    if found.dtype != np.uint8:
        raise PictureError(f'saw a {image.format!r} of {found.dtype}, expected 8 or 16 bits')
    if found.ndim == 2:
        return Pixels(found, 'GRAY')
    return Pixels(found, 'BGRA' if found.shape[2] == 4 else 'BGR')


def _decoded_jpeg(jpeg: bytes, wanted: int | None) -> Pixels:
    width, _ = jpeg_size(jpeg)
    pixels = unpacked_jpeg(jpeg, wanted or 0)
    if pixels is not None:
        return pixels
    cv2 = open_cv()
    flag = cv2.IMREAD_COLOR
    if wanted:
        for part in (8, 4, 2):
            if width // part >= wanted:
                flag = getattr(cv2, f'IMREAD_REDUCED_COLOR_{part}')
                break
    return Pixels(_unpacked(jpeg, flag | cv2.IMREAD_IGNORE_ORIENTATION, 'jpeg'), 'BGR')


def _unpacked(data: bytes, flag: int, what: str) -> Any:
    if not data:
        raise PictureError(f'saw no data at all, expected a picture ({what[:64]!r})')
    cv2 = open_cv()
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error as error:
        raise PictureError(f'saw {len(data)} bytes that are no picture: {error.err}') from None
    if found is None:
        raise PictureError(
            f'saw {len(data)} bytes from {data[:4].hex()} on as {what[:64]!r}, which cannot be '
            'read as a picture')
    return found


def _check_png_size(data: bytes) -> None:
    """Refuse a PNG that would take all memory once unpacked; its head says how large it is."""
    if data.startswith(_PNG) and len(data) >= 24:
        width, height = struct.unpack_from('>II', data, 16)
        if width * height > MAX_PIXELS:
            raise PictureError(
                f'saw a PNG of {width}x{height}, expected at most {MAX_PIXELS} pixels')


def _decoded_depth(kind: str, data: bytes, depth: Depth) -> Pixels:
    if len(data) <= _DEPTH_HEAD.size:
        raise PictureError(f'saw {len(data)} bytes of {kind[:64]!r}, expected a head of '
                           f'{_DEPTH_HEAD.size} and a PNG')
    _, factor, shift = _DEPTH_HEAD.unpack_from(data)
    png = data[_DEPTH_HEAD.size:]
    _check_png_size(png)
    values = _unpacked(png, open_cv().IMREAD_UNCHANGED, kind)
    if values.dtype != np.uint16 or values.ndim != 2:
        raise PictureError(f'saw {values.dtype} in {kind[:64]!r}, expected 16 bits of one channel')
    if not kind.startswith('32FC1'):
        return Pixels(coloured(values, 0.001, depth), _order(depth))
    # Distances are kept as their inverse, in steps; 0 is none.
    with np.errstate(divide='ignore'):
        metres = np.where(values, factor / (values.astype(np.float32) - shift), np.nan)
    return Pixels(coloured(metres, 1.0, depth), _order(depth))


def _order(depth: Depth) -> Any:
    return 'GRAY' if depth.colour_map == 'grey' else 'BGR'

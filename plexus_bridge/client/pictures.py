# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that a program hands in, made into frames that a gateway takes (protocol section 7)."""

from __future__ import annotations

from collections.abc import Callable
import math
import time
from typing import Any

import numpy as np

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import PictureError
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Text
from plexus_bridge.protocol.video import encode_binary
from plexus_bridge.protocol.video import encode_text
from plexus_bridge.protocol.video import MAX_JPEG_BYTES
from plexus_bridge.protocol.video import Picture
from plexus_bridge.video.compressed import decoded
from plexus_bridge.video.jpeg import choose_encoder
from plexus_bridge.video.jpeg import is_jpeg
from plexus_bridge.video.jpeg import jpeg_size
from plexus_bridge.video.jpeg import Order
from plexus_bridge.video.jpeg import Pixels
from plexus_bridge.video.raw_image import CompressedImage
from plexus_bridge.video.rules import Depth
from plexus_bridge.video.rules import ThermalRule
from plexus_bridge.video.shaping import narrowed
from plexus_bridge.video.thermal import thermal_picture

LOWEST_QUALITY = 10
_NO_STAMP = (0, 0)
_ORDERS: dict[int, Order] = {1: 'GRAY', 3: 'BGR', 4: 'BGRA'}


class Pictures:
    """
    Encodes on the thread that hands a picture in, and puts it on its way; any thread may call.

    A newer picture of a camera takes the place of one that the link had no room for yet.
    """

    def __init__(self, source_id: str, frames: VideoFrames, counters: Counters,
                 say_once: Callable[[str, str], None]):
        self._source_id = source_id
        self._frames = frames
        self._counters = counters
        self._say_once = say_once

    def send(self, frame: Any, camera_id: str, quality: int, timestamp_ms: int) -> None:
        """
        Send a JPEG as it is, or what can be made one.

        PictureError for what is no picture, and for what cannot be made small enough.
        """
        captured_at = time.monotonic()
        check_quality(quality)
        if isinstance(frame, bytes | bytearray | memoryview):
            jpeg = self._jpeg_of_bytes(bytes(frame), quality)
        else:
            jpeg = self._encoded(pixels_of(frame), quality)
        try:
            width, height = jpeg_size(jpeg)
        except PictureError:
            width = height = 0  # as it came: a viewer may make something of it
        self._put(camera_id, encode_binary(Picture(
            self._source_id, camera_id, width, height, timestamp_ms, jpeg)), captured_at)

    def send_thermal(self, temperatures: Any, camera_id: str, quality: int, timestamp_ms: int
                     ) -> None:
        """Send temperatures, °C, rows × columns, as a coloured picture with its numbers."""
        captured_at = time.monotonic()
        check_quality(quality)
        pixels, thermal = thermal_picture(finite(temperatures), ThermalRule())
        jpeg = self._encoded(pixels, quality)
        width, height = jpeg_size(jpeg)
        self._put(camera_id, encode_text(Picture(
            self._source_id, camera_id, width, height, timestamp_ms, jpeg), thermal), captured_at)

    def _put(self, camera_id: str, message: Binary | Text, captured_at: float) -> None:
        if self._frames.put(VideoFrame(camera_id, message, captured_at)) is not None:
            self._counters.drop('video_replaced')

    def _jpeg_of_bytes(self, data: bytes, quality: int) -> bytes:
        if not is_jpeg(data):
            image = CompressedImage(_NO_STAMP, 'image', data)
            return self._encoded(decoded(image, None, None, Depth()), quality)
        if len(data) <= MAX_JPEG_BYTES:
            return data
        image = CompressedImage(_NO_STAMP, 'jpeg', data)
        pixels = decoded(image, data.rstrip(b'\0'), None, Depth())
        return self._smaller(pixels, quality, len(data))

    def _encoded(self, pixels: Pixels, quality: int) -> bytes:
        jpeg = choose_encoder()(pixels, quality)
        return jpeg if len(jpeg) <= MAX_JPEG_BYTES else self._smaller(pixels, quality, len(jpeg))

    def _smaller(self, pixels: Pixels, quality: int, size: int) -> bytes:
        """Encode with less quality, as the official client does; then, unlike it, smaller."""
        self._say_once('video_large', f'a picture of {size} bytes is sent with less quality: '
                       f'more than {MAX_JPEG_BYTES} bytes do not pass')
        quality = max(LOWEST_QUALITY, math.floor(quality * MAX_JPEG_BYTES / size))
        encode = choose_encoder()
        while len(jpeg := encode(pixels, quality)) > MAX_JPEG_BYTES:
            width, height = pixels.size
            if max(width, height) < 16:
                raise PictureError(f'saw {len(jpeg)} bytes for {width}x{height} pixels')
            scale = min(0.9, math.sqrt(MAX_JPEG_BYTES / len(jpeg)))
            pixels = narrowed(pixels, max(1, int(width * scale)))
        return jpeg


def pixels_of(array: Any) -> Pixels:
    """Return an array of rows × columns (× channels, blue first) as pixels."""
    if not hasattr(array, '__array_interface__'):
        raise PictureError(
            f'frame: saw {type(array).__name__}, expected JPEG or other image bytes, or an array '
            'of height x width x channels')
    array = np.asarray(array)
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if array.dtype != np.uint8 or channels not in _ORDERS or not array.size:
        raise PictureError(
            f'frame: saw an array of {array.dtype} and shape {array.shape}, expected uint8 and '
            'height x width, with 1, 3 (blue first) or 4 channels')
    array = np.ascontiguousarray(array)
    return Pixels(array.reshape(array.shape[:2]) if channels == 1 else array, _ORDERS[channels])


def finite(temperatures: Any) -> Any:
    """Return temperatures as an array; those that are none become the lowest of all."""
    try:
        array = np.array(temperatures, np.float32)
    except (TypeError, ValueError) as error:
        raise PictureError(f'temps: saw no array of numbers: {error}') from None
    known = np.isfinite(array)
    if array.ndim != 2 or not known.any():
        raise PictureError(
            f'temps: saw shape {array.shape} with {int(known.sum())} numbers, expected height x '
            'width in °C')
    array[~known] = array[known].min()
    return array


def check_quality(quality: object) -> None:
    """Raise PictureError unless this is a quality."""
    if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
        raise PictureError(f'quality: saw {quality!r}, expected an integer of 1 to 100')

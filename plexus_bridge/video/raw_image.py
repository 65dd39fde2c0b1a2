# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Images as messages bring them: their bytes seen as rows of pixels, and nothing copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import numpy as np

from plexus_bridge.errors import PictureError
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.reader import compile_reader

# More is no camera's picture but a mistake; to encode it would take seconds and gigabytes.
MAX_PIXELS = 64_000_000

Stamp = tuple[int, int]
# numpy's names without a byte order, and whether the highest byte comes first.
_NUMBERS = {(name, big_endian): np.dtype(name).newbyteorder('>' if big_endian else '<')
            for name in ('u1', 'i1', 'u2', 'i2', 'i4', 'f4', 'f8') for big_endian in (False, True)}


class RawImage(NamedTuple):
    """
    A ``sensor_msgs/msg/Image``: `data` are its bytes (a view), `step` the bytes of a row.

    `stamp` is seconds and nanoseconds of the header.
    """

    stamp: Stamp
    height: int
    width: int
    encoding: str
    big_endian: bool
    step: int
    data: Any

    def check_size(self) -> None:
        """Raise PictureError for sizes that no picture has."""
        if not self.width or not self.height:
            raise PictureError(
                f'saw a picture of {self.width}x{self.height}, expected one with pixels')
        if self.width * self.height > MAX_PIXELS:
            raise PictureError(
                f'saw a picture of {self.width}x{self.height}, expected at most {MAX_PIXELS} '
                'pixels')

    def rows(self, dtype: str, channels: int, height: int | None = None) -> Any:
        """
        Return a view of the pixels, rows × columns (× channels if more than one).

        `dtype` is numpy's name without a byte order; `height` is for layouts whose planes stand
        below each other. PictureError if size, step and data do not fit together.
        """
        kind = _NUMBERS[dtype, self.big_endian]
        rows = self.height if height is None else height
        row_bytes = self.width * channels * kind.itemsize
        if self.step < row_bytes or self.step % kind.itemsize:
            raise PictureError(
                f'saw step {self.step}, expected at least {row_bytes} for {self.width} pixels of '
                f'{self.encoding}')
        needed = self.step * (rows - 1) + row_bytes
        if len(self.data) < needed:
            raise PictureError(
                f'saw {len(self.data)} bytes of data, expected {self.step * rows} for '
                f'{self.width}x{self.height} {self.encoding} with step {self.step}')
        shape: tuple[int, ...] = (rows, self.width)
        strides: tuple[int, ...] = (self.step, channels * kind.itemsize)
        if channels > 1:
            shape, strides = (*shape, channels), (*strides, kind.itemsize)
        pixels = np.ndarray(shape, kind, self.data, 0, strides)
        return pixels if kind.isnative else pixels.astype(kind.newbyteorder())


class CompressedImage(NamedTuple):
    """A ``sensor_msgs/msg/CompressedImage``; `format` is what the publisher says it is."""

    stamp: Stamp
    format: str
    data: Any


# What a camera takes: a message's bytes, or what they hold.
ImageMessage = bytes | RawImage | CompressedImage


def image_reader(message: Message) -> Callable[[bytes], RawImage]:
    """
    Return a function from serialised bytes to an image whose data are a view of them.

    It raises MappingError for bytes that do not fit the type. MappingError here if the type has
    not the fields of ``sensor_msgs/msg/Image``.
    """
    read = compile_reader(message, [parse_path(path) for path in (
        'header.stamp', 'height', 'width', 'encoding', 'is_bigendian', 'step', 'data')])

    def read_image(data: bytes) -> RawImage:
        stamp, height, width, encoding, big_endian, step, pixels = read(data)
        return RawImage(stamp, height, width, encoding, bool(big_endian), step, pixels)

    return read_image


def compressed_reader(message: Message) -> Callable[[bytes], CompressedImage]:
    """Return the same for ``sensor_msgs/msg/CompressedImage``."""
    read = compile_reader(
        message, [parse_path(path) for path in ('header.stamp', 'format', 'data')])

    def read_compressed(data: bytes) -> CompressedImage:
        return CompressedImage(*read(data))

    return read_compressed


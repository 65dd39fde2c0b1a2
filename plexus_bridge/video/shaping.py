# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Crop, scale, turn and grey: what happens to pixels between the camera and the JPEG."""

from __future__ import annotations

from plexus_bridge.errors import PictureError
from plexus_bridge.video.jpeg import open_cv
from plexus_bridge.video.jpeg import Pixels
from plexus_bridge.video.rules import Crop
from plexus_bridge.video.rules import Rotation


def cropped(pixels: Pixels, crop: Crop) -> Pixels:
    """Return a part of a picture, as a view; PictureError if nothing of it is inside."""
    width, height = pixels.size
    if crop.x >= width or crop.y >= height:
        raise PictureError(
            f'saw a picture of {width}x{height}, expected one that reaches to the crop at '
            f'({crop.x}, {crop.y})')
    return pixels._replace(
        array=pixels.array[crop.y:crop.y + crop.height, crop.x:crop.x + crop.width])


def narrowed(pixels: Pixels, max_width: int) -> Pixels:
    """Return a picture scaled down to a width, if it is wider; means of areas, no ripples."""
    width, height = pixels.size
    if width <= max_width:
        return pixels
    cv2 = open_cv()
    size = (max_width, max(1, round(height * max_width / width)))
    return pixels._replace(
        array=cv2.resize(pixels.array, size, interpolation=cv2.INTER_AREA))


def turned(pixels: Pixels, rotate: Rotation) -> Pixels:
    """Return a picture turned clockwise by degrees."""
    if not rotate:
        return pixels
    cv2 = open_cv()
    code = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180,
            270: cv2.ROTATE_90_COUNTERCLOCKWISE}[rotate]
    return pixels._replace(array=cv2.rotate(pixels.array, code))


def greyed(pixels: Pixels) -> Pixels:
    """Return a picture without its colours."""
    if pixels.order == 'GRAY':
        return pixels
    cv2 = open_cv()
    return Pixels(cv2.cvtColor(pixels.array, getattr(cv2, f'COLOR_{pixels.order}2GRAY')), 'GRAY')

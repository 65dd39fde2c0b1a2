# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture in every encoding, and how much of it a JPEG has kept."""

from __future__ import annotations

import cv2
import numpy as np


def scene(width: int = 160, height: int = 120) -> np.ndarray:
    """Return a smooth picture with some edges, red first: rows × columns × 3."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([
        x * 255 // width, y * 255 // height, 128 + 100 * np.sin((x + y) / 30)], -1)
    picture = picture.astype(np.uint8)
    cv2.circle(picture, (width // 3, height // 2), height // 5, (220, 40, 60), -1)
    cv2.rectangle(picture, (width // 2, height // 4), (width * 3 // 4, height // 2),
                  (30, 90, 200), -1)
    return picture


def encoded_as(picture: np.ndarray, encoding: str) -> tuple[bytes, int]:
    """Return the data and step of a picture (red first) as sensor_msgs/Image in an encoding."""
    if encoding in ('nv12', 'nv21', 'nv24', 'yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'):
        return _yuv(picture, encoding)
    data = np.ascontiguousarray(_array(picture, encoding))
    return data.tobytes(), data.nbytes // picture.shape[0]


def _array(picture: np.ndarray, encoding: str) -> np.ndarray:
    bits = 16 if '16' in encoding else 8
    blue_first = picture[..., ::-1]
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    opaque = np.full((*picture.shape[:2], 1), 255, np.uint8)
    if encoding.startswith('bayer'):
        pattern = encoding[6:10]
        found = np.empty(picture.shape[:2], np.uint8)
        for index, colour in enumerate(pattern):
            row, column = divmod(index, 2)
            found[row::2, column::2] = picture[row::2, column::2, 'rgb'.index(colour)]
    elif encoding.startswith('rgba'):
        found = np.concatenate([picture, opaque], -1)
    elif encoding.startswith('bgra') or encoding in ('8UC4', '16UC4'):
        found = np.concatenate([blue_first, opaque], -1)
    elif encoding.startswith('rgb'):
        found = picture
    elif encoding.startswith('bgr') or encoding in ('8UC3', '16UC3'):
        found = blue_first
    elif encoding in ('32FC3', '64FC3'):
        return (blue_first / 255).astype(f'f{int(encoding[:2]) // 8}')
    else:
        found = grey
    return found.astype(np.uint16) * 257 if bits == 16 else found


def _yuv(picture: np.ndarray, encoding: str) -> tuple[bytes, int]:
    """Return YUV of the range of video (BT.601), as cameras give it."""
    height, width = picture.shape[:2]
    red, green, blue = (picture[..., index].astype(np.float32) for index in range(3))
    bright = np.clip(16 + 0.257 * red + 0.504 * green + 0.098 * blue, 0, 255).astype(np.uint8)
    first = np.clip(128 - 0.148 * red - 0.291 * green + 0.439 * blue, 0, 255)
    second = np.clip(128 + 0.439 * red - 0.368 * green - 0.071 * blue, 0, 255)
    if encoding == 'nv24':
        pairs = np.stack([first, second], -1).astype(np.uint8)
        return bright.tobytes() + pairs.tobytes(), width
    if encoding.startswith('nv'):
        halves = [plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3)).astype(np.uint8)
                  for plane in (first, second)]
        pairs = np.stack(halves if encoding == 'nv12' else halves[::-1], -1)
        return bright.tobytes() + pairs.tobytes(), width
    halves = [plane.reshape(height, width // 2, 2).mean(2).astype(np.uint8)
              for plane in (first, second)]
    packed = np.empty((height, width, 2), np.uint8)
    here = 1 if encoding in ('yuv422', 'uyvy') else 0
    packed[..., here] = bright
    packed[:, 0::2, 1 - here], packed[:, 1::2, 1 - here] = halves
    return packed.tobytes(), width * 2


def decode(jpeg: bytes) -> np.ndarray:
    """Return the picture in a JPEG, red first."""
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Return how alike two pictures are, dB: 30 and more look alike."""
    return float(cv2.PSNR(np.ascontiguousarray(one), np.ascontiguousarray(other)))

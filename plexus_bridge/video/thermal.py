# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Temperatures as pictures that bring their numbers along (protocol section 7.2, VID-10)."""

from __future__ import annotations

from typing import Any

import numpy as np

from plexus_bridge.errors import PictureError
from plexus_bridge.protocol.video import MAX_TEMPERATURES
from plexus_bridge.protocol.video import Thermal
from plexus_bridge.video.encodings import map_colours
from plexus_bridge.video.encodings import numbers
from plexus_bridge.video.jpeg import open_cv
from plexus_bridge.video.jpeg import Pixels
from plexus_bridge.video.raw_image import RawImage
from plexus_bridge.video.rules import ThermalRule

# What small sensors are enlarged to, as the official client does.
SHORTER_SIDE = 160
# Raw numbers of 16 bits are hundredths of a kelvin, floats are °C.
_USUAL = {'u': (0.01, -273.15), 'f': (1.0, 0.0)}


def celsius(image: RawImage, rule: ThermalRule) -> Any:
    """Return the temperatures, °C, rows × columns; PictureError if none of them is finite."""
    values = numbers(image)
    scale, offset = _USUAL.get(values.dtype.kind, (1.0, 0.0))
    scale = scale if rule.scale is None else rule.scale
    offset = offset if rule.offset is None else rule.offset
    temperatures = values.astype(np.float32) * np.float32(scale) + np.float32(offset)
    finite = np.isfinite(temperatures)
    if not finite.any():
        raise PictureError('saw no finite temperature in the whole picture')
    if not finite.all():
        temperatures[~finite] = temperatures[finite].min()
    return temperatures


def thermal_picture(temperatures: Any, rule: ThermalRule) -> tuple[Pixels, Thermal]:
    """Return the coloured picture, enlarged if it is small, and what travels beside it."""
    height, width = temperatures.shape
    lowest, highest = float(temperatures.min()), float(temperatures.max())
    span = max(highest - lowest, 1e-6)
    grey = ((temperatures - lowest) * (255 / span)).astype(np.uint8)
    picture = map_colours(grey, rule.colour_map)
    factor = SHORTER_SIDE / min(width, height)
    if factor > 1:
        cv2 = open_cv()
        picture = cv2.resize(picture, (round(width * factor), round(height * factor)),
                             interpolation=cv2.INTER_CUBIC)
    few = width * height <= MAX_TEMPERATURES
    return Pixels(picture, 'BGR'), Thermal(
        width, height, lowest, highest, temperatures.ravel().tolist() if few else ())

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a map asks of a camera, as typed objects; the schema in config has it in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from typing import NamedTuple

ColourMap = Literal['turbo', 'inferno', 'viridis', 'jet', 'grey']
Rotation = Literal[0, 90, 180, 270]

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'


class Crop(NamedTuple):
    """A part of the picture, in pixels of the camera; what lies outside of it is cut off."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Depth:
    """What distances (m) a colour map spans; what is nearer or farther has its ends' colours."""

    near: float = 0.0
    far: float = 10.0
    colour_map: ColourMap = 'turbo'


@dataclass(frozen=True)
class ThermalRule:
    """How a raw value becomes °C: × scale + offset; `None` stands for the encoding's usual way."""

    scale: float | None = None
    offset: float | None = None
    colour_map: ColourMap = 'inferno'


@dataclass(frozen=True)
class CameraRule:
    """
    One camera topic and what becomes of it; `place` tells where the rule stands in the map.

    `preview_s`: one frame so often while nobody watches, if the gateway tells; None for none.
    """

    topic: str
    camera_id: str
    type: str | None = None
    rate_hz: float = 10.0
    quality: int = 85
    max_width: int | None = None
    crop: Crop | None = None
    rotate: Rotation = 0
    grey: bool = False
    depth: Depth = Depth()
    thermal: ThermalRule | None = None
    timestamp: Literal['header', 'receive'] = 'header'
    preview_s: float | None = 10.0
    place: tuple[str | int, ...] = ()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the robot's camera sees: the room in perspective and a marker that moves by itself."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from plexus_bridge.simulation.room import Room

Picture = NDArray[np.uint8]

_WALL_HEIGHT_M = 1.6
_EYE_HEIGHT_M = 0.5
_FIELD_OF_VIEW = math.radians(75.0)
_COLOURS = np.array([
    (196, 120, 80), (90, 140, 190), (160, 205, 235), (90, 140, 190), (120, 165, 95),
    (190, 170, 90), (130, 90, 60), (150, 105, 70), (130, 90, 60), (170, 80, 150),
    (80, 160, 160)], float)
_MARKER = (230, 30, 40)
_PIXEL = np.dtype('V3')


class Camera:
    """Draws `height` x `width` pictures (rgb8) into one buffer that is reused."""

    def __init__(self, room: Room, width: int = 320, height: int = 240):
        self._room = room
        self._focal = width / 2 / math.tan(_FIELD_OF_VIEW / 2)
        # The left column is the image's first and looks counter-clockwise of the middle.
        self._columns = np.arctan((width / 2 - np.arange(width) - 0.5) / self._focal)
        self._cosines = np.cos(self._columns)
        self._rows = np.arange(height, dtype=np.int16)[:, None]
        self._horizon = height / 2
        self._picture: Picture = np.zeros((height, width, 3), np.uint8)
        # A pixel as one item of three bytes: a masked copy of those costs a thirtieth.
        self._pixels = self._picture.view(_PIXEL).reshape(height, width)
        self._empty = {lit: self._background(1.0 if lit else 0.6) for lit in (False, True)}

    def _background(self, light: float) -> Picture:
        # Ceiling and floor get darker towards the horizon, where they are far away.
        height, width = self._pixels.shape
        near = np.abs(np.arange(height) - self._horizon) / self._horizon
        shade = light * np.where(
            (np.arange(height) < self._horizon)[:, None],
            (40 + 80 * near)[:, None] * np.array([1.0, 1.0, 1.1]),
            (30 + 110 * near)[:, None] * np.array([1.0, 0.9, 0.75]))
        return np.repeat(shade.astype(np.uint8)[:, None, :], width, axis=1)

    def draw(self, x: float, y: float, heading: float, elapsed_s: float, *, lit: bool) -> Picture:
        """
        Return what is seen at (x, y) looking to `heading` (rad); it is valid until the next call.

        The red marker goes round once in eight seconds of `elapsed_s`, whatever the robot does.
        """
        distance, surface = self._room.cast(x, y, heading + self._columns, see_glass=True)
        depth = np.maximum(distance * self._cosines, 0.05)
        top = self._horizon - self._focal * (_WALL_HEIGHT_M - _EYE_HEIGHT_M) / depth
        bottom = self._horizon + self._focal * _EYE_HEIGHT_M / depth
        reach = 6.0 if lit else 3.0
        colour = _COLOURS[surface % len(_COLOURS)] * (1.0 / (1.0 + (depth / reach) ** 2))[:, None]
        columns = colour.astype(np.uint8).view(_PIXEL).reshape(-1)
        # Far above and below the picture is cut before it could overflow.
        limit = 2 * self._horizon
        wall = ((self._rows >= np.maximum(top, 0).astype(np.int16))
                & (self._rows < np.minimum(bottom, limit).astype(np.int16)))
        np.copyto(self._picture, self._empty[lit])
        np.copyto(self._pixels, columns, where=wall)
        self._draw_marker(elapsed_s)
        return self._picture

    def _draw_marker(self, elapsed_s: float) -> None:
        height, width = self._picture.shape[:2]
        size = max(4, height // 20)
        turn = math.tau * elapsed_s / 8.0
        left = int((width - size) * (0.5 + 0.45 * math.cos(turn)))
        top = int((height - size) * (0.3 + 0.2 * math.sin(turn)))
        self._picture[top:top + size, left:left + size] = _MARKER

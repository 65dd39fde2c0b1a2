# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from plexus_bridge.simulation.camera import Camera
from plexus_bridge.simulation.room import furnished_room
from plexus_bridge.simulation.room import Room
from plexus_bridge.simulation.room import Wall


def red(picture: np.ndarray) -> tuple[int, ...]:
    rows, columns = np.nonzero((picture == (230, 30, 40)).all(axis=2))
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


@pytest.mark.parametrize(('width', 'height'), [(320, 240), (64, 48), (641, 361)])
def test_pictures_have_the_size_that_was_asked_for(width: int, height: int) -> None:
    picture = Camera(furnished_room(), width, height).draw(0, 0, 0, 0, lit=True)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous


@pytest.mark.parametrize('moved', [(0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.2)])
def test_the_picture_depends_on_place_and_heading(moved: tuple[float, float, float]) -> None:
    camera = Camera(furnished_room())
    first = camera.draw(0, 0, 0, 1.0, lit=True).copy()
    assert (camera.draw(0, 0, 0, 1.0, lit=True) == first).all()
    assert (camera.draw(*moved, 1.0, lit=True) != first).any(axis=2).mean() > 0.01


def test_what_is_to_the_left_is_on_the_left() -> None:
    # Only one wall, ahead and to the left (positive y).
    camera = Camera(Room((Wall(2, 0.5, 2, 1.0),)))
    empty = Camera(Room(())).draw(0, 0, 0, 1.0, lit=True)
    seen = (camera.draw(0, 0, 0, 1.0, lit=True) != empty).any(axis=2)
    assert seen[:, :160].any()
    assert not seen[:, 160:].any()


def test_a_wall_grows_as_it_comes_nearer() -> None:
    def rows_covered(distance: float) -> int:
        walls = Camera(Room((Wall(distance, -9, distance, 9),)))
        empty = Camera(Room(())).draw(0, 0, 0, 1.0, lit=True)
        return int((walls.draw(0, 0, 0, 1.0, lit=True)[:, 20] != empty[:, 20]).any(axis=1).sum())

    assert rows_covered(1.0) > 2 * rows_covered(3.0) > 0
    assert rows_covered(0.02) == 240


def test_the_marker_moves_by_itself() -> None:
    camera = Camera(furnished_room())
    places = {red(camera.draw(0, 0, 0, t / 4, lit=True)) for t in range(32)}
    assert len(places) > 20
    assert red(camera.draw(1, 1, 1, 0.0, lit=True)) == red(camera.draw(0, 0, 0, 8.0, lit=True))


def test_lights_make_it_brighter() -> None:
    camera = Camera(furnished_room())
    dark = float(camera.draw(0, 0, 0, 1.0, lit=False).mean())
    assert camera.draw(0, 0, 0, 1.0, lit=True).mean() > dark * 1.2

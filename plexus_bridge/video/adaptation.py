# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How good a camera's pictures may be on the link that there is."""

from __future__ import annotations

import math
from typing import NamedTuple


class Grade(NamedTuple):
    """What is left of the quality and of the width that the map asks for."""

    quality: float
    width: float


# Best first. Each takes about STEP of the bytes of the one before, whatever the picture shows.
GRADES = (
    Grade(1.0, 1.0), Grade(0.8, 1.0), Grade(0.65, 1.0), Grade(0.65, 0.75), Grade(0.55, 0.75),
    Grade(0.55, 0.5), Grade(0.45, 0.5), Grade(0.45, 0.375), Grade(0.45, 0.25), Grade(0.35, 0.25),
    Grade(0.35, 0.1875), Grade(0.35, 0.125), Grade(0.25, 0.125), Grade(0.15, 0.125))
STEP = 0.7
# Below it a picture is dirt.
LOWEST_QUALITY = 10
# Pictures of so many bytes too many still go; the next one is smaller.
TOLERANCE = 1.25
# A better grade is tried only so long after the last change, and if it would surely fit.
PATIENCE_S = 1.0
# … and later each time that it did not.
LONGEST_PATIENCE_S = 30.0
MARGIN = 0.85
# With room for so many grades the link is another one than it was, and nothing is to be risked.
PLENTY = 4
# Bytes of a pixel at the asked quality, before the first picture is seen.
FIRST_GUESS = 0.15


class Adaptation:
    """
    Chooses a camera's grade from the bytes of its pictures and the bytes that are allowed.

    Grades fall at once and rise in small steps, so that a link at its limit does not swing.
    """

    def __init__(self) -> None:
        self._index: int | None = None
        self._changed_at = -math.inf
        self._patience_s = PATIENCE_S
        self._rose = False

    @property
    def grade(self) -> Grade:
        """The grade of the next picture."""
        return GRADES[self._index or 0]

    def begin(self, pixels: int, allowed: int) -> None:
        """Choose the first grade, by the number of pixels at full width."""
        if self._index is None:
            self._index = 0
            self._worsen(pixels * FIRST_GUESS / allowed)

    def fits(self, size: int, allowed: int, now: float) -> bool:
        """
        Learn how large a picture became; False if it should be made anew, worse.

        `now` is monotonic seconds. At the worst grade everything fits.
        """
        index = self._index or 0
        rose, self._rose = self._rose, False
        if size > allowed * TOLERANCE:
            if rose:  # in vain, and it may be so for long
                self._patience_s = min(self._patience_s * 2, LONGEST_PATIENCE_S)
            self._worsen(size / allowed)
            self._changed_at = now
            return self._index == index
        room = _steps(allowed * MARGIN / size)
        waited_s = now - self._changed_at
        if room >= PLENTY:
            self._patience_s = PATIENCE_S
        if index and ((room and waited_s >= self._patience_s) or (
                room >= PLENTY and waited_s >= PATIENCE_S / 10)):
            self._index = max(index - max(room // 2, 1), 0)
            self._changed_at = now
            self._rose = True
        return True

    def _worsen(self, factor: float) -> None:
        steps = math.ceil(_steps_exactly(factor))
        self._index = min((self._index or 0) + steps, len(GRADES) - 1)


def _steps(factor: float) -> int:
    return math.floor(_steps_exactly(factor))


def _steps_exactly(factor: float) -> float:
    """Return how many grades lie between two numbers of bytes, 0 if the second is the larger."""
    return math.log(max(factor, 1.0)) / -math.log(STEP)


def quality_of(asked: int, grade: Grade) -> int:
    """Return the quality to encode with."""
    return min(asked, max(LOWEST_QUALITY, round(asked * grade.quality)))

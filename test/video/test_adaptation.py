# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Quality and width follow what the link carries, and come back."""

from __future__ import annotations

import pytest

from plexus_bridge.video.adaptation import Adaptation
from plexus_bridge.video.adaptation import GRADES
from plexus_bridge.video.adaptation import LOWEST_QUALITY
from plexus_bridge.video.adaptation import quality_of
from plexus_bridge.video.adaptation import STEP
from plexus_bridge.video.adaptation import TOLERANCE

FULL = 260_000


def size_at(adaptation: Adaptation) -> int:
    """Return what a picture would have, if each grade took as much as it should."""
    return int(FULL * STEP ** GRADES.index(adaptation.grade))


def run(adaptation: Adaptation, allowed: int, seconds: float, start: float = 0.0) -> list[int]:
    """Return the sizes of pictures that were sent at 10 Hz."""
    sizes = []
    for index in range(int(seconds * 10)):
        now = start + index / 10
        while not adaptation.fits(size_at(adaptation), allowed, now):
            pass
        sizes.append(size_at(adaptation))
    return sizes


@pytest.mark.parametrize('allowed', [6_000, 20_000, 100_000])
def test_pictures_fit_from_the_first_one_on_and_then_stay_as_they_are(allowed):
    adaptation = Adaptation()
    adaptation.begin(1920 * 1080, allowed)
    sizes = run(adaptation, allowed, 20.0)
    assert max(sizes) <= allowed * TOLERANCE
    assert len(set(sizes[-100:])) == 1
    assert sizes[-1] > allowed * 0.4


def test_with_room_again_all_of_the_quality_comes_back():
    adaptation = Adaptation()
    run(adaptation, 6_000, 5.0)
    assert adaptation.grade != GRADES[0]
    sizes = run(adaptation, 1_000_000, 5.0, 5.0)
    assert sizes[-1] == FULL


def test_what_cannot_be_made_smaller_goes_as_it_is():
    adaptation = Adaptation()
    run(adaptation, 1, 1.0)
    assert adaptation.grade == GRADES[-1]
    assert adaptation.fits(1000, 1, 2.0)


def test_quality_never_exceeds_what_was_asked_nor_becomes_dirt():
    for grade in GRADES:
        assert LOWEST_QUALITY <= quality_of(85, grade) <= 85
        assert quality_of(5, grade) == 5

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames: some points of one lane, encoded once, sent and kept as they are."""

from __future__ import annotations

from collections.abc import Iterator
import enum
from typing import NamedTuple

from plexus_bridge import encoding
from plexus_bridge.counters import Counters
from plexus_bridge.points import Point

# What the official client puts into one message (protocol section 6.10).
MAX_FRAME_POINTS = 5000
MAX_FRAME_BYTES = 900_000


class Lane(enum.IntEnum):
    """Classes of data in the order in which they leave: the lower goes first."""

    URGENT = 0
    STATE = 1
    BULK = 2


class Frame(NamedTuple):
    """
    Points as JSON objects with commas between them, ready for either transport's head.

    `key` is the journal's number, from 1 on; 0 until it has one. `made_ms` is Unix ms.
    """

    key: int
    lane: Lane
    points: int
    made_ms: int
    points_json: bytes


def make_frames(
        lane: Lane, points: list[Point], made_ms: int, counters: Counters) -> Iterator[Frame]:
    """Encode points into as few frames as the limits allow; what cannot be encoded is counted."""
    for start in range(0, len(points), MAX_FRAME_POINTS):
        yield from _encode(lane, points[start:start + MAX_FRAME_POINTS], made_ms, counters)


def _encode(
        lane: Lane, points: list[Point], made_ms: int, counters: Counters) -> Iterator[Frame]:
    try:
        body = encoding.dumps(points)[1:-1]
    except (TypeError, ValueError):
        body = b''
    if body and (len(body) <= MAX_FRAME_BYTES):
        yield Frame(0, lane, len(points), made_ms, body)
    elif len(points) > 1:
        # Too long, or one of them is no JSON: halve until it stands alone.
        middle = len(points) // 2
        yield from _encode(lane, points[:middle], made_ms, counters)
        yield from _encode(lane, points[middle:], made_ms, counters)
    else:
        counters.drop('too_long' if body else 'not_json')

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames: some points of one lane, encoded once, sent and kept as they are."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import enum
from typing import NamedTuple

from plexus_bridge import encoding
from plexus_bridge.counters import Counters
from plexus_bridge.points import Point

# Of points, what the official client puts into one message (protocol section 6.10); of bytes, what
# a link of 5 kB/s carries before the gateway is taken for dead.
MAX_FRAME_POINTS = 5000
MAX_FRAME_BYTES = 128_000
# A single point may be as long as the official client's messages: it cannot be cut.
MAX_POINT_BYTES = 900_000
# Points that are encoded at once, to be packed into frames.
PIECE_POINTS = 250


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
        lane: Lane, pieces: Iterable[tuple[int, bytes]], made_ms: int) -> Iterator[Frame]:
    """Put pieces, (points, their JSON), into as few frames as the limits allow."""
    bodies: list[bytes] = []
    count = size = 0
    for points, body in pieces:
        if bodies and (count + points > MAX_FRAME_POINTS
                       or size + len(body) + 1 > MAX_FRAME_BYTES):
            yield Frame(0, lane, count, made_ms, b','.join(bodies))
            bodies.clear()
            count = size = 0
        bodies.append(body)
        count += points
        size += len(body) + 1
    if bodies:
        yield Frame(0, lane, count, made_ms, b','.join(bodies))


def halves_of(frame: Frame) -> list[Frame]:
    """Return two frames, without keys, that hold a frame's points; none if it has only one."""
    try:
        points = encoding.loads(b'[%b]' % frame.points_json)
    except ValueError:
        return []  # damaged on disk
    if len(points) < 2:
        return []
    middle = len(points) // 2
    return [Frame(0, frame.lane, len(part), frame.made_ms, encoding.dumps(part)[1:-1])
            for part in (points[:middle], points[middle:])]


def encode_points(points: Sequence[Point], counters: Counters) -> Iterator[tuple[int, bytes]]:
    """Yield (points, their JSON objects with commas between them); failures are counted."""
    for start in range(0, len(points), PIECE_POINTS):
        yield from _encode(points[start:start + PIECE_POINTS], counters)


def _encode(points: Sequence[Point], counters: Counters) -> Iterator[tuple[int, bytes]]:
    try:
        body = encoding.dumps(points)[1:-1]
    except (TypeError, ValueError):
        body = b''
    if body and len(body) <= (MAX_FRAME_BYTES if len(points) > 1 else MAX_POINT_BYTES):
        yield len(points), body
    elif len(points) > 1:
        # Too long, or one of them is no JSON: halve until it stands alone.
        middle = len(points) // 2
        yield from _encode(points[:middle], counters)
        yield from _encode(points[middle:], counters)
    else:
        counters.drop('too_long' if body else 'not_json')

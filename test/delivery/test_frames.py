# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames hold every point that can be encoded, within the limits."""

from __future__ import annotations

import json

import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import encode_points
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.frames import make_frames
from plexus_bridge.delivery.frames import MAX_FRAME_BYTES
from plexus_bridge.delivery.frames import MAX_FRAME_POINTS
from plexus_bridge.delivery.frames import MAX_POINT_BYTES
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.mapping.sinks import make_point
from plexus_bridge.mapping.sinks import MetricName


def point(value: object = 1.5, name: str = 'm') -> dict:
    return {'class': 'metric', 'metric': name, 'value': value, 'timestamp': 1_790_000_000_000}


def frames_of(points: list[dict], made_ms: int = 0, counters: Counters | None = None) -> list:
    return list(make_frames(
        Lane.STATE, encode_points(points, counters or Counters()), made_ms))


def decoded(frames) -> list[dict]:
    return [item for frame in frames for item in json.loads(b'[%b]' % frame.points_json)]


@pytest.mark.parametrize(('count', 'frames'), [
    (0, 0), (1, 1), (1500, 1), (2000, 2), (5001, 3)])
def test_points_are_split_by_number(count, frames):
    made = (frames_of([point(i) for i in range(count)], 7))
    assert [item['value'] for item in decoded(made)] == list(range(count))
    assert len(made) == frames
    assert sum(frame.points for frame in made) == count
    assert {frame.made_ms for frame in made} <= {7}


def test_a_frame_has_a_largest_number_of_points():
    pieces = [(250, b'{}')] * (MAX_FRAME_POINTS // 250 + 1)
    made = list(make_frames(Lane.STATE, pieces, 0))
    assert [frame.points for frame in made] == [MAX_FRAME_POINTS, 250]


def test_points_are_split_by_size():
    points = [point(i, 'x' * 250) for i in range(4000)]
    made = (frames_of(points))
    assert decoded(made) == points
    assert len(made) > 1
    assert all(len(frame.points_json) <= MAX_FRAME_BYTES for frame in made)


@pytest.mark.parametrize('bad', [{'a': object()}, '\ud800', {1, 2}])
def test_one_point_that_is_no_json_costs_one_point(bad):
    counters = Counters()
    made = frames_of([point(1), point(bad), point(3)], 0, counters)
    assert [item['value'] for item in decoded(made)] == [1, 3]
    assert counters.dropped() == {'not_json': 1}


def test_one_point_that_is_too_long_costs_one_point():
    counters = Counters()
    made = frames_of([point(1), point('x' * MAX_POINT_BYTES)], 0, counters)
    assert [item['value'] for item in decoded(made)] == [1]
    assert counters.dropped() == {'too_long': 1}


def test_a_long_point_has_a_frame_of_its_own():
    counters = Counters()
    made = frames_of([point(1), point('x' * MAX_FRAME_BYTES), point(3)], 0, counters)
    assert [frame.points for frame in made] == [1, 1, 1]
    assert counters.dropped() == {}


@pytest.mark.parametrize('name', ['m', 'm' * 250])
def test_rows_make_frames_that_a_slow_link_can_carry(name):
    lanes = Lanes(Counters())
    add_row = lanes.sinks['state'].add_rows(
        [MetricName(f'{name}{index}', {'k': 'v' * 100}) for index in range(7)])
    for index in range(1000):
        add_row((*[-1.2345678901234567e-300] * 7, 1_790_000_000_000 + index))
    frames = lanes.flush(0)
    assert sum(frame.points for frame in frames) == 7000
    assert max(len(frame.points_json) for frame in frames) <= 128_000


def test_lanes_are_flushed_most_urgent_first_and_emptied():
    counters = Counters()
    lanes = Lanes(counters)
    for lane in ('bulk', 'state', 'urgent', 'state'):
        lanes.sinks[lane].add(point(lane))
    frames = lanes.flush(5)
    assert [frame.lane for frame in frames] == [Lane.URGENT, Lane.STATE, Lane.BULK]
    assert [frame.points for frame in frames] == [1, 2, 1]
    assert counters['points_collected'] == 4
    assert lanes.flush(6) == []


def test_rows_are_the_same_points_as_single_ones():
    counters = Counters()
    lanes = Lanes(counters)
    names = [MetricName('a.b'), MetricName('c "d" {e}', {'unit': 'm/s', 'ü': '{x}'})]
    add_row = lanes.sinks['state'].add_rows(names)
    rows = [(1.5, 7, 1_790_000_000_000), (-0.25e-9, 1 << 63, 1_790_000_000_001), (1e300, -1, 5)]
    for row in rows * 400:
        add_row(row)
    lanes.sinks['state'].add(point(9))
    frames = lanes.flush(0)
    assert sum(frame.points for frame in frames) == counters['points_collected'] == 2401
    expected = [make_point(name, value, row[-1]) for row in rows * 400
                for name, value in zip(names, row[:-1], strict=True)]
    assert decoded(frames) == [point(9), *expected]
    assert lanes.flush(0) == []

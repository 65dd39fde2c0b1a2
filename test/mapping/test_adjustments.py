# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from plexus_bridge.mapping.adjustments import Adjustments
from plexus_bridge.mapping.adjustments import Wish
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.points import MAX_TAGS

VOLTAGE = FieldRule(parse_path('voltage'), 'battery.voltage', sampling=Sampling(rate_hz=2.0))
JOINT = FieldRule(parse_path('position[*]'), 'joint.{name}.position')
MEAN = FieldRule(parse_path('z'), 'yaw_rate', sampling=Sampling('window'))
RULE = MetricRule('/t', fields=(VOLTAGE, JOINT, MEAN))


@pytest.mark.parametrize(('name', 'metric', 'meant'), [
    ('battery.voltage', 'battery.voltage', True), ('battery', 'battery.voltage', True),
    ('battery.*', 'battery.voltage', True), ('*', 'battery.voltage', True),
    ('bat', 'battery.voltage', False), ('battery.current', 'battery.voltage', False),
    ('husky-01:battery.voltage', 'battery.voltage', True),
    ('joint.left.position', 'joint.{name}.position', True),
    ('joint.left.effort', 'joint.{name}.position', False),
    ('pose.roll', 'pose', True), ('yaw_rate.mean', 'yaw_rate', True)])
def test_a_name_means_what_people_would_expect(name, metric, meant):
    assert Wish((name,)).wants(metric) is meant


def test_without_wishes_a_rule_is_the_same():
    assert Adjustments().apply(RULE, '/t') is RULE
    assert Adjustments((Wish(('other',), 50),)).apply(RULE, '/t') is RULE


def test_a_stream_makes_what_it_names_faster_and_nothing_slower():
    rule = Adjustments((Wish(('battery.voltage',), 50),)).apply(RULE, '/t')
    assert [field.sampling.rate_hz for field in rule.fields] == [20, 10, 10]
    rule = Adjustments((Wish(interval_ms=1000),)).apply(RULE, '/t')
    assert rule == RULE
    rule = Adjustments((Wish(interval_ms=100), Wish(('battery',), 20))).apply(RULE, '/t')
    assert [field.sampling.rate_hz for field in rule.fields] == [50, 10, 10]
    assert rule.fields[2].sampling == MEAN.sampling


@pytest.mark.parametrize('interval_ms', [0, 1e-9, 1])
def test_no_stream_is_faster_than_a_map_may_be(interval_ms):
    rule = Adjustments((Wish(interval_ms=interval_ms),)).apply(RULE, '/t')
    assert rule.fields[0].sampling.rate_hz == 1000


def test_a_session_tags_what_it_records():
    rule = Adjustments((Wish(('joint',), session_id='s-1'),)).apply(RULE, '/t')
    assert [dict(field.tags) for field in rule.fields] == [{}, {'session_id': 's-1'}, {}]


def test_a_built_in_map_is_taken_as_a_whole():
    rule = MetricRule('/imu/data', tags={'a': 'b'})
    wished = Adjustments((Wish(('imu.data.x',), 20, 's'),)).apply(rule, '/imu/data')
    assert wished.sampling.rate_hz == 50
    assert list(wished.tags.items()) == [('session_id', 's'), ('a', 'b')]
    assert Adjustments((Wish(('gps',), 20),)).apply(rule, '/imu/data') is rule


WIND = Message('geometry_msgs/msg/Vector3', tuple((axis, PRIMITIVES['float64']) for axis in 'xyz'))


def test_of_a_built_in_map_only_what_is_named_once_its_type_is_known():
    rule = MetricRule('/wind')
    wished = Adjustments((Wish(('wind.y',), 20, 's'),)).apply(rule, '/wind', WIND)
    assert [(one.metric, one.sampling.rate_hz, dict(one.tags)) for one in wished.fields] == [
        ('wind.x', 10, {}), ('wind.y', 50, {'session_id': 's'}), ('wind.z', 10, {})]
    assert Adjustments((Wish(('wind.w',), 20),)).apply(rule, '/wind', WIND) is rule


def test_points_that_come_by_no_rule_are_marked_as_well():
    shared = {'site': 'lab'}
    full = {f'tag{number:02}': 'x' for number in range(MAX_TAGS)}
    points = [
        {'class': 'event', 'metric': 'door', 'value': 'open', 'tags': shared},
        {'class': 'metric', 'metric': 'own', 'value': 1},
        {'class': 'metric', 'metric': 'door.angle', 'value': 1, 'tags': {'session_id': 'other'}},
        {'class': 'metric', 'metric': 'door.speed', 'value': 1, 'tags': full}]
    Adjustments((Wish(interval_ms=50),)).mark(points)
    assert 'tags' not in points[1]
    Adjustments((Wish(('door',), session_id='s'),)).mark(points)
    assert points[0]['tags'] == {'session_id': 's', 'site': 'lab'}
    assert 'tags' not in points[1]
    assert points[2]['tags'] == {'session_id': 'other'}
    assert len(points[3]['tags']) == MAX_TAGS
    assert points[3]['tags']['session_id'] == 's'
    assert shared == {'site': 'lab'}
    Adjustments((Wish(session_id='s'),)).mark(points)
    assert points[1]['tags'] == {'session_id': 's'}


def test_a_rate_may_also_be_slower_and_a_prefix_another():
    adjustments = Adjustments(rates={'/t': 1.0, '/imu': 5.0}, prefixes={'/imu': 'front'})
    assert [field.sampling.rate_hz for field in adjustments.apply(RULE, '/t').fields] == [
        1, 1, 10]
    imu = adjustments.apply(MetricRule('/imu'), '/imu')
    assert (imu.sampling.rate_hz, imu.prefix) == (5.0, 'front')

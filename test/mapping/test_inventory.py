# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a robot tells of its rules: sensors with the names of their metrics."""

from __future__ import annotations

from typing import Any

import pytest

from plexus_bridge.mapping.inventory import MAX_METRICS
from plexus_bridge.mapping.inventory import sensor
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.points import MAX_NAME_BYTES

DOUBLE = PRIMITIVES['float64']
VECTOR = Message('geometry_msgs/msg/Vector3', (('x', DOUBLE), ('y', DOUBLE), ('z', DOUBLE)))
ARM = Message('test/msg/Arm', (
    ('name', Sequence(String())), ('position', Sequence(DOUBLE)), ('mode', String()),
    ('force', VECTOR)))


def rule(*fields: FieldRule, **others: Any) -> MetricRule:
    return MetricRule(topic='/arm/*side', fields=fields, **others)


def field(path: str, metric: str, **others: Any) -> FieldRule:
    if 'key' in others:
        others['key'] = parse_path(others['key'])
    return FieldRule(path=parse_path(path), metric=metric, **others)


def metrics(*fields: FieldRule, message: Message | None = ARM) -> list[str]:
    told: list[str] = sensor(
        rule(*fields), '/arm/left', message, {'side': 'left'}, available=True)['metrics']
    return told


@pytest.mark.parametrize(('one', 'names'), [
    (field('force', '{side}.force'), ['left.force.x', 'left.force.y', 'left.force.z']),
    (field('force', 'force', transforms=('norm',)), ['force']),
    (field('position[*]', 'joint.{name}.position', key='name'), ['joint.*.position']),
    (field('position[*]', 'joint'), ['joint.*']),
    (field('position', 'joints', transforms=('count',)), ['joints']),
    (field('force.z', 'lift', sampling=Sampling('window', stats=('mean', 'max'))),
     ['lift.mean', 'lift.max']),
    (field('mode', 'mode'), []),
    (field('nothing', 'broken'), []),
])
def test_metrics_have_the_names_that_they_are_sent_with(one, names):
    assert metrics(one) == names


def test_a_type_that_is_not_known_yet_leaves_the_names_of_the_map():
    fields = field('force', '{side}.force'), field('a[*]', 'joint.{name}', key='name')
    assert metrics(*fields, message=None) == ['left.force', 'joint.*']


def test_a_built_in_map_has_names_once_its_type_is_known():
    told = sensor(rule(prefix='wind'), '/wind', VECTOR, {}, available=False)
    assert told == {
        'name': '/wind', 'description': 'geometry_msgs/msg/Vector3',
        'metrics': ['wind.x', 'wind.y', 'wind.z'], 'sample_rate': 10.0, 'prefix': 'wind',
        'available': False}
    told = sensor(rule(type='a/msg/B'), '/wind', None, {}, available=True)
    assert (told['metrics'], told['description']) == ([], 'a/msg/B')


def test_the_rate_is_that_of_the_fastest_field_and_none_for_every_message():
    slow = field('force.x', 'x', sampling=Sampling(rate_hz=1.0))
    fast = field('force.y', 'y', sampling=Sampling(rate_hz=20.0))
    every = field('force.z', 'z', sampling=Sampling('every'))
    assert sensor(rule(slow, fast), '/arm', ARM, {}, available=True)['sample_rate'] == 20.0
    assert sensor(rule(slow, every), '/arm', ARM, {}, available=True)['sample_rate'] == 0.0


def test_a_list_without_end_is_cut():
    many = [field('force.x', f'{"x" * 300}{number}') for number in range(MAX_METRICS + 5)]
    told = metrics(*[field('force.x', f'x{number}') for number in range(MAX_METRICS + 5)])
    assert len(told) == MAX_METRICS
    assert all(len(name) <= MAX_NAME_BYTES for name in metrics(*many))

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Paths: their text, and where they lead."""

from __future__ import annotations

import pytest

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.mapping.paths import EVERY
from plexus_bridge.mapping.paths import Field
from plexus_bridge.mapping.paths import Index
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.paths import resolve
from plexus_bridge.mapping.paths import Select
from plexus_bridge.mapping.paths import Slice

DOUBLE = PRIMITIVES['float64']
VECTOR = Message('test/msg/Vector', (('x', DOUBLE), ('y', DOUBLE)))
ITEM = Message('test/msg/Item', (('name', String()), ('level', DOUBLE)))
ROBOT = Message('test/msg/Robot', (
    ('speed', VECTOR), ('covariance', Array(DOUBLE, 4)), ('items', Sequence(ITEM)),
    ('ranges', Sequence(DOUBLE))))


@pytest.mark.parametrize(('text', 'steps'), [
    ('a', (Field('a'),)),
    ('a.b.c', (Field('a'), Field('b'), Field('c'))),
    ('a[3]', (Field('a'), Index(3))),
    ('a[-1].b', (Field('a'), Index(-1), Field('b'))),
    ('a[1:4]', (Field('a'), Slice(1, 4))),
    ('a[:-2]', (Field('a'), Slice(None, -2))),
    ('a[*].b', (Field('a'), EVERY, Field('b'))),
    ('a[name=left motor].b', (Field('a'), Select('name', 'left motor'), Field('b'))),
    ('a[0][1]', (Field('a'), Index(0), Index(1))),
])
def test_paths_are_understood(text, steps):
    assert parse_path(text).steps == steps


@pytest.mark.parametrize(('text', 'position'), [
    ('.a', 1), ('a..b', 2), ('a.', 2), ('a[', 2), ('a[x]', 2), ('a b', 2), ('a.3', 2), ('a[1', 2),
    ('a[0]b', 5)])
def test_the_place_of_an_error_is_told(text, position):
    with pytest.raises(MappingError, match=f'from character {position} on'):
        parse_path(text)


@pytest.mark.parametrize('text', ['', '[0]'])
def test_a_path_begins_with_a_field(text):
    with pytest.raises(MappingError, match='expected the name of a field'):
        parse_path(text)


@pytest.mark.parametrize(('text', 'layout', 'many'), [
    ('speed.x', DOUBLE, False), ('speed', VECTOR, False), ('ranges', Sequence(DOUBLE), False),
    ('ranges[*]', DOUBLE, True), ('ranges[1:3]', DOUBLE, True), ('covariance[-4]', DOUBLE, False),
    ('items[name=a].level', DOUBLE, False), ('items[*].name', String(), True),
    ('items[level=1.0].name', String(), False)])
def test_paths_lead_somewhere(text, layout, many):
    target = resolve(parse_path(text), ROBOT)
    assert (target.layout, target.many) == (layout, many)


@pytest.mark.parametrize(('text', 'message'), [
    ('sped.x', "test/msg/Robot has no field 'sped'; did you mean 'speed'?"),
    ('speed.q', "test/msg/Vector has no field 'q'; it has x, y"),
    ('speed.x.y', "x is a float64, which has no field 'y'"),
    ('speed[0]', 'speed is a test/msg/Vector, which has no elements'),
    ('covariance[4]', r'saw element 4, but float64\[4\] has 4'),
    ('covariance[-5]', r'saw element -5, but float64\[4\] has 4'),
    ('ranges[name=a]', 'selects among messages, but the elements are float64'),
    ('items[nam=a].level', "did you mean 'name'?"),
])
def test_paths_that_lead_nowhere_are_explained(text, message):
    with pytest.raises(MappingError, match=message.replace('?', r'\?')):
        resolve(parse_path(text), ROBOT)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from plexus_bridge.commands.declarations import declare
from plexus_bridge.commands.fields import converted
from plexus_bridge.commands.fields import DURATION
from plexus_bridge.commands.fields import path_problem
from plexus_bridge.commands.fields import pick
from plexus_bridge.commands.fields import template_problem
from plexus_bridge.commands.fields import TIME
from plexus_bridge.errors import CommandError
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String

_STAMP = (('sec', PRIMITIVES['int32']), ('nanosec', PRIMITIVES['uint32']))
POINT = Message('p/msg/Point', (('x', PRIMITIVES['float64']), ('y', PRIMITIVES['float64'])))
LAYOUT = Message('p/srv/Go_Request', (
    ('name', String()), ('speed', PRIMITIVES['float32']), ('count', PRIMITIVES['uint8']),
    ('back', PRIMITIVES['int16']), ('on', PRIMITIVES['bool']), ('to', POINT),
    ('via', Sequence(POINT)), ('rgb', Array(PRIMITIVES['uint8'], 3)),
    ('stamp', Message(TIME, _STAMP)), ('limit', Message(DURATION, _STAMP))))


def test_values_are_converted_to_their_fields():
    assert converted({
        'name': 'a', 'speed': 1, 'count': 7.0, 'back': -3, 'on': True, 'to': {'x': 1},
        'via': [{'y': 2.5}], 'rgb': [1, 2, 3], 'stamp': 'now', 'limit': 1.5}, LAYOUT, 'r') == {
        'name': 'a', 'speed': 1.0, 'count': 7, 'back': -3, 'on': True, 'to': {'x': 1.0},
        'via': [{'y': 2.5}], 'rgb': [1, 2, 3], 'stamp': 'now',
        'limit': {'sec': 1, 'nanosec': 500_000_000}}


@pytest.mark.parametrize(('values', 'told'), [
    ({'nam': 'a'}, "r: p/srv/Go_Request has no field 'nam'; did you mean 'name'?"),
    ({'name': 7}, 'r.name: saw 7, expected a text'),
    ({'speed': 'fast'}, "r.speed: saw 'fast', expected a number (float32)"),
    ({'speed': 1e39}, 'expected a number that float32 can hold'),
    ({'speed': float('nan')}, 'r.speed: saw nan'), ({'speed': True}, 'r.speed: saw True'),
    ({'count': 256}, 'r.count: saw 256, expected uint8, 0 to 255'),
    ({'count': -1}, 'expected uint8'), ({'count': 1.5}, 'expected a whole number (uint8)'),
    ({'back': 40000}, 'expected int16, -32768 to 32767'), ({'on': 1}, 'expected true or false'),
    ({'to': 5}, 'r.to: saw 5, expected a mapping (p/msg/Point)'),
    ({'to': {'z': 1}}, 'it has x, y'), ({'via': {'x': 1}}, 'r.via: '),
    ({'via': [{'x': 'a'}]}, 'r.via[0].x'), ({'rgb': [1, 2]}, 'r.rgb: saw 2 elements, expected 3'),
    ({'rgb': 'abc'}, 'expected a list (uint8[3])'), ({'limit': 'now'}, 'or seconds'),
    ({'limit': 3e9}, 'fit 32 bits'), ({'stamp': True}, 'now or seconds')])
def test_values_that_do_not_fit_are_told(values, told):
    with pytest.raises(CommandError) as caught:
        converted(values, LAYOUT, 'r')
    assert told in str(caught.value)
    assert caught.value.code == 'bad_params'


DECLARED = declare('go', {
    'text': {'type': 'string'}, 'number': {'type': 'number'}, 'whole': {'type': 'integer'},
    'flag': {'type': 'boolean'}})


@pytest.mark.parametrize('values', [
    {'name': '{text}', 'speed': '{number}', 'count': '{whole}', 'on': '{flag}'},
    {'name': 'a {whole} b', 'speed': '{whole}', 'limit': '{number}', 'stamp': 'now'},
    {'to': {'x': '{number}'}, 'via': [{'x': 1, 'y': '{whole}'}], 'rgb': [1, 2, '{whole}']}])
def test_templates_that_fit_have_no_problem(values):
    assert template_problem(values, LAYOUT, DECLARED, 'request') == ''


@pytest.mark.parametrize(('values', 'told'), [
    ({'name': '{number}'}, 'request.name: is string, which the parameter'),
    ({'count': '{number}'}, 'request.count: is uint8'), ({'on': '{text}'}, 'request.on: is bool'),
    ({'to': '{number}'}, 'request.to'), ({'speed': 'at {number}'}, 'expected a number'),
    ({'too': 1}, "no field 'too'"), ({'to': {'z': '{number}'}}, "no field 'z'"),
    ({'rgb': ['{whole}']}, 'saw 1 elements'), ({'count': 300}, 'uint8, 0 to 255'),
    ({'via': '{text}'}, 'request.via')])
def test_templates_that_cannot_fit_are_told(values, told):
    assert told in template_problem(values, LAYOUT, DECLARED, 'request')


@pytest.mark.parametrize(('path', 'problem'), [
    ('to.x', ''), ('via[0].y', ''), ('rgb[-1]', ''), ('name', ''),
    ('to.z', "to.z: p/msg/Point has no field 'z'; it has x, y"),
    ('name.x', "name.x: string has no field 'x'; it has none"),
    ('to[0]', 'to[0]: p/msg/Point is no list')])
def test_paths_are_checked_against_the_type(path, problem):
    assert path_problem(path, LAYOUT) == problem


@pytest.mark.parametrize(('path', 'value'), [
    ('a.b', 1), ('c[1]', 3), ('c[-1].d', None), ('c[9]', None), ('x', None), ('a.b.c', None)])
def test_what_stands_at_a_path_is_picked(path, value):
    plain: dict[str, Any] = {'a': {'b': 1}, 'c': [2, 3]}
    assert pick(plain, path) == value

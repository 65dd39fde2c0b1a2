# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from plexus_bridge.commands.declarations import declare
from plexus_bridge.commands.declarations import take_params
from plexus_bridge.errors import CommandDeclarationError
from plexus_bridge.errors import CommandError

PARAMS: dict[str, dict[str, Any]] = {
    'zone': {'type': 'integer', 'minimum': 1, 'maximum': 4},
    'target_c': {'type': 'number', 'minimum': 20, 'maximum': 1250, 'unit': 'C',
                 'required': False},
    'mode': {'type': 'string', 'enum': ['ramp', 'hold'], 'default': 'ramp'},
    'note': {'type': 'string', 'maxLength': 5, 'required': False},
    'fast': {'type': 'boolean', 'required': False}}


def test_a_declaration_is_what_goes_over_the_wire():
    declaration = declare('set_zone', PARAMS, title='Set zone', danger='dangerous',
                          idempotent=True, expires_in_s=60)
    assert declaration.body == {
        'name': 'set_zone', 'title': 'Set zone', 'danger': 'dangerous', 'idempotent': True,
        'expires_in_s': 60.0, 'concurrency': 'reject', 'params': {
            'zone': {'type': 'integer', 'minimum': 1, 'maximum': 4, 'required': True},
            'target_c': {'type': 'number', 'minimum': 20, 'maximum': 1250, 'unit': 'C',
                         'required': False},
            'mode': {'type': 'string', 'enum': ['ramp', 'hold'], 'default': 'ramp',
                     'required': False},
            'note': {'type': 'string', 'maxLength': 5, 'required': False},
            'fast': {'type': 'boolean', 'required': False}}}


@pytest.mark.parametrize(('change', 'told'), [
    ({'name': 'Dock'}, 'name'), ({'name': 'a' * 65}, 'name'),
    ({'danger': 'deadly'}, 'danger'), ({'concurrency': 'queue'}, 'concurrency'),
    ({'expires_in_s': 4.9}, 'expires_in_s'), ({'expires_in_s': 3601}, 'expires_in_s'),
    ({'expires_in_s': True}, 'expires_in_s'), ({'expires_in_s': float('nan')}, 'expires_in_s'),
    ({'idempotent': 1}, 'idempotent'), ({'title': 7}, 'title'),
    ({'params': {f'p{i}': {'type': 'boolean'} for i in range(17)}}, 'saw 17'),
    ({'params': {'Zone': {'type': 'boolean'}}}, 'Zone'),
    ({'params': {'p': 'boolean'}}, 'params.p'),
    ({'params': {'p': {'type': 'array'}}}, 'params.p.type'),
    ({'params': {'p': {'type': 'boolean', 'minimum': 1}}}, 'minimum'),
    ({'params': {'p': {'type': 'string', 'unit': 'm'}}}, 'unit'),
    ({'params': {'p': {'type': 'integer', 'minimum': 2, 'maximum': 1}}}, 'above'),
    ({'params': {'p': {'type': 'integer', 'default': True}}}, 'default'),
    ({'params': {'p': {'type': 'integer', 'default': 9, 'maximum': 5}}}, 'default'),
    ({'params': {'p': {'type': 'string', 'default': 'a', 'required': True}}}, 'required'),
    ({'params': {'p': {'type': 'string', 'enum': []}}}, 'enum'),
    ({'params': {'p': {'type': 'string', 'maxLength': 0}}}, 'maxLength')])
def test_what_cannot_be_declared_is_told(change, told):
    with pytest.raises(CommandDeclarationError, match=told) as caught:
        declare(**{'name': 'dock', **change})
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(('given', 'taken'), [
    ({'zone': 3}, {'zone': 3, 'mode': 'ramp'}),
    ({'zone': 3.0, 'fast': 'TRUE'}, {'zone': 3, 'mode': 'ramp', 'fast': True}),
    ({'zone': ' 3 ', 'mode': 'hold', 'fast': 0}, {'zone': 3, 'mode': 'hold', 'fast': False}),
    ({'zone': '3', 'target_c': '80.5'}, {'zone': 3, 'target_c': 80.5, 'mode': 'ramp'}),
    ({'zone': 1, 'target_c': 80, 'note': None}, {'zone': 1, 'target_c': 80.0, 'mode': 'ramp'})])
def test_parameters_are_converted_and_completed(given, taken):
    converted = take_params(declare('set_zone', PARAMS), given)
    assert converted == taken
    assert [type(value) for value in converted.values()] == [
        type(taken[key]) for key in converted]


def test_large_integers_keep_every_digit():
    declaration = declare('seek', {'at': {'type': 'integer'}})
    assert take_params(declaration, {'at': 2**60 + 1}) == {'at': 2**60 + 1}
    assert take_params(declaration, {'at': str(2**60 + 1)}) == {'at': 2**60 + 1}


@pytest.mark.parametrize('given', [
    None, {}, {'zone': None}, {'zone': 5}, {'zone': 0}, {'zone': True}, {'zone': 2.5},
    {'zone': 'two'}, {'zone': []}, {'zone': float('nan')}, {'zone': float('inf')}, [1], 'zone', 7,
    {'zone': 1, 'other': 1}, {'zone': 1, 'target_c': 'nan'}, {'zone': 1, 'target_c': 1e400},
    {'zone': 1, 'target_c': True}, {'zone': 1, 'mode': 'HOLD'}, {'zone': 1, 'mode': 1},
    {'zone': 1, 'note': 'longer'}, {'zone': 1, 'fast': 'yes'}, {'zone': 1, 'fast': 2},
    {'zone': 10**400}])
def test_parameters_that_do_not_fit_are_refused(given):
    with pytest.raises(CommandError) as caught:
        take_params(declare('set_zone', PARAMS), given)
    assert caught.value.code == 'bad_params'

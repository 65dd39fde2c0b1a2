# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Which declarations of commands, and which parameters, a gateway takes (protocol section 8)."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge import encoding
from plexus_bridge.errors import CommandError
from plexus_bridge.errors import RemoteProtocolError
from plexus_bridge.protocol.declarations import read_declaration

SET_ZONE: dict[str, Any] = {
    'name': 'set_zone', 'title': 'Set zone', 'params': {
        'zone': {'type': 'integer', 'minimum': 1, 'maximum': 4, 'required': True},
        'target_c': {'type': 'number', 'minimum': 20, 'maximum': 1250, 'unit': 'C',
                     'required': True},
        'mode': {'type': 'string', 'enum': ['ramp', 'hold'], 'default': 'ramp',
                 'required': False},
        'label': {'type': 'string', 'maxLength': 4, 'required': False},
        'soft': {'type': 'boolean', 'default': False, 'required': False}},
    'danger': 'dangerous', 'idempotent': True, 'expires_in_s': 60.0, 'concurrency': 'reject'}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner,
                                                                 max_size=3), max_leaves=8)


def test_a_declaration_is_kept_as_it_came():
    declaration = read_declaration(SET_ZONE)
    assert declaration.body == SET_ZONE
    assert (declaration.danger, declaration.idempotent, declaration.expires_in_s) == (
        'dangerous', True, 60.0)


@pytest.mark.parametrize(('said', 'taken'), [
    (1, 5.0), (5, 5.0), (3600, 3600.0), (1e9, 3600.0), (None, 30.0), (True, 30.0), ('9', 30.0),
    (float('nan'), 30.0)])
def test_an_expiry_out_of_bounds_is_moved_into_them(said: object, taken: float):
    assert read_declaration({**SET_ZONE, 'expires_in_s': said}).expires_in_s == taken


@pytest.mark.parametrize(('change', 'text'), [
    ({'name': 'Set'}, 'name'), ({'name': 'a' * 65}, 'name'), ({'name': None}, 'name'),
    ({'params': []}, 'params'), ({'params': None}, 'params'),
    ({'params': {f'p{index}': {'type': 'string'} for index in range(17)}}, 'at most 16'),
    ({'params': {'P': {'type': 'string'}}}, "'P'"), ({'params': {'p': 7}}, 'params.p'),
    ({'params': {'p': {'type': 'object'}}}, 'params.p.type'),
    ({'params': {'p': {'type': ['string']}}}, 'params.p.type'),
    ({'params': {'p': {'type': 'string', 'minimum': 1}}}, 'minimum'),
    ({'params': {'p': {'type': 'boolean', 'unit': 'C'}}}, 'unit'),
    ({'params': {'p': {'type': 'number', 'minimum': 2, 'maximum': 1}}}, 'above'),
    ({'params': {'p': {'type': 'number', 'minimum': 'a'}}}, 'minimum'),
    ({'params': {'p': {'type': 'number', 'required': 1}}}, 'required'),
    ({'params': {'p': {'type': 'number', 'required': True, 'default': 1}}}, 'default'),
    ({'params': {'p': {'type': 'number', 'default': True}}}, 'default'),
    ({'params': {'p': {'type': 'integer', 'default': 1.5}}}, 'default'),
    ({'params': {'p': {'type': 'integer', 'default': 9, 'maximum': 4}}}, 'default'),
    ({'params': {'p': {'type': 'string', 'default': 'c', 'enum': ['a']}}}, 'default'),
    ({'params': {'p': {'type': 'string', 'maxLength': 0}}}, 'maxLength'),
    ({'params': {'p': {'type': 'string', 'enum': []}}}, 'enum'),
    ({'params': {'p': {'type': 'string', 'enum': ['a'] * 65}}}, 'enum'),
    ({'params': {'p': {'type': 'string', 'title': 7}}}, 'title'),
    ({'danger': 'deadly'}, 'danger'), ({'danger': None}, 'danger'),
    ({'idempotent': 1}, 'idempotent'), ({'concurrency': 'queue'}, 'concurrency'),
    ({'title': 7}, 'title'),
])
def test_what_breaks_the_contract_is_named(change: dict[str, Any], text: str):
    with pytest.raises(RemoteProtocolError, match=text.replace('.', r'\.')):
        read_declaration({**SET_ZONE, **change})


@pytest.mark.parametrize('params', [
    {'zone': 2, 'target_c': 900}, {'zone': 2.0, 'target_c': '20.5'},
    {'zone': ' 4 ', 'target_c': 1250, 'mode': 'hold', 'label': 'abcd', 'soft': 'TRUE'},
    {'zone': 1, 'target_c': 20, 'mode': None, 'soft': 0}])
def test_parameters_that_a_device_takes(params: dict[str, Any]):
    read_declaration(SET_ZONE).check(params)


@pytest.mark.parametrize(('change', 'text'), [
    ({'zone': None}, 'zone: is missing'), ({'zone': 5}, '1 to 4'), ({'zone': 0}, '1 to 4'),
    ({'zone': 1.5}, 'finite integer'), ({'zone': True}, 'finite integer'),
    ({'zone': 'two'}, 'finite integer'), ({'zone': [1]}, 'finite integer'),
    ({'zone': 10**400}, 'finite integer'), ({'target_c': 'nan'}, 'finite number'),
    ({'target_c': float('inf')}, 'finite number'), ({'mode': 'melt'}, 'one of'),
    ({'label': 'abcde'}, '5 characters'), ({'label': 7}, 'a string'), ({'soft': 2}, 'true'),
    ({'soft': 'yes'}, 'true'), ({'speed': 1}, 'expected one of: label, mode')])
def test_parameters_that_no_device_takes(change: dict[str, Any], text: str):
    with pytest.raises(CommandError, match=text) as error:
        read_declaration(SET_ZONE).check({'zone': 2, 'target_c': 900, **change})
    assert error.value.code == 'bad_params'


@pytest.mark.parametrize('params', [[], 'zone', 7])
def test_parameters_must_be_an_object(params: object):
    with pytest.raises(CommandError, match='expected an object'):
        read_declaration({**SET_ZONE, 'params': {}}).check(params)
    read_declaration({**SET_ZONE, 'params': {}}).check(None)


@given(JSON, JSON)
def test_whatever_comes_is_taken_or_refused_with_our_own_errors(raw: Any, params: Any):
    for entry in (raw, {**SET_ZONE, 'params': raw}, {**SET_ZONE, 'params': {'p': raw}},
                  {**SET_ZONE, 'params': {'p': {'type': 'number', 'default': raw}}}):
        with contextlib.suppress(RemoteProtocolError, CommandError):
            declaration = read_declaration(entry)
            declaration.check(params)
            assert encoding.loads(encoding.dumps(declaration.body))['name'] == 'set_zone'

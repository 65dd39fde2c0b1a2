# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Events fit their limits whatever is put into them, and say where something was cut."""

from __future__ import annotations

import math
import time

from hypothesis import given
from hypothesis import strategies as st

from plexus_bridge.mapping.event_points import make_event
from plexus_bridge.points import read_point

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2**63, 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=400),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(
        st.text(max_size=40), inner, max_size=30), max_leaves=60)


@given(name=st.text(min_size=1, max_size=400),
       value=st.text(max_size=600) | st.booleans() | st.floats()
       | st.dictionaries(st.text(max_size=40), JSON, max_size=40) | st.lists(JSON, max_size=40),
       tags=st.dictionaries(st.text(min_size=1, max_size=300), st.text(max_size=300), max_size=20),
       severity=st.sampled_from(['', 'warn']))
def test_every_gateway_takes_the_event(name, value, tags, severity):
    point = make_event(name, value, 1_790_000_000_000, tags, severity)
    read_point(point, 0)
    if severity:
        assert point['tags']['severity'] == severity


def test_a_long_text_is_cut_and_says_so():
    point = make_event('log', 'ä' * 200, 0)
    assert point['value'] == 'ä' * 126 + '…'


def test_an_object_that_is_too_large_loses_its_last_members_and_says_how_many():
    value = make_event('diag', {f'key {index}': 'x' * 300 for index in range(20)}, 0)['value']
    assert value['…'] == 20 - (len(value) - 1)
    assert value['key 0'].startswith('xxx')


def test_what_is_no_number_becomes_its_name():
    assert make_event('e', math.nan, 0)['value'] == 'nan'
    assert make_event('e', {'value': math.inf, 'all': [1.5, {'x': -math.inf}]}, 0)['value'] == {
        'value': 'inf', 'all': [1.5, {'x': '-inf'}]}


def test_severity_and_source_are_the_last_tags_to_be_left_out_and_one_says_how_many_are():
    tags = make_event('e', 1, 0, {str(index): 'x' for index in range(20)}, 'error',
                      {'node': 'nav'})['tags']
    assert len(tags) == 16
    assert list(tags)[:2] == ['severity', 'node']
    assert tags['…'] == '7'


def test_an_object_within_loses_members_before_it_is_left_out_itself():
    value = make_event('diag', {
        'level': 'ERROR', 'values': {f'key {index}': 'x' * 20 for index in range(400)},
        'end': True}, 0)['value']
    assert list(value)[:2] == ['level', 'values']
    assert value['values']['…'] == 400 - (len(value['values']) - 1)
    assert len(value['values']) > 80


def test_an_object_with_very_many_members_is_cut_in_little_time():
    began = time.process_time()
    value = make_event('e', {str(index): index for index in range(100_000)}, 0)['value']
    assert len(value) > 200
    assert time.process_time() - began < 2.0

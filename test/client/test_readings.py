# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import enum
import json
import math

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from plexus_bridge import encoding
from plexus_bridge.client.readings import make_point
from plexus_bridge.client.readings import wire_stamp
from plexus_bridge.errors import PlexusError
from plexus_bridge.errors import PointError
from plexus_bridge.points import read_point

NOW = 1_790_000_000_123


class Mode(enum.IntEnum):
    AUTO = 2


@pytest.mark.parametrize(('value', 'point_class', 'sent'), [
    (72.5, 'metric', 72.5), (3, 'metric', 3), (Mode.AUTO, 'metric', 2),
    (2**80, 'metric', float(2**80)), (np.float32(0.5), 'metric', 0.5),
    (np.int16(-3), 'metric', -3), (np.array(1.5), 'metric', 1.5),
    ('RUNNING', 'event', 'RUNNING'), (True, 'event', True), (np.bool_(True), 'event', True),
    ({'x': 1, 'y': [2.5]}, 'event', {'x': 1, 'y': [2.5]}), ({7: None}, 'event', {'7': None}),
    ([1, 2], 'event', [1, 2]), ((1, 2), 'event', [1, 2]),
    (np.arange(3), 'event', [0, 1, 2]), ({'a': np.float32(2)}, 'event', {'a': 2.0}),
])
def test_numbers_are_metrics_and_all_else_events(value, point_class, sent):
    point = make_point('m', value, NOW)
    assert (point['class'], point['value']) == (point_class, sent)
    assert type(point['value']) is type(sent)
    assert encoding.loads(encoding.dumps(point)) == point


def test_the_class_can_be_told():
    assert make_point('m', 3, NOW, data_class='event')['class'] == 'event'
    assert make_point('m', 3.5, NOW, data_class='event')['value'] == 3.5
    assert make_point('m', {'fix': 'lost'}, NOW, data_class='event')['value'] == {'fix': 'lost'}


@pytest.mark.parametrize(('metric', 'value', 'tags', 'data_class', 'words'), [
    ('m', math.nan, None, None, 'finite'), ('m', -math.inf, None, None, 'finite'),
    ('m', math.nan, None, 'event', 'finite'), ('m', 'RUNNING', None, 'metric', 'number'),
    ('m', True, None, 'metric', 'number'), ('m', None, None, None, 'null'),
    ('m', {'v': math.nan}, None, None, 'JSON'), ('m', {'v': object()}, None, None, 'object'),
    ('m', {'v': 'x' * 5000}, None, None, '4096'), ('m', 1, None, 'log', 'data_class'),
    ('', 1, None, None, 'non-empty'), ('x' * 257, 1, None, None, '256'), (3, 1, None, None, 'non'),
    ('m', 1, {str(index): 'x' for index in range(17)}, None, '16'),
    ('m', 1, {'a': object()}, None, 'text'), ('m', 1, ['a'], None, 'dict'),
    ('m', 1, {3: 'a'}, None, 'string'), ('m', b'x', None, None, 'bytes'),
])
def test_what_can_never_be_stored_is_refused_where_it_is_sent(
        metric, value, tags, data_class, words):
    with pytest.raises(PointError, match=words) as caught:
        make_point(metric, value, NOW, tags, data_class)
    assert isinstance(caught.value, PlexusError)


def test_long_texts_are_cut_and_tags_become_texts():
    point = make_point('log', 'ä' * 200, NOW, {'motor': 3, 'armed': True, 'note': 'x' * 300})
    assert point['value'].endswith('…')
    assert len(point['value'].encode()) <= 256
    assert point['tags']['motor'] == '3'
    assert point['tags']['armed'] == 'true'
    assert len(point['tags']['note'].encode()) == 256


def test_what_is_changed_later_was_sent_as_it_was():
    value = {'state': 'IDLE'}
    tags = {'a': 'b'}
    point = make_point('m', value, NOW, tags)
    value['state'] = tags['a'] = 'changed'
    assert point['value'] == {'state': 'IDLE'}
    assert point['tags'] == {'a': 'b'}


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)),
    st.dictionaries(st.text(max_size=300), st.text(max_size=300) | st.integers(), max_size=3))
def test_whatever_is_taken_a_gateway_takes_too(value, tags):
    try:
        point = make_point('m', value, NOW, tags)
    except PointError:
        return
    assert read_point(json.loads(encoding.dumps(point)), NOW).metric == 'm'


@pytest.mark.parametrize(('given_stamp', 'sent'), [
    (None, NOW), (0, NOW), (-5.0, NOW), (1790000000, 1790000000000),
    (1790000000.0004, 1790000000000), (1790000000.1239, 1790000000124),
    (1790000000123, 1790000000123), (1790000000123.9, 1790000000123),
    (np.float64(1790000000.5), 1790000000500),
    # Every receiver scales what is below 1e12: these must reach it in seconds.
    (86400.0, 86400.0), (31_536_000, 31_536_000),
])
def test_stamps_travel_as_milliseconds_that_are_read_as_meant(given_stamp, sent):
    stamp = wire_stamp(given_stamp, NOW)
    assert stamp == sent
    received = read_point({'metric': 'm', 'value': 1, 'timestamp': stamp}, NOW).timestamp_ms
    if given_stamp is not None and 0 < given_stamp < 1e11:
        assert abs(received - given_stamp * 1000) <= 1


@pytest.mark.parametrize('stamp', ['2026-01-01', True, math.nan, math.inf, 1e300, [1]])
def test_stamps_that_are_none_are_refused(stamp):
    with pytest.raises(PointError, match='timestamp'):
        wire_stamp(stamp, NOW)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies
import pytest

from plexus_bridge import encoding
from plexus_bridge import points
from plexus_bridge.errors import PointError
from plexus_bridge.points import check_event_value
from plexus_bridge.points import check_metric_value
from plexus_bridge.points import check_name
from plexus_bridge.points import check_source_id
from plexus_bridge.points import check_tags
from plexus_bridge.points import infer_class
from plexus_bridge.points import milliseconds
from plexus_bridge.points import read_point
from plexus_bridge.points import read_points
from plexus_bridge.points import ReceivedPoint
from plexus_bridge.points import trim

NOW_MS = 1_790_000_000_000
LARGEST = int(1.7976931348623157e308)
A_UUID = '123e4567-e89b-12d3-a456-426614174000'


def point(**changes: Any) -> dict[str, Any]:
    return {'class': 'metric', 'metric': 'a.b', 'value': 1.5, 'timestamp': NOW_MS, **changes}


# -- names, tags, source ids


@pytest.mark.parametrize('name', [
    'a', ' ', 'a.b c/d', 'x' * 256, 'é' * 128, '€' * 85, '🙂' * 64, '\0'])
def test_a_name_is_any_text_of_1_to_256_bytes(name):
    check_name(name)
    assert read_point(point(metric=name), NOW_MS).metric == name


@pytest.mark.parametrize(('name', 'told'), [
    ('', 'non-empty string'), (None, 'non-empty string'), (7, 'non-empty string'),
    ('x' * 257, 'metric must be at most 256 bytes, saw 257'),
    ('é' * 129, 'at most 256 bytes, saw 258'), ('🙂' * 65, 'at most 256 bytes, saw 260'),
    ('temp\ud800', 'metric must be Unicode text, saw half a surrogate pair at character 4'),
    ('\udfff' + 'x' * 400, 'surrogate pair at character 0'),
])
def test_what_is_no_name_is_told(name, told):
    with pytest.raises(PointError, match=told) as caught:
        check_name(name)
    str(caught.value).encode()  # the message can be sent
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize('tags', [
    {}, {'': ''}, {'site': 'lab', 'ünit': '🙂'}, {f't{index}': 'x' * 256 for index in range(16)},
    {'k' * 256: 'v'}])
def test_tags_are_at_most_16_texts_by_name(tags):
    check_tags(tags)
    assert read_point(point(tags=tags), NOW_MS).tags == (tags or None)


@pytest.mark.parametrize(('tags', 'told'), [
    ([], 'must be an object, saw list'), ('', 'must be an object, saw str'),
    (0, 'must be an object, saw int'), (['a'], 'must be an object, saw list'),
    ({f't{index}': '' for index in range(17)}, 'at most 16, saw 17'),
    ({'a': 1}, r"tags\['a'\] must be a string, saw int"),
    ({'a': None}, r"tags\['a'\] must be a string, saw NoneType"),
    ({'k' * 257: 'v'}, 'a key must be at most 256 bytes'),
    ({'a': 'é' * 129}, r"tags\['a'\] must be at most 256 bytes, saw 258"),
    ({'a': '\ud83d'}, r"tags\['a'\] must be Unicode text"),
    ({'\udc00': 'a'}, 'a key must be Unicode text'),
])
def test_what_are_no_tags_is_told(tags, told):
    with pytest.raises(PointError, match=told) as caught:
        read_point(point(tags=tags), NOW_MS)
    str(caught.value).encode()


@pytest.mark.parametrize('source_id', ['a', '0', 'husky-01', 'site_1.robot-2', 'x' * 256])
def test_a_source_id_is_a_slug(source_id):
    assert check_source_id(source_id, refuse_uuid=True) == source_id


@pytest.mark.parametrize(('source_id', 'told'), [
    ('', 'non-empty'), (None, 'non-empty'), (7, 'non-empty'), ('x' * 257, 'at most 256 bytes'),
    ('Husky', 'lower-case'), ('-a', 'beginning with'), ('.a', 'beginning with'),
    ('a b', 'lower-case'), ('a/b', 'lower-case'), ('a\n', 'lower-case'), ('é', 'lower-case'),
    ('\ud800', 'lower-case')])
def test_what_is_no_source_id_is_told(source_id, told):
    with pytest.raises(PointError, match=f'source_id: saw .*{told}'):
        check_source_id(source_id)


def test_a_uuid_is_refused_only_where_it_is_chosen():
    assert check_source_id(A_UUID) == A_UUID
    with pytest.raises(PointError, match=r'shape of a UUID.*husky-01'):
        check_source_id(A_UUID, refuse_uuid=True)


# -- values


@pytest.mark.parametrize(('value', 'expected'), [
    (1, 'metric'), (-0.5, 'metric'), (True, 'event'), ('1', 'event'), (None, 'event'),
    ({}, 'event'), ([1], 'event')])
def test_numbers_are_metrics_and_all_else_events(value, expected):
    assert infer_class(value) == expected


@pytest.mark.parametrize('value', [
    0, -1, 1.5, -0.0, 2**63, 2**64, 1.7976931348623157e308, LARGEST, -LARGEST, 2**1023])
def test_a_metric_is_every_number_that_a_float_can_hold(value):
    check_metric_value(value)
    assert math.isfinite(float(value))


@pytest.mark.parametrize(('value', 'told'), [
    (math.nan, 'must be finite, saw nan'), (math.inf, 'saw inf'), (-math.inf, 'saw -inf'),
    (2**1024, 'must be finite as a float .* saw an integer of 1025 bits'),
    (-(10**400), 'an integer of 1329 bits'), pytest.param(10**10_000, 'of 33220 bits', id='huge'),
    (True, 'must be a number, saw bool'), ('1', 'saw str'), (None, 'saw NoneType'),
    ([1], 'saw list')])
def test_what_is_no_metric_is_told(value, told):
    with pytest.raises(PointError, match=told):
        check_metric_value(value)
    with pytest.raises(PointError, match=told):
        read_point(point(value=value), NOW_MS)


@pytest.mark.parametrize('value', [
    '', 'x' * 256, 'é' * 128, True, False, 0, 1.5, -(2**63), 2**64 - 1, {}, [], {'a': [None, 1]},
    {'text': 'x' * 4085}, [[[[1]]]]])
def test_an_event_is_a_short_text_a_number_or_json(value):
    check_event_value(value)
    encoding.dumps(value)
    encoding.standard_dumps(value)


DEEP: list[Any] = []
for _ in range(2000):
    DEEP = [DEEP]


@pytest.mark.parametrize(('value', 'told'), [
    (None, 'must not be null'), ('x' * 257, 'at most 256 bytes, saw 257'),
    ('é' * 129, 'at most 256 bytes'), ('half \ud83d', 'must be Unicode text'),
    ({'text': 'x' * 4086}, 'at most 4096 bytes of JSON, saw 4097'),
    (math.nan, 'must be finite'), (-math.inf, 'must be finite'),
    (2**64, 'fit into 64 bits .* an integer of 65 bits'), (-(2**63) - 1, 'fit into 64 bits'),
    ([math.nan], 'cannot be written as JSON'), ({'a': {'b': math.inf}}, 'written as JSON'),
    ({'a': '\ud800'}, 'written as JSON'), ({'\ud800': 1}, 'written as JSON'),
    ({'a': {1}}, 'written as JSON'), pytest.param(DEEP, 'written as JSON', id='deep'),
    (b'bytes', 'cannot be a bytes'), ((1, 2), 'cannot be a tuple'), ({1}, 'cannot be a set')])
def test_what_is_no_event_is_told(value, told):
    with pytest.raises(PointError, match=told) as caught:
        check_event_value(value)
    str(caught.value).encode()


json_values = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats()
    | strategies.text(strategies.characters(), max_size=80),
    lambda inner: strategies.lists(inner, max_size=4)
    | strategies.dictionaries(strategies.text(strategies.characters(), max_size=80), inner,
                              max_size=4), max_leaves=8)


@given(raw=strategies.fixed_dictionaries({}, optional={
    'class': strategies.sampled_from(['metric', 'event', 'odd', None]) | json_values,
    'metric': json_values | strategies.text(), 'value': json_values, 'timestamp': json_values,
    'tags': strategies.dictionaries(strategies.text(), strategies.text()) | json_values}))
def test_what_is_accepted_can_be_written_and_stored(raw):
    try:
        found = read_point(raw, NOW_MS)
    except PointError as error:
        str(error).encode()
        return
    found.metric.encode()
    if found.point_class == 'metric':
        assert math.isfinite(float(found.value))
    else:
        encoding.dumps(found.value)
    assert 0 < found.timestamp_ms <= points.LAST_MILLISECOND_STAMP
    encoding.dumps(found.tags)


# -- stamps


@pytest.mark.parametrize(('stamp', 'expected'), [
    (None, NOW_MS), (0, NOW_MS), (-1, NOW_MS), (-0.0, NOW_MS), (1.5, 1500),
    (1_790_000_000, NOW_MS), (1_790_000_000.1234, NOW_MS + 123),
    (999_999_999_999, 999_999_999_999_000), (1_000_000_000_000, 1_000_000_000_000),
    (NOW_MS, NOW_MS), (NOW_MS + 0.9, NOW_MS), (8.64e15, 8_640_000_000_000_000)])
def test_stamps_are_seconds_or_milliseconds(stamp, expected):
    found = milliseconds(stamp, NOW_MS)
    assert (found, type(found)) == (expected, int)
    assert read_point(point(timestamp=stamp), NOW_MS).timestamp_ms == expected


@pytest.mark.parametrize(('stamp', 'told'), [
    ('now', 'must be a number'), (True, 'must be a number'), ([], 'must be a number'),
    (math.nan, 'must lie within'), (math.inf, 'must lie within'),
    (8_640_000_000_000_001, 'must lie within .* saw 8640000000000001'),
    pytest.param(-(10**10_000), 'must lie within .* of 33220 bits', id='huge')])
def test_what_is_no_stamp_is_told(stamp, told):
    with pytest.raises(PointError, match=f'timestamp {told}'):
        read_point(point(timestamp=stamp), NOW_MS)


# -- whole points


def test_a_point_without_class_gets_it_from_its_value():
    assert read_point({'metric': 'a', 'value': 1}, NOW_MS) == ReceivedPoint(
        'metric', 'a', 1, NOW_MS, None)
    assert read_point({'metric': 'a', 'value': 'on', 'class': None}, NOW_MS) == ReceivedPoint(
        'event', 'a', 'on', NOW_MS, None)
    assert read_point(point(**{'class': 'event', 'value': 3}), NOW_MS).point_class == 'event'


@pytest.mark.parametrize(('raw', 'told'), [
    ([], 'must be an object, saw list'), ('a', 'must be an object'), ({}, 'metric must be'),
    ({'metric': 'a'}, 'value must not be null'),
    (point(**{'class': 'video'}), 'must be "metric" or "event", saw \'video\''),
    (point(**{'class': ['metric']}), 'must be "metric" or "event", saw list'),
    (point(**{'class': 'x' * 9999}), "saw 'x{64}'$"),
    (point(**{'class': 'metric', 'value': 'text'}), 'must be a number, saw str')])
def test_what_is_no_point_is_told(raw, told):
    with pytest.raises(PointError, match=told):
        read_point(raw, NOW_MS)


def test_the_first_bad_point_of_a_message_is_named():
    assert read_points([], NOW_MS) == []
    assert [each.value for each in read_points([point(value=1), point(value=2)], NOW_MS)] == [1, 2]
    with pytest.raises(PointError, match=r'^points\[1\]\.value of a metric must be finite'):
        read_points([point(), point(value=10**400), point(value=None)], NOW_MS)


@pytest.mark.parametrize(('raw', 'told'), [
    (None, "'points' array is required"), ({}, "'points' array is required"),
    ([point()] * 10_001, 'saw 10001, expected at most 10000')], ids=['none', 'object', 'many'])
def test_what_are_no_points_is_told(raw, told):
    with pytest.raises(PointError, match=told):
        read_points(raw, NOW_MS)


def test_as_many_points_as_the_contract_allows():
    assert len(read_points([point()] * 10_000, NOW_MS)) == 10_000


# -- trim


@pytest.mark.parametrize(('text', 'expected'), [
    ('', ''), ('abc', 'abc'), ('abcdefgh', 'abcdefgh'), ('abcdefghi', 'abcde…'),
    ('éééé', 'éééé'), ('ééééé', 'éé…'), ('🙂🙂', '🙂🙂'), ('🙂🙂🙂', '🙂…'),
    ('a\ud800', 'a?'), ('\ud800' * 9, '?????…')])
def test_a_text_is_cut_between_characters(text, expected):
    assert trim(text, 8) == expected


@given(text=strategies.text(strategies.characters()), limit=strategies.integers(3, 300))
def test_a_trimmed_text_always_fits(text, limit):
    found = trim(text, limit).encode()
    assert len(found) <= limit
    if len(text.encode(errors='replace')) <= limit:
        assert found == text.encode(errors='replace')
    else:
        assert len(found) > limit - 6
        assert found.endswith('…'.encode())

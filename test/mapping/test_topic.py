# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""One topic's mapping, on messages written by hand as CDR."""

from __future__ import annotations

import math
import re
import struct
import time

import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.reader import compile_reader
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.sinks import PointSink
from plexus_bridge.mapping.topic import TopicMapper

DOUBLE = PRIMITIVES['float64']
TIME = Message('builtin_interfaces/msg/Time', (
    ('sec', PRIMITIVES['int32']), ('nanosec', PRIMITIVES['uint32'])))
HEADER = Message('std_msgs/msg/Header', (('stamp', TIME), ('frame_id', String())))
VECTOR = Message('test/msg/Vector', (('x', DOUBLE), ('y', DOUBLE)))
STAMPED = Message('test/msg/Stamped', (
    ('header', HEADER), ('value', VECTOR), ('ok', PRIMITIVES['bool']),
    ('count', PRIMITIVES['uint8'])))
JOINTS = Message('test/msg/Joints', (('name', Sequence(String())), ('position', Sequence(DOUBLE))))
NOW_MS = 1_790_000_000_000


def stamped(seconds: float = NOW_MS / 1000, x: float = 1.0, y: float = 2.0, frame: bytes = b'abc',
            ok: bool = True, order: str = '<') -> bytes:
    """Return a Stamped message as CDR."""
    head = struct.pack(f'{order}iI', int(seconds), round(seconds % 1 * 1e9))
    head += struct.pack(f'{order}I', len(frame) + 1) + frame + b'\0'
    head += bytes(-len(head) % 8)
    return ((b'\0\1\0\0' if order == '<' else b'\0\0\0\0') + head
            + struct.pack(f'{order}dd?B', x, y, ok, 7))


def joints(**positions: float) -> bytes:
    """Return a Joints message as CDR."""
    body = struct.pack('<I', len(positions))
    for name in positions:
        body += bytes(-len(body) % 4) + struct.pack('<I', len(name) + 1) + name.encode() + b'\0'
    body += bytes(-len(body) % 4) + struct.pack('<I', len(positions))
    if positions:
        body += bytes(-len(body) % 8) + struct.pack(f'<{len(positions)}d', *positions.values())
    return b'\0\1\0\0' + body


class Mapped:
    """A mapper and what it has made."""

    def __init__(self, message: Message, *fields: FieldRule, **rule):
        self.state: list[dict] = []
        self.bulk: list[dict] = []
        self.counters = Counters()
        self.now_ms = 0
        self.mapper = TopicMapper(
            MetricRule(topic='/a/b', fields=fields, **rule), message, '/a/b', {},
            {'state': PointSink(self.state.append), 'bulk': PointSink(self.bulk.append)},
            self.counters)

    def map(self, data: bytes) -> list[dict]:
        """Map a message a second after the last one."""
        self.now_ms += 1000
        self.mapper.take(data, NOW_MS)
        self.mapper.settle(self.now_ms)
        return self.state


def field(path: str, metric: str = 'm', key: str | None = None, **rest) -> FieldRule:
    return FieldRule(parse_path(path), metric, parse_path(key) if key else None, **rest)


def test_a_value_becomes_a_point_with_the_headers_stamp():
    assert Mapped(STAMPED, field('value.x', 'speed')).map(stamped(1_790_000_123.25, x=0.5)) == [
        {'class': 'metric', 'metric': 'speed', 'value': 0.5, 'timestamp': 1_790_000_123_250}]


def test_scale_offset_tags_and_lane_are_applied():
    mapped = Mapped(STAMPED, field('value.x', scale=10, offset=1, tags={'unit': 'V'}, lane='bulk'))
    assert mapped.map(stamped(x=0.5)) == []
    assert [(point['value'], point['tags']) for point in mapped.bulk] == [(6.0, {'unit': 'V'})]


def test_a_whole_message_of_numbers_becomes_a_metric_for_each():
    points = Mapped(STAMPED, field('value', 'speed')).map(stamped(x=3, y=4))
    assert [(point['metric'], point['value']) for point in points] == [
        ('speed.x', 3), ('speed.y', 4)]


def test_booleans_become_numbers_and_integers_stay_whole():
    points = Mapped(STAMPED, field('ok', 'ok'), field('count', 'count')).map(stamped())
    assert [repr(point['value']) for point in points] == ['1', '7']


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('frame', [b'', b'a', b'imu', b'base_link_of_the_robot'])
def test_texts_of_any_length_and_both_byte_orders_move_nothing(order, frame):
    points = Mapped(STAMPED, field('value.y')).map(stamped(y=-2.5, frame=frame, order=order))
    assert [point['value'] for point in points] == [-2.5]


@pytest.mark.parametrize('seconds', [0, 12.5, 999_999_999, 1_790_090_000])
def test_an_implausible_stamp_gives_way_to_the_time_of_receipt(seconds):
    mapped = Mapped(STAMPED, field('value.x'))
    assert mapped.map(stamped(seconds))[0]['timestamp'] == NOW_MS
    assert mapped.counters['stamps_implausible'] == 1


def test_a_recording_of_years_ago_keeps_its_stamps():
    assert Mapped(STAMPED, field('value.x')).map(stamped(1_432_235_498.5))[0]['timestamp'] \
        == 1_432_235_498_500


def test_the_time_of_receipt_can_be_asked_for():
    assert Mapped(STAMPED, field('value.x'), timestamp='receive').map(
        stamped(1_432_235_498))[0]['timestamp'] == NOW_MS


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_left_out_and_counted(value):
    mapped = Mapped(STAMPED, field('value'))
    assert [point['value'] for point in mapped.map(stamped(x=value, y=1))] == [1]
    assert mapped.counters.dropped() == {'not_finite': 1}


def test_elements_are_named_by_their_key():
    points = Mapped(JOINTS, field('position[*]', 'joint.{name}.position', 'name')).map(
        joints(left=1.5, right=-2))
    assert {point['metric']: point['value'] for point in points} == {
        'joint.left.position': 1.5, 'joint.right.position': -2}


def test_elements_without_a_key_are_numbered():
    points = Mapped(JOINTS, field('position[*]', 'p')).map(joints(a=1, b=2))
    assert [(point['metric'], point['value']) for point in points] == [('p.0', 1), ('p.1', 2)]


def test_an_element_that_a_message_does_not_have_is_counted():
    mapped = Mapped(JOINTS, field('position[2]', 'p'))
    assert mapped.map(joints(a=1, b=2)) == []
    assert mapped.counters.dropped() == {'element_absent': 1}
    assert [point['value'] for point in mapped.map(joints(a=1, b=2, c=3))] == [3]


def test_empty_sequences_make_no_points():
    assert Mapped(JOINTS, field('position[*]', '{name}', 'name')).map(joints()) == []


@pytest.mark.parametrize(('rule', 'message'), [
    (field('position'), r'write position\[\*\] for a metric of each element'),
    (field('name[0]', scale=2), 'leads to a text, which has no scale or offset'),
    (field('name'), r'leads to several texts, which are no numbers'),
    (field('position[*]', 'joint', 'name'), r'expected \{name\} in it'),
    (field('position[0]', 'joint', 'name'), 'gives one value, so key name has nothing'),
    (field('position[*]', '{name}', 'name[0]'), 'expected several texts'),
    (field('posiion[*]'), "did you mean 'position'"),
])
def test_rules_that_do_not_fit_the_type_are_explained(rule, message):
    with pytest.raises(MappingError, match=message):
        Mapped(JOINTS, rule)


def test_every_rule_that_does_not_fit_is_told_at_once():
    with pytest.raises(MappingError) as caught:
        Mapped(JOINTS, field('a'), field('name'), field('position[0]'))
    assert len(str(caught.value).splitlines()) == 2


def test_bytes_that_are_cut_short_are_no_wrong_values():
    data = stamped()
    mapped = Mapped(STAMPED, field('count'))
    for length in range(len(data)):
        with pytest.raises(MappingError):
            mapped.map(data[:length])
    assert mapped.state == []


@pytest.mark.parametrize('head', [b'\0\3', b'\0\7', b'\1\1', b'', b'\xff'])
def test_other_encodings_are_named(head):
    with pytest.raises(MappingError, match='expected plain CDR'):
        Mapped(STAMPED, field('count')).map(head + stamped()[2:] if head else b'')


def test_a_type_without_a_built_in_map_names_a_field_to_begin_with():
    with pytest.raises(MappingError, match=r'path: value\.x'):
        Mapped(STAMPED)


def test_names_that_look_the_same_stay_two_metrics():
    points = Mapped(JOINTS, field('position[*]', 'm.{name}', 'name')).map(
        joints(**{'a b': 1, 'a/b': 2, 'ab': 3}))
    names = [point['metric'] for point in points]
    assert names[0] == 'm.a_b'
    assert re.fullmatch('m.a_b~[0-9a-f]{8}', names[1])
    assert names[2] == 'm.ab'


def test_scaling_never_makes_what_is_not_finite():
    mapped = Mapped(STAMPED, field('value.x', scale=1e300), field('count', scale=1e308))
    assert mapped.map(stamped(x=1e300)) == []
    assert mapped.counters.dropped() == {'not_finite': 2}


def test_a_message_of_very_many_elements_is_bounded():
    mapped = Mapped(JOINTS, field('position[*]', 'p'))
    data = b'\0\1\0\0' + struct.pack('<II', 0, 5000) + bytes(5000 * 8)
    assert len(mapped.map(data)) == 4096
    assert mapped.counters.dropped() == {'elements_over_limit': 904}


@pytest.mark.parametrize(('path', 'counted'), [('items[*].inner', True), ('items', True)])
def test_counts_that_the_bytes_cannot_hold_are_refused_at_once(path, counted):
    """Damaged bytes must not make a loop of four billion."""
    item = Message('test/msg/Item', (('inner', Array(DOUBLE, 2)),))
    kind = Message('test/msg/Kind', (('items', Sequence(item)), ('end', DOUBLE)))
    data = b'\0\1\0\0' + struct.pack('<I', 0xffff_ffff) + bytes(90)
    wanted = parse_path(path).counted() if counted else parse_path(path)
    read = compile_reader(kind, [wanted, parse_path('end')])
    started = time.perf_counter()
    with pytest.raises(MappingError):
        read(data)
    assert time.perf_counter() - started < 0.5


def test_a_huge_count_of_elements_costs_nothing():
    points = Message('test/msg/Cloud', (
        ('points', Sequence(Message('test/msg/Point', (
            ('a', PRIMITIVES['uint8']), ('v', Array(DOUBLE, 3)))))), ('end', DOUBLE)))
    data = b'\0\1\0\0' + struct.pack('<I', 0xffff_ffff) + bytes(100)
    with pytest.raises(MappingError):
        Mapped(points, field('end')).map(data)

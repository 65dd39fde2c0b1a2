# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a rule asks of whatever type: a MappingError at once, or points that gateways take."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from random import Random
from typing import Any

import pytest
from random_messages import installed_types
from random_messages import random_message
from rclpy.serialization import serialize_message

from plexus_bridge import encoding
from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.mapping.names import last_field
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.rules import Change
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.mapping.rules import STATISTICS
from plexus_bridge.mapping.sinks import PointSink
from plexus_bridge.mapping.topic import make_mapper
from plexus_bridge.points import read_point
from plexus_bridge.ros.layouts import message_layout

NOW_MS = 1_790_000_000_000
ELEMENTS = ('[*]', '[0]', '[-1]', '[1:3]', '[-2:]', '[:1]', '[7]', '[-9]')
STEPS = ('rpy', 'yaw', 'norm', 'degrees', 'celsius', 'bool', 'count', 'min', 'max', 'mean', 'std',
         'p50', 'p99.9')
SAMPLINGS = (Sampling('every'), Sampling('latest'),
             Sampling('window', window_s=0.1, stats=STATISTICS))
CHANGES = (None, Change(), Change(absolute=1, resend_s=0.1), Change(relative=0.1))
# Every type has its turn within so many tests, each with so many rules.
PARTS = 4
RULES = 60


def every_path(layout: Layout, path: str = '') -> Iterator[tuple[str, Layout]]:
    """Yield paths of every form to everything in a type."""
    if path:
        yield path, layout
    if isinstance(layout, Message):
        for name, inner in layout.fields:
            yield from every_path(inner, f'{path}.{name}' if path else name)
    elif isinstance(layout, Array | Sequence):
        for step in ELEMENTS:
            yield from every_path(layout.element, path + step)
        if isinstance(layout.element, Message):
            for name, inner in layout.element.fields:
                if isinstance(inner, String | Primitive):
                    sought = 'a' if isinstance(inner, String) else '1'
                    yield from every_path(layout.element, f'{path}[{name}={sought}]')
                    break


def random_rule(paths: list[tuple[str, Layout]], chance: Random) -> FieldRule:
    """Return a field with anything that a map can say of it."""
    more: dict[str, Any] = {
        'transforms': tuple(
            chance.choice(STEPS) for _ in range(chance.choice([0, 0, 1, 1, 1, 2]))),
        'bit': chance.choice([None] * 4 + [chance.randrange(64)]),
        'scale': chance.choice([1.0, 1.0, 2.0, 1e300]),
        'values': chance.choice([None] * 4 + [{0: 'a', 1: 'b'}]),
        'change': chance.choice(CHANGES),
        'not_finite': chance.choice(['skip', 'text']),
        'sampling': chance.choice(SAMPLINGS)}
    metric = 'm'
    keys = [path for path, layout in paths if isinstance(layout, String) and path.endswith('[*]')]
    if keys and chance.random() < 0.4:
        more['key'] = parse_path(chance.choice(keys))
        metric = f'm.{{{last_field(more["key"])}}}'
    texts = [path for path, layout in paths if isinstance(layout, String) and '[' not in path]
    if texts and chance.random() < 0.4:
        more['tags'] = {'text': f'{{{chance.choice(texts)}}}'}
    return FieldRule(parse_path(chance.choice(paths)[0]), metric, **more)


def damaged(data: bytes, chance: Random) -> bytes:
    """Return a message that is cut short, with bits flipped in what is left of it."""
    left = bytearray(data[:chance.randrange(4, len(data) + 1)])
    for _ in range(2 if len(left) > 4 else 0):
        left[chance.randrange(4, len(left))] ^= 1 << chance.randrange(8)
    return bytes(left)


def points_of(rule: FieldRule, layout: Message, chance: Random) -> list[dict] | None:
    """Return what comes of good and damaged messages, None if the rule does not fit the type."""
    points: list[dict] = []
    sink = PointSink(points.append)
    try:
        mapper = make_mapper(MetricRule('/a/b', fields=(rule,)), layout, '/a/b', {},
                             {'state': sink, 'bulk': sink}, Counters())
    except MappingError:
        return None
    for index in range(4):
        data = serialize_message(random_message(layout, chance))
        mapper.take(data, NOW_MS + index * 100)
        mapper.settle(index * 100)
        for step in (lambda data=data: mapper.take(damaged(data, chance), NOW_MS),
                     lambda: mapper.settle(NOW_MS)):
            with contextlib.suppress(MappingError):
                step()
    with contextlib.suppress(MappingError):  # it may have kept a damaged one
        mapper.finish()
    return points


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('part', range(PARTS))
def test_any_rule_on_any_type_is_refused_or_makes_points_that_every_gateway_takes(part):
    chance = Random(part)
    made = 0
    for type_name in installed_types()[part::PARTS]:
        layout = message_layout(type_name)
        paths = list(every_path(layout))
        for _ in range(RULES if paths else 0):
            rule = random_rule(paths, chance)
            for point in points_of(rule, layout, chance) or ():
                encoding.dumps(point)
                read_point(point, NOW_MS)
                made += 1
    assert made > 100, 'hardly any rule fits: nothing was tried'

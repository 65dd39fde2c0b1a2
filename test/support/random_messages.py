# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Random messages of any type, and the values that a path should find in them."""

from __future__ import annotations

from collections.abc import Iterator
import math
import os
from pathlib import Path
from random import Random
import struct
import sys
from typing import Any

from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.ros.layouts import message_class

TEXTS = ('', 'a', 'base_link', 'Grüße', '\u30cf\u30ed\u30fc', 'x' * 70)


def installed_types() -> list[str]:
    """Return the name of every message type on this machine."""
    prefixes = os.environ.get('AMENT_PREFIX_PATH') or sys.prefix
    return sorted(
        f'{package.name}/msg/{line[4:-4]}'
        for prefix in prefixes.split(os.pathsep)
        for package in Path(prefix, 'share/ament_index/resource_index/rosidl_interfaces').glob('*')
        for line in package.read_text().splitlines()
        if line.startswith('msg/') and line.endswith('.msg'))


def random_message(layout: Message, chance: Random) -> Any:
    """Return a message with every field set at random, bounds respected."""
    message = message_class(layout.name)()
    for (name, inner), slot in zip(layout.fields, message.SLOT_TYPES, strict=True):
        bound = getattr(slot, 'maximum_size', None)
        if bound is None:
            bound = 5
        setattr(message, name, random_value(inner, chance, bound))
    return message


def random_value(layout: Layout, chance: Random, bound: int = 5) -> Any:
    if isinstance(layout, Message):
        return random_message(layout, chance)
    if isinstance(layout, String):
        text = chance.choice(TEXTS)
        return text[:bound] if bound < 5 else text
    if isinstance(layout, Array):
        return [random_value(layout.element, chance) for _ in range(layout.length)]
    if isinstance(layout, Sequence):
        count = chance.randrange(min(bound, 5) + 1)
        return [random_value(layout.element, chance) for _ in range(count)]
    return random_number(layout, chance)


def random_number(primitive: Primitive, chance: Random) -> Any:
    if primitive.name == 'bool':
        return chance.random() < 0.5
    if primitive.name == 'byte':
        return bytes([chance.randrange(256)])
    if primitive.code in 'fd':
        value = chance.choice([0.0, -1.5, math.inf, chance.uniform(-1e6, 1e6)])
        return struct.unpack(primitive.code, struct.pack(primitive.code, value))[0]
    bits = primitive.size * 8
    low = -(1 << bits - 1) if primitive.code.islower() else 0
    return chance.choice([low, low + (1 << bits) - 1, chance.randrange(low, low + (1 << bits))])


def leaf_paths(layout: Layout, prefix: str = '') -> Iterator[str]:
    """Yield a path to every number, text and number array of a type."""
    if isinstance(layout, Message):
        for name, inner in layout.fields:
            yield from leaf_paths(inner, f'{prefix}.{name}' if prefix else name)
    elif isinstance(layout, Array | Sequence) and not isinstance(layout.element, Primitive):
        yield from leaf_paths(layout.element, f'{prefix}[*]')
    else:
        yield prefix


def expected(value: Any, path: str) -> Any:
    """Walk through a message object, as a path says."""
    if not path:
        return plain(value)
    if path.startswith('[*]'):
        return [expected(item, path[3:]) for item in value]
    name, rest = path.removeprefix('.'), ''
    for index, character in enumerate(name):
        if character in '.[':
            name, rest = name[:index], name[index:]
            break
    return expected(getattr(value, name), rest)


def plain(value: Any) -> Any:
    """Return numbers, texts and lists of them, whatever container ROS has put them into."""
    if isinstance(value, bytes):
        return value[0]
    if isinstance(value, float) and math.isnan(value):
        return 'nan'
    if hasattr(value, 'tolist'):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value

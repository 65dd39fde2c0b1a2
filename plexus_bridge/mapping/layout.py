# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
How a message type lies in memory: one description for live graphs and for recordings.

Sources of layouts are message classes (`plexus_bridge.ros.layouts`) and the definitions in a bag.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Primitive:
    """
    A number or boolean: its ROS name, size in bytes (also its alignment), `struct` code.

    `dtype` is numpy's name for it without the byte order.
    """

    name: str
    size: int
    code: str
    dtype: str


PRIMITIVES = {primitive.name: primitive for primitive in (
    Primitive('bool', 1, '?', '?'),
    Primitive('byte', 1, 'B', 'u1'),
    Primitive('char', 1, 'B', 'u1'),
    Primitive('int8', 1, 'b', 'i1'),
    Primitive('uint8', 1, 'B', 'u1'),
    Primitive('int16', 2, 'h', 'i2'),
    Primitive('uint16', 2, 'H', 'u2'),
    Primitive('int32', 4, 'i', 'i4'),
    Primitive('uint32', 4, 'I', 'u4'),
    Primitive('int64', 8, 'q', 'i8'),
    Primitive('uint64', 8, 'Q', 'u8'),
    Primitive('float32', 4, 'f', 'f4'),
    Primitive('float64', 8, 'd', 'f8'),
)}


# What stands on the wire for a message without fields, as IDL allows none.
NO_MEMBER = 'structure_needs_at_least_one_member'


@dataclass(frozen=True)
class String:
    """A text; `wide` ones are UTF-32 as Fast CDR writes them, others UTF-8."""

    wide: bool = False


@dataclass(frozen=True)
class Array:
    """A fixed number of elements."""

    element: Layout
    length: int


@dataclass(frozen=True)
class Sequence:
    """A number of elements that each message brings; bounds do not change the bytes."""

    element: Layout


@dataclass(frozen=True)
class Message:
    """A message type such as ``sensor_msgs/msg/Imu`` with its fields in order."""

    name: str
    fields: tuple[tuple[str, Layout], ...]

    def field(self, name: str) -> Layout | None:
        """Return a field's layout, None if there is no such field."""
        for own_name, layout in self.fields:
            if own_name == name:
                return layout
        return None


Layout = Primitive | String | Array | Sequence | Message


def members(message: Message) -> tuple[tuple[str, Layout], ...]:
    """Return what is on the wire: a message without fields takes one byte."""
    return message.fields or ((NO_MEMBER, PRIMITIVES['uint8']),)


def is_fixed(layout: Layout) -> bool:
    """Tell whether every message of this layout has the same length."""
    if isinstance(layout, Message):
        return all(is_fixed(field) for _, field in members(layout))
    if isinstance(layout, Array):
        return is_fixed(layout.element)
    return isinstance(layout, Primitive)


def leaves(layout: Layout) -> Iterator[Primitive]:
    """Yield the numbers of a fixed layout in the order of their bytes."""
    if isinstance(layout, Message):
        for _, field in members(layout):
            yield from leaves(field)
    elif isinstance(layout, Array):
        for _ in range(layout.length):
            yield from leaves(layout.element)
    elif isinstance(layout, Primitive):
        yield layout


def describe(layout: Layout) -> str:
    """Return the type as a .msg file would write it."""
    if isinstance(layout, Primitive):
        return layout.name
    if isinstance(layout, String):
        return 'wstring' if layout.wide else 'string'
    if isinstance(layout, Array):
        return f'{describe(layout.element)}[{layout.length}]'
    if isinstance(layout, Sequence):
        return f'{describe(layout.element)}[]'
    return layout.name

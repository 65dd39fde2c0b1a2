# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Paths into a message: ``pose.pose.position.x``, ``ranges[-1]``, ``status[name=imu].level``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import difflib
import re

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import describe
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String


@dataclass(frozen=True)
class Field:
    """``.name``: a field of a message."""

    name: str


@dataclass(frozen=True)
class Index:
    """``[3]`` or ``[-1]``: one element, counted from the end if negative."""

    index: int


@dataclass(frozen=True)
class Slice:
    """``[1:4]`` or ``[*]`` (both bounds open): several elements."""

    start: int | None
    stop: int | None


_TRUTHS = {'true': True, 'false': False}


@dataclass(frozen=True)
class Select:
    """``[name=left motor]``: the first element whose text or number field equals this."""

    field: str
    value: str

    def sought(self, layout: Primitive | String) -> str | float:
        """Return what the field has to equal; ValueError if it never can."""
        if isinstance(layout, String):
            return self.value
        if self.value.lower() in _TRUTHS and layout.name == 'bool':
            return _TRUTHS[self.value.lower()]
        return float(self.value) if layout.code in 'fd' else int(self.value, 0)


@dataclass(frozen=True)
class Count:
    """How many elements there are, without reading any; `as: count` puts it at a path's end."""


Step = Field | Index | Slice | Select | Count
EVERY = Slice(None, None)


@dataclass(frozen=True)
class Path:
    """A parsed path; `text` is what the user wrote."""

    text: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return self.text


    def counted(self) -> Path:
        """Return the path to the number of elements instead of the elements."""
        steps = self.steps[:-1] if self.steps and self.steps[-1] == EVERY else self.steps
        return Path(self.text, (*steps, Count()))


# The whole message.
ROOT = Path('', ())


@dataclass(frozen=True)
class Target:
    """What a path leads to in a type: a layout, `many` if several elements are taken."""

    layout: Layout
    many: bool


_TOKEN = re.compile(r'''
    (?P<dot>\.)?(?P<name>[A-Za-z][A-Za-z0-9_]*)
  | \[(?P<index>-?\d{1,9})\]
  | \[(?P<every>\*)\]
  | \[(?P<start>-?\d{0,9}):(?P<stop>-?\d{0,9})\]
  | \[(?P<field>[A-Za-z][A-Za-z0-9_]*)=(?P<value>(?:[^][]|\[[^][]*\]|\[)*)\]
''', re.VERBOSE)


def parse_path(text: str) -> Path:
    """Return a path; MappingError names the position at which it cannot be understood."""
    steps: list[Step] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match or (match['name'] and bool(match['dot']) != bool(steps)):
            raise MappingError(
                f'path {text!r}: cannot be understood from character {position + 1} on '
                f'({text[position:position + 12]!r}); expected a form such as "a.b", "a[3]", '
                '"a[-1]", "a[1:4]", "a[*].b" or "a[name=left].b"')
        steps.append(_step(match))
        position = match.end()
    if not steps or not isinstance(steps[0], Field):
        raise MappingError(f'path {text!r}: expected the name of a field at its beginning')
    return Path(text, tuple(steps))


def _step(match: re.Match[str]) -> Step:
    if match['name']:
        return Field(match['name'])
    if match['index']:
        return Index(int(match['index']))
    if match['every']:
        return EVERY
    if match['field']:
        return Select(match['field'], match['value'])
    return Slice(*(int(bound) if bound else None for bound in (match['start'], match['stop'])))


def resolve(path: Path, message: Message) -> Target:
    """Follow a path through a type; MappingError names the nearest field that does exist."""
    layout: Layout = message
    many = False
    seen = message.name
    for step in path.steps:
        if isinstance(step, Field):
            if not isinstance(layout, Message):
                raise MappingError(
                    f'path {path}: {seen} is a {describe(layout)}, which has no field '
                    f'{step.name!r}')
            inner = layout.field(step.name)
            if inner is None:
                raise MappingError(f'path {path}: {_no_field(layout, step.name)}')
            layout = inner
            seen = step.name
            continue
        if not isinstance(layout, Array | Sequence):
            raise MappingError(
                f'path {path}: {seen} is a {describe(layout)}, which has no elements')
        if isinstance(step, Count):
            layout = PRIMITIVES['uint32']
            continue
        _check_element(path, step, layout)
        many = many or isinstance(step, Slice)
        layout = layout.element
        seen += '[…]'
    return Target(layout, many)


def number_names(message: Message, path: Path) -> Iterator[str]:
    """Yield what leads to each number of a message of nothing else, as ``position.x``."""
    if not message.fields:
        raise MappingError(f'path {path}: leads to a {message.name}, which has no fields')
    for name, layout in message.fields:
        if isinstance(layout, Message):
            for inner in number_names(layout, path):
                yield f'{name}.{inner}'
        elif isinstance(layout, Primitive):
            yield name
        else:
            raise MappingError(
                f'path {path}: leads to a whole {message.name}, which has more than numbers '
                f'({name} is a {describe(layout)}); name one of its fields: '
                f'{", ".join(name for name, _ in message.fields)}')


def _check_element(path: Path, step: Step, layout: Array | Sequence) -> None:
    if isinstance(step, Index) and isinstance(layout, Array) and not (
            -layout.length <= step.index < layout.length):
        raise MappingError(
            f'path {path}: saw element {step.index}, but {describe(layout)} has '
            f'{layout.length}')
    if isinstance(step, Select):
        if not isinstance(layout.element, Message):
            raise MappingError(
                f'path {path}: [{step.field}=…] selects among messages, but the elements are '
                f'{describe(layout.element)}')
        inner = layout.element.field(step.field)
        if inner is None:
            raise MappingError(f'path {path}: {_no_field(layout.element, step.field)}')
        if not isinstance(inner, String | Primitive):
            raise MappingError(
                f'path {path}: [{step.field}=…] compares a text or number, but {step.field} is '
                f'a {describe(inner)}')
        try:
            step.sought(inner)
        except ValueError:
            wanted = 'true or false' if describe(inner) == 'bool' else 'a number'
            raise MappingError(
                f'path {path}: saw {step.value!r}, but {step.field} is a {describe(inner)}; '
                f'expected {wanted}') from None


def _no_field(message: Message, name: str) -> str:
    names = [own_name for own_name, _ in message.fields]
    near = difflib.get_close_matches(name, names, 1, 0.5)
    hint = f'did you mean {near[0]!r}?' if near else f'it has {", ".join(names) or "none"}'
    return f'{message.name} has no field {name!r}; {hint}'

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Values of a command against the fields of the interface type that they go to. No ROS."""

from __future__ import annotations

from collections.abc import Mapping
import difflib
import math
import re
from typing import Any

from plexus_bridge.commands.templates import whole
from plexus_bridge.errors import CommandError
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import describe
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.protocol.declarations import Declaration

TIME = 'builtin_interfaces/msg/Time'
DURATION = 'builtin_interfaces/msg/Duration'
NOW = 'now'
# What parameters of which type may become.
_TAKES = {'string': ('string',), 'boolean': ('bool',), 'number': ('float',),
          'integer': ('integer', 'float')}
_STEP = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)|\[(-?[0-9]+)\]')


def converted(value: Any, layout: Layout, where: str) -> Any:
    """
    Return a value as a field of this type takes it; CommandError ``bad_params`` if it cannot.

    Mappings stay mappings, of converted values; ``now`` and seconds stay for times.
    """
    if isinstance(layout, Message):
        return _message(value, layout, where)
    if isinstance(layout, Array | Sequence):
        return _list(value, layout, where)
    if isinstance(layout, String):
        if not isinstance(value, str):
            raise _wrong(value, 'a text', where)
        return value
    return _number(value, layout, where)


def _message(value: Any, layout: Message, where: str) -> Any:
    if layout.name == TIME and value == NOW:
        return value
    if layout.name in (TIME, DURATION) and _is_number(value):
        return _time(value, where)
    if not isinstance(value, Mapping):
        hint = ', now or seconds' if layout.name == TIME else (
            ' or seconds' if layout.name == DURATION else '')
        raise _wrong(value, f'a mapping ({layout.name}){hint}', where)
    known = [name for name, _ in layout.fields]
    filled = {}
    for key, item in value.items():
        field = layout.field(str(key))
        if field is None:
            near = difflib.get_close_matches(str(key), known, 1, 0.6)
            hint = f'did you mean {near[0]!r}?' if near else f'it has {", ".join(known) or "none"}'
            raise CommandError(
                'bad_params', f'{where}: {layout.name} has no field {str(key)!r}; {hint}')
        filled[key] = converted(item, field, f'{where}.{key}')
    return filled


def _time(seconds: float, where: str) -> dict[str, int]:
    whole_s = math.floor(seconds)
    if not -2**31 <= whole_s < 2**31:
        raise _wrong(seconds, 'seconds that fit 32 bits', where)
    return {'sec': whole_s, 'nanosec': min(999_999_999, int((seconds - whole_s) * 1e9))}


def _list(value: Any, layout: Array | Sequence, where: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _wrong(value, f'a list ({describe(layout)})', where)
    if isinstance(layout, Array) and len(value) != layout.length:
        raise CommandError(
            'bad_params', f'{where}: saw {len(value)} elements, expected {layout.length}')
    return [converted(item, layout.element, f'{where}[{index}]')
            for index, item in enumerate(value)]


def _number(value: Any, layout: Primitive, where: str) -> Any:
    if layout.name == 'bool':
        if not isinstance(value, bool):
            raise _wrong(value, 'true or false', where)
        return value
    if not _is_number(value):
        raise _wrong(value, f'a number ({layout.name})', where)
    if layout.dtype.startswith('f'):
        number = float(value)
        if layout.size == 4 and abs(number) > 3.4028235e38:
            raise _wrong(value, 'a number that float32 can hold', where)
        return number
    if value != int(value):
        raise _wrong(value, f'a whole number ({layout.name})', where)
    low, high = _bounds(layout)
    if not low <= value <= high:
        raise _wrong(value, f'{layout.name}, {low} to {high}', where)
    return int(value)


def _bounds(layout: Primitive) -> tuple[int, int]:
    bits = layout.size * 8
    if layout.dtype.startswith('u'):
        return 0, 2**bits - 1
    return -2**(bits - 1), 2**(bits - 1) - 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(value: Any, expected: str, where: str) -> CommandError:
    shown = repr(value) if len(repr(value)) <= 60 else type(value).__name__
    return CommandError('bad_params', f'{where}: saw {shown}, expected {expected}')


# -- checks before anything is run

def template_problem(value: Any, layout: Layout, declaration: Declaration, where: str) -> str:
    """Return why a template cannot become such a field, '' if it can."""
    try:
        _check(value, layout, declaration, where)
    except CommandError as error:
        return str(error)
    return ''


def _check(value: Any, layout: Layout, declaration: Declaration, where: str) -> None:
    if isinstance(value, str):
        _check_text(value, layout, declaration, where)
    elif isinstance(value, Mapping) and isinstance(layout, Message):
        for key, item in value.items():
            field = layout.field(str(key))
            if field is None:
                _message({key: None}, layout, where)  # which says so
            else:
                _check(item, field, declaration, f'{where}.{key}')
    elif isinstance(value, list) and isinstance(layout, Array | Sequence):
        for index, item in enumerate(value):
            _check(item, layout.element, declaration, f'{where}[{index}]')
        if isinstance(layout, Array) and len(value) != layout.length:
            _list(value, layout, where)
    else:
        converted(value, layout, where)


def _check_text(text: str, layout: Layout, declaration: Declaration, where: str) -> None:
    name = whole(text)
    if name is None:
        converted(text, layout, where)
        return
    kind = declaration.parameters[name].type
    takes = _TAKES[kind]
    if _kind(layout) not in takes and not (
            isinstance(layout, Message) and layout.name in (TIME, DURATION)
            and kind in ('number', 'integer')):
        raise CommandError(
            'bad_params', f'{where}: is {describe(layout)}, which the parameter {name!r} of type '
            f'{kind} cannot become')


def _kind(layout: Layout) -> str:
    if isinstance(layout, String):
        return 'string'
    if isinstance(layout, Primitive):
        if layout.name == 'bool':
            return 'bool'
        return 'float' if layout.dtype.startswith('f') else 'integer'
    return 'other'


def path_problem(path: str, layout: Layout) -> str:
    """Return why a path is none of this type, '' if it is."""
    here = layout
    for step in _STEP.finditer(path):
        if step[1] is None:
            if not isinstance(here, Array | Sequence):
                return f'{path}: {describe(here)} is no list'
            here = here.element
            continue
        field = here.field(step[1]) if isinstance(here, Message) else None
        if field is None:
            known = [name for name, _ in here.fields] if isinstance(here, Message) else []
            return (f'{path}: {describe(here)} has no field {step[1]!r}; '
                    f'it has {", ".join(known) or "none"}')
        here = field
    return ''


def pick(value: Any, path: str) -> Any:
    """Return what stands at a path of a plain value, None if nothing does."""
    for step in _STEP.finditer(path):
        try:
            value = value[step[1]] if step[1] is not None else value[int(step[2])]
        except (KeyError, IndexError, TypeError):
            return None
    return value

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Compiled readers: from a message's CDR bytes to the values of some paths, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import struct
from typing import Any

import numpy as np

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.codegen import HEADER_BYTES
from plexus_bridge.mapping.codegen import SourceWriter
from plexus_bridge.mapping.generated import make_function
from plexus_bridge.mapping.layout import describe
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.paths import Path
from plexus_bridge.mapping.paths import resolve

Reader = Callable[[bytes], tuple[Any, ...]]


@dataclass(frozen=True)
class Ending:
    """
    What a generated function does with what it has read.

    In `lines`, ``v0``, ``v1`` … are the values of the paths; `names` are the other objects that
    they name, `arguments` what the function takes besides the bytes ``b``.
    """

    lines: Sequence[str]
    names: Mapping[str, Any]
    arguments: tuple[str, ...] = ()


def compile_reader(message: Message, paths: Sequence[Path]) -> Reader:
    """
    Return a function from serialised bytes to one value for each path.

    Values are int, float, bool or str; numpy views for number arrays; lists for elements of
    messages or texts; a tuple of numbers for a whole message of numbers; None where a message
    has no such element. The function raises MappingError for bytes that do not fit the type.
    Paths that do not fit the type raise MappingError here.
    """
    values = ''.join(f'v{index}, ' for index in range(len(paths)))
    return compile_function(message, paths, Ending([f'return ({values})'], {}))


def compile_function(message: Message, paths: Sequence[Path], ending: Ending
                     ) -> Callable[..., Any]:
    """Return a function that reads bytes as `compile_reader` says, then goes on as told."""
    for path in paths:
        _check_readable(resolve(path, message).layout, path)
    return _compile(message, paths, ending, '<', _BigEndian(message, paths, ending))


class _BigEndian:
    """The same function for the other byte order, compiled when first met: it is rare."""

    def __init__(self, message: Message, paths: Sequence[Path], ending: Ending):
        self._message = message
        self._paths = paths
        self._ending = ending
        self._function: Callable[..., Any] | None = None

    def __call__(self, data: bytes, *arguments: Any) -> Any:
        if data[:2] != b'\0\0':
            raise MappingError(
                f'{self._message.name}: saw encapsulation {data[:2].hex() or "nothing"}, expected '
                'plain CDR (0000 or 0001)')
        if self._function is None:
            self._function = _compile(self._message, self._paths, self._ending, '>', None)
        return self._function(data, *arguments)


def _check_readable(layout: Layout, path: Path) -> None:
    """Raise MappingError if a path leads to something that has no value as a whole."""
    if isinstance(layout, Message) and not all(
            isinstance(inner, Primitive | Message) for _, inner in layout.fields):
        raise MappingError(
            f'path {path}: leads to a whole {describe(layout)}; name one of its fields: '
            f'{", ".join(name for name, _ in layout.fields)}')


def _compile(message: Message, paths: Sequence[Path], ending: Ending, byte_order: str,
             other: Callable[..., Any] | None) -> Callable[..., Any]:
    writer = SourceWriter(byte_order)
    writer.write_reader(message, paths)
    arguments = ', '.join(('b', *ending.arguments))
    source = '\n'.join([
        f'def function({arguments}):',
        *([f'    if b[:2] != b"\\0\\1": return other({arguments})'] if other else []),
        '    try:',
        *(writer.lines or ['        pass']),
        '    except unreadable as error:',
        '        raise truncated(b, error) from None',
        *(f'    {line}' for line in ending.lines),
    ])

    def truncated(data: bytes, error: Exception) -> MappingError:
        return MappingError(
            f'{message.name}: {len(data)} bytes do not hold what the type says ({error})')

    names: dict[str, Any] = {
        **ending.names, **writer.names, 'text': _text, 'wide_text': _wide_text, 'view': _view,
        'element': _element, 'select': _select, 'behind': _behind, 'other': other,
        'unreadable': (struct.error, IndexError, ValueError, OverflowError),
        'truncated': truncated}
    return make_function(source, names, f'<reader of {message.name}>')


def _text(data: bytes, start: int, count: int, _byte_order: str) -> tuple[str, int]:
    end = start + count
    if end > len(data):
        raise ValueError(f'a text of {count} bytes reaches beyond the end')
    # The count includes a final NUL; what stands behind an earlier one ROS does not show either.
    return data[start:end].partition(b'\0')[0].decode('utf-8', 'replace'), end


def _wide_text(data: bytes, start: int, count: int, byte_order: str) -> tuple[str, int]:
    end = start + count * 4
    if end > len(data):
        raise ValueError(f'a text of {count} characters reaches beyond the end')
    codec = 'utf-32-le' if byte_order == '<' else 'utf-32-be'
    return data[start:end].decode(codec, 'replace'), end


def _view(data: bytes, start: int, count: int, dtype: str) -> Any:
    if not count:
        return np.empty(0, dtype)
    return np.frombuffer(data, dtype, count, start)


def _element(values: Sequence[Any], index: int) -> Any:
    return values[index] if -len(values) <= index < len(values) else None


def _select(keys: Sequence[Any], wanted: str | float, values: Sequence[Any]) -> Any:
    for key, value in zip(keys, values, strict=True):
        if key == wanted:
            return value
    return None


def _behind(start: int, count: int, sizes: Sequence[int]) -> int:
    """Return the place behind `count` elements of fixed layout without visiting each."""
    position = start
    while count:
        size = sizes[(position - HEADER_BYTES) % len(sizes)]
        if size % len(sizes) == 0:  # from here on all take the same room
            return position + size * count
        position += size
        count -= 1
    return position

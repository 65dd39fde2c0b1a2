# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Makes functions of generated source.

Functions of the same source share their code, and differ in the objects that they were given:
two hundred topics of one shape are compiled once, and run what the processor's cache holds.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import functools
import struct
import textwrap
from typing import Any

# Sources kept; what is pushed out is compiled again when it is next asked for.
_KEPT = 512


def make_function(source: str, names: Mapping[str, Any], title: str) -> Callable[..., Any]:
    """
    Return what `source` defines as ``function``, which may use the objects in `names`.

    `title` stands in tracebacks.
    """
    make = _maker(source, tuple(names), title)
    function: Callable[..., Any] = make(*names.values())
    return function


@functools.lru_cache(_KEPT)
def unpacker(form: str) -> Callable[..., tuple[Any, ...]]:
    """Return what reads a `struct` format at a place in bytes; the same one for all who ask."""
    return struct.Struct(form).unpack_from


@functools.lru_cache(_KEPT)
def _maker(source: str, names: tuple[str, ...], title: str) -> Callable[..., Any]:
    text = '\n'.join([f'def make({", ".join(names)}):', textwrap.indent(source, '    '),
                      '    return function'])
    made: dict[str, Any] = {}
    exec(compile(text, title, 'exec'), made)
    make: Callable[..., Any] = made['make']
    return make

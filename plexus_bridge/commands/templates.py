# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Request fields of the map with parameters in them.

A text that is nothing but ``{speed}`` becomes the parameter's value as it is, with its type; in a
longer text the value is written into it. ``{{`` and ``}}`` stand for braces.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import re
from typing import Any

from plexus_bridge.errors import CommandError

_PART = re.compile(r'\{\{|\}\}|\{([^{}]*)\}|[{}]')
_WHOLE = re.compile(r'\{([^{}]*)\}')


class _Omitted:
    """Stands for a field that is left at its default."""


_OMITTED = _Omitted()


def whole(text: str) -> str | None:
    """Return the parameter of which a text is the whole, None if it is another text."""
    match = _WHOLE.fullmatch(text)
    return match[1] if match else None


def names_in(text: str) -> list[str]:
    """Return the parameters in a text, in order; ValueError for a brace that stands alone."""
    names = []
    for match in _PART.finditer(text):
        if match[0] in ('{', '}'):
            raise ValueError(
                f'saw {text!r}, in which a brace stands alone; write {{{{ or }}}} for a brace')
        if match[1] is not None:
            names.append(match[1])
    return names


def texts_of(value: Any, place: tuple[str | int, ...] = ()
             ) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every text in a tree of mappings and lists, with where it stands."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts_of(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_of(item, (*place, index))


def fill(value: Any, params: Mapping[str, Any]) -> Any:
    """Return a tree with its parameters filled in; fields of absent ones are left out."""
    filled = _fill(value, params)
    return None if filled is _OMITTED else filled


def fill_text(text: str, params: Mapping[str, Any]) -> str:
    """Return a text with its parameters filled in; CommandError if one is absent."""
    filled = _fill_text(text, params)
    if filled is _OMITTED:
        raise CommandError('bad_params', f'params.{whole(text)}: is missing')
    return filled if isinstance(filled, str) else _written(filled)


def _fill(value: Any, params: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return _fill_text(value, params)
    if isinstance(value, Mapping):
        filled = {key: _fill(item, params) for key, item in value.items()}
        return {key: item for key, item in filled.items() if item is not _OMITTED}
    if isinstance(value, list):
        items = [_fill(item, params) for item in value]
        return [item for item in items if item is not _OMITTED]
    return value


def _fill_text(text: str, params: Mapping[str, Any]) -> Any:
    name = whole(text)
    if name is not None:
        return params.get(name, _OMITTED)
    return _PART.sub(lambda match: _replaced(match, params), text)


def _replaced(match: re.Match[str], params: Mapping[str, Any]) -> str:
    if match[1] is None:
        return match[0][0]
    return _written(params.get(match[1], ''))


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

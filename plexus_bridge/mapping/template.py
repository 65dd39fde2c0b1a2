# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Placeholders in metric names and tags: captures of the topic, names of elements, fields."""

from __future__ import annotations

from collections.abc import Mapping
import re

_PLACEHOLDER = re.compile(r'\{([^{}]*)\}')
_ODD = re.compile(r'[^A-Za-z0-9_.\-]+')


def placeholders(text: str) -> list[str]:
    """Return what stands between braces, in order."""
    return _PLACEHOLDER.findall(text)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return the text with each known placeholder replaced by its value."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def fill_name(text: str, captures: Mapping[str, str]) -> str:
    """Return a metric's or event's name, filled from a topic: its slashes become dots."""
    return fill(text, {name: part.replace('/', '.') for name, part in captures.items()})


def any_of(text: str) -> str:
    """Return a pattern for all that a text may become: ``*`` for each placeholder."""
    return _PLACEHOLDER.sub('*', text)


def name_part(text: str) -> str:
    """Return a text as a part of a metric's name: blanks and signs become one underscore."""
    return _ODD.sub('_', text).strip('_') or '_'

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Named values as services of ours take them: KeyValue lists, and JSON objects beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.errors import CommandError


def named_values(pairs: Sequence[Any], json_text: str, json_field: str) -> dict[str, Any]:
    """Return both together; values are read as JSON where they are. CommandError if they clash."""
    values: dict[str, Any] = {}
    for pair in pairs:
        if pair.key in values:
            raise CommandError('bad_params', f'{pair.key!r} stands there twice')
        try:
            values[pair.key] = encoding.loads(pair.value)
        except ValueError:
            values[pair.key] = pair.value
    for key, value in json_object(json_text, json_field).items():
        if key in values:
            raise CommandError(
                'bad_params', f'{key!r} stands both in the list and in {json_field}')
        values[key] = value
    return values


def json_object(text: str, field: str) -> dict[str, Any]:
    """Return the object of a JSON text, none for ''; CommandError if it is something else."""
    if not text:
        return {}
    try:
        value = encoding.loads(text)
    except ValueError as error:
        raise CommandError('bad_params', f'{field}: is not JSON: {error}') from None
    if not isinstance(value, dict):
        raise CommandError(
            'bad_params', f'{field}: saw a JSON {type(value).__name__}, expected an object')
    return value

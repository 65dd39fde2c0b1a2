# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""JSON as bytes: orjson where it is installed (ten times faster), else the standard library."""

from __future__ import annotations

from collections.abc import Callable
import json
from typing import Any


def _reject_constant(name: str) -> Any:
    raise ValueError(f'{name} is not JSON')


def standard_dumps(value: Any) -> bytes:
    """Return compact UTF-8 JSON by the standard library; ValueError or TypeError if impossible."""
    try:
        text = json.dumps(value, separators=(',', ':'), ensure_ascii=False, allow_nan=False)
    except RecursionError:
        raise ValueError('nested too deeply') from None
    return text.encode()


def standard_loads(data: bytes | str) -> Any:
    """Return the value of a JSON text by the standard library; ValueError where it is none."""
    try:
        return json.loads(data, parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError('nested too deeply') from None


# Non-finite numbers never get here: points.py and mapping/ keep them out.
dumps: Callable[[Any], bytes] = standard_dumps
loads: Callable[[bytes | str], Any] = standard_loads
try:
    import orjson
except ImportError:
    pass
else:
    dumps = orjson.dumps
    loads = orjson.loads

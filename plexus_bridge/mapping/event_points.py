# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Events as points, within the limits of protocol section 4.2; what is cut says so."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.points import MAX_EVENT_JSON_BYTES
from plexus_bridge.points import MAX_EVENT_TEXT_BYTES
from plexus_bridge.points import MAX_NAME_BYTES
from plexus_bridge.points import MAX_TAG_BYTES
from plexus_bridge.points import MAX_TAGS
from plexus_bridge.points import Point
from plexus_bridge.points import trim

# The tag by which people filter: debug, info, warn, error or fatal, as in rcl_interfaces/msg/Log.
SEVERITY = 'severity'
SEVERITIES = {10: 'debug', 20: 'info', 30: 'warn', 40: 'error', 50: 'fatal'}
# Stands in an object of which members were left out.
CUT = '…'


def make_event(name: str, value: Any, stamp_ms: int, tags: Mapping[str, str] | None = None,
               severity: str = '', source: Mapping[str, str] | None = None) -> Point:
    """
    Return an event's point; whatever is too long is cut, so that no gateway refuses it.

    `value` is a text, boolean, number, object or array; numbers that are not finite become texts.
    The severity is a tag; it, and the tags that say whose event it is (`source`), are the last to
    be left out when there are too many.
    """
    first = {**({SEVERITY: severity} if severity else {}), **(source or {})}
    own = {**first, **(tags or {}), **first}
    point: Point = {
        'class': 'event', 'metric': trim(name, MAX_NAME_BYTES), 'value': _value(value),
        'timestamp': stamp_ms}
    if own:
        point['tags'] = {trim(key, MAX_TAG_BYTES): trim(text, MAX_TAG_BYTES)
                         for key, text in fitting_tags(own).items()}
    return point


def fitting_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return tags that are few enough: of too many the last are gone, and one says how many."""
    if len(tags) <= MAX_TAGS:
        return tags
    kept = list(tags.items())[:MAX_TAGS - 1]
    return {**dict(kept), CUT: str(len(tags) - len(kept))}


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return trim(value, MAX_EVENT_TEXT_BYTES)
    value = _finite(value)
    if isinstance(value, dict):
        return _fitting(value)
    if isinstance(value, list) and len(encoding.dumps(value)) > MAX_EVENT_JSON_BYTES:
        return trim(encoding.dumps(value).decode(), MAX_EVENT_TEXT_BYTES)
    return value


def _finite(value: Any) -> Any:
    """Return a value with texts for numbers that JSON has not, however deep they lie."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value


def _fitting(value: dict[str, Any], most: int = MAX_EVENT_JSON_BYTES) -> dict[str, Any]:
    """
    Return an object of at most so many bytes of JSON.

    Its texts are shortened, objects in it lose members, and what does not fit then is left out.
    """
    if len(encoding.dumps(value)) <= most:
        return value
    left = most - len(encoding.dumps({CUT: len(value)}))
    kept: dict[str, Any] = {}
    for key, item in value.items():
        item = trim(item, MAX_EVENT_TEXT_BYTES) if isinstance(item, str) else item
        size = _size(key, item)
        if size > left and isinstance(item, dict):
            item = _fitting(item, left - _size(key, {}) + len('{}'))
            size = _size(key, item)
        if size <= left:
            kept[key] = item
            left -= size
    left_out = len(value) - len(kept)
    return {**kept, CUT: left_out} if left_out else kept


def _size(key: str, item: Any) -> int:
    """Return what a member takes in an object of several."""
    return len(encoding.dumps({key: item})) - len('{}') + len(',')

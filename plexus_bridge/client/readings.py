# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a program hands in, made into points that no gateway has a reason to refuse (section 4).

Checked where it is handed in, because one bad point makes a gateway refuse the whole message.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import math
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.errors import PointError
from plexus_bridge.points import check_event_value
from plexus_bridge.points import check_metric_value
from plexus_bridge.points import check_name
from plexus_bridge.points import check_tags
from plexus_bridge.points import FIRST_MILLISECOND_STAMP
from plexus_bridge.points import LAST_MILLISECOND_STAMP
from plexus_bridge.points import MAX_EVENT_TEXT_BYTES
from plexus_bridge.points import MAX_TAG_BYTES
from plexus_bridge.points import Point
from plexus_bridge.points import trim

# Beyond, JSON libraries do not write integers; a gateway keeps them as floats in any case.
_LARGEST_INTEGER = 2**63


def make_point(metric: str, value: Any, timestamp: float, tags: Mapping[str, Any] | None = None,
               data_class: str | None = None) -> Point:
    """
    Return a point; PointError says what cannot be one.

    Numbers are metrics and all else events, unless `data_class` says otherwise. `timestamp` is as
    `wire_stamp` gives it. Texts that are too long are cut, with "…" at their end; tags that are
    numbers or booleans become texts; numpy's numbers and arrays become Python's.
    """
    check_name(metric)
    kind = type(value)
    if kind is float and data_class != 'event':
        if not math.isfinite(value):
            check_metric_value(value)
        point_class = data_class or 'metric'
    else:
        point_class, value = _other_value(value, data_class)
    if point_class not in ('metric', 'event'):
        raise PointError(
            f'{metric}: data_class: saw {data_class!r}, expected "metric" or "event"')
    point: Point = {
        'class': point_class, 'metric': metric, 'value': value, 'timestamp': timestamp}
    if tags:
        point['tags'] = clean_tags(tags)
    return point


def clean_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    """Return tags as short texts; PointError if there are too many, or what is no text."""
    if not isinstance(tags, Mapping):
        raise PointError(f'tags: saw {type(tags).__name__}, expected a dict of texts')
    cleaned = {}
    for key, value in tags.items():
        if not isinstance(value, str):
            value = _tag_text(key, value)
        cleaned[key] = trim(value, MAX_TAG_BYTES)
    check_tags(cleaned)
    return cleaned


def wire_stamp(timestamp: Any, now_ms: int) -> float:
    """
    Return a caller's stamp as it travels: Unix ms; `now_ms` for none, zero and less.

    What lies before 9 September 2001 stays in seconds, because every receiver takes such small
    numbers for seconds (section 4.3). PointError for what is no number, or no date.
    """
    if timestamp is None:
        return now_ms
    timestamp = _plain_number(timestamp)
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float):
        raise PointError(
            f'timestamp: saw {type(timestamp).__name__}, expected a number: Unix seconds, or '
            'milliseconds')
    if not -LAST_MILLISECOND_STAMP <= timestamp <= LAST_MILLISECOND_STAMP:
        raise PointError(
            f'timestamp: saw {timestamp!r}, expected at most {LAST_MILLISECOND_STAMP} ms')
    if timestamp <= 0:
        return now_ms
    if timestamp >= FIRST_MILLISECOND_STAMP:
        return int(timestamp)
    milliseconds = round(timestamp * 1000)
    return milliseconds if milliseconds >= FIRST_MILLISECOND_STAMP else timestamp


def _other_value(value: Any, data_class: str | None) -> tuple[str, Any]:
    value = _plain_number(value)
    if data_class is None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        data_class = 'metric' if is_number else 'event'
    if data_class == 'metric':
        return 'metric', _metric_value(value)
    if isinstance(value, str):
        value = trim(str(value), MAX_EVENT_TEXT_BYTES)
    elif value is not None and not isinstance(value, bool | int | float):
        value = _frozen(value)
    check_event_value(value)
    return data_class, value


def _metric_value(value: Any) -> int | float:
    if isinstance(value, int) and not isinstance(value, bool):
        value = int(value)  # of IntEnum and its like the number
        check_metric_value(value)
        return value if -_LARGEST_INTEGER <= value < _LARGEST_INTEGER else float(value)
    if isinstance(value, float):
        value = float(value)
    check_metric_value(value)
    number: float = value
    return number


def _plain_number(value: Any) -> Any:
    """Return Python's number for one of numpy's; anything else as it is."""
    if type(value).__module__ == 'numpy' and getattr(value, 'ndim', None) == 0:
        return value.item()
    return value


def _frozen(value: Any) -> Any:
    """Return an object or array as it is now: the caller may change it before it is sent."""
    try:
        text = json.dumps(value, separators=(',', ':'), ensure_ascii=False, allow_nan=False,
                          default=_plain)
        return encoding.standard_loads(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise PointError(f'value: cannot be written as JSON: {error}') from None


def _plain(value: Any) -> Any:
    if type(value).__module__ == 'numpy':
        return value.tolist()
    raise TypeError(f'saw a {type(value).__name__}')


def _tag_text(key: Any, value: Any) -> str:
    value = _plain_number(value)
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, int | float):
        return str(value)
    raise PointError(f'tags[{str(key)[:64]!r}]: saw {type(value).__name__}, expected a text')

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a point is: class, name, value, stamp and tags, with their limits.

Protocol sections 3, 4 and 19. A point travels as the JSON object of section 4.1; inside the
program it is that same `dict` (robot side, where it is written once and encoded once) or a
`ReceivedPoint` (gateway side, where it has been checked).
"""

from __future__ import annotations

from collections.abc import Mapping
import math
import re
from typing import Any
from typing import Literal
from typing import NamedTuple

from plexus_bridge import encoding
from plexus_bridge.errors import PointError

Point = dict[str, Any]
PointClass = Literal['metric', 'event']

MAX_NAME_BYTES = 256
MAX_SOURCE_ID_BYTES = 256
MAX_TAGS = 16
MAX_TAG_BYTES = 256
MAX_EVENT_TEXT_BYTES = 256
MAX_EVENT_JSON_BYTES = 4096
MAX_POINTS_PER_MESSAGE = 10_000
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_REQUEST_BYTES = 5 * 1024 * 1024

# Below it a stamp is read as seconds, from it on as milliseconds (section 4.3).
FIRST_MILLISECOND_STAMP = 1_000_000_000_000
# JavaScript's last day; what lies beyond is an error of the sender, not a date.
LAST_MILLISECOND_STAMP = 8_640_000_000_000_000

# A float can hold every integer up to here; larger ones are looked at one by one.
_SURELY_A_FLOAT = 2**1023
# What JSON libraries write and read as an integer.
_INTEGERS = range(-2**63, 2**64)
# Texts that are no longer, and ASCII, need no closer look.
_SHORT = 64

_SOURCE_ID = re.compile(r'[a-z0-9][a-z0-9._-]*')
_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


class ReceivedPoint(NamedTuple):
    """A checked point: `timestamp_ms` is Unix ms; `value` is finite where it is a float."""

    point_class: PointClass
    metric: str
    value: Any
    timestamp_ms: int
    tags: Mapping[str, str] | None


def check_source_id(source_id: object, *, refuse_uuid: bool = False) -> str:
    """Return the slug if it is one (section 3), else raise PointError saying what is wrong."""
    if not isinstance(source_id, str) or not source_id:
        raise PointError(f'source_id: saw {source_id!r}, expected a non-empty string')
    if len(source_id.encode(errors='replace')) > MAX_SOURCE_ID_BYTES:
        raise PointError(
            f'source_id: saw {len(source_id)} characters, expected at most '
            f'{MAX_SOURCE_ID_BYTES} bytes')
    if not _SOURCE_ID.fullmatch(source_id):
        raise PointError(
            f'source_id: saw {source_id!r}, expected lower-case letters, digits, ".", "_" and '
            '"-", beginning with a letter or digit')
    if refuse_uuid and _UUID.fullmatch(source_id):
        raise PointError(
            f'source_id: saw {source_id!r}, which has the shape of a UUID; the platform takes '
            'those for its own ids, so choose a name such as "husky-01"')
    return source_id


def trim(text: str, max_bytes: int) -> str:
    """
    Return a text cut to so many bytes of UTF-8 (3 or more), with "…" at its end where it was cut.

    Half a surrogate pair, which is no character, becomes "?".
    """
    if len(text) <= max_bytes and text.isascii():
        return text
    encoded = text.encode(errors='replace')
    if len(encoded) <= max_bytes:
        return encoded.decode()
    return encoded[:max_bytes - 3].decode(errors='ignore') + '…'


def infer_class(value: object) -> PointClass:
    """Return the class of a value that came without one (section 4.1)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 'metric'
    return 'event'


def milliseconds(stamp: object, now_ms: int) -> int:
    """
    Return a stamp as integer Unix ms (section 4.3): seconds are scaled, absent means `now_ms`.

    Raises PointError for what is no number or lies outside of the calendar.
    """
    if stamp is None:
        return now_ms
    if isinstance(stamp, bool) or not isinstance(stamp, int | float):
        raise PointError('timestamp must be a number')
    if not -LAST_MILLISECOND_STAMP <= stamp <= LAST_MILLISECOND_STAMP:  # catches NaN as well
        raise PointError(
            f'timestamp must lie within ±{LAST_MILLISECOND_STAMP} ms, saw {_shown(stamp)}')
    if stamp <= 0:
        return now_ms
    if stamp < FIRST_MILLISECOND_STAMP:
        return round(stamp * 1000)
    return int(stamp)


def read_point(raw: object, now_ms: int) -> ReceivedPoint:
    """Check one point as received (sections 4.1 to 4.3); PointError says what is wrong with it."""
    if type(raw) is not dict:
        raise PointError(f'must be an object, saw {type(raw).__name__}')
    metric = raw.get('metric')
    check_name(metric)
    value = raw.get('value')
    point_class = raw.get('class')
    if point_class is None:
        point_class = infer_class(value)
    if point_class == 'metric':
        check_metric_value(value)
    elif point_class == 'event':
        check_event_value(value)
    else:
        raise PointError(f'class must be "metric" or "event", saw {_shown(point_class)}')
    stamp = raw.get('timestamp')
    if type(stamp) is not int or not FIRST_MILLISECOND_STAMP <= stamp <= LAST_MILLISECOND_STAMP:
        stamp = milliseconds(stamp, now_ms)
    tags = raw.get('tags')
    if tags:
        check_tags(tags)
    elif tags is not None and type(tags) is not dict:
        raise PointError(f'tags must be an object, saw {type(tags).__name__}')
    point = ReceivedPoint(
        point_class, metric, value, stamp, tags or None)  # type: ignore[arg-type]
    session_id = raw.get('session_id')
    return point if session_id is None else with_session(point, session_id)


def with_session(point: ReceivedPoint, session_id: object) -> ReceivedPoint:
    """
    Return a point as one of a recording: the session is its tag `session_id` (section 11.4).

    That tag may be the seventeenth; a point that brings it already is left as it is.
    """
    if not isinstance(session_id, str):
        raise PointError(f'session_id must be a string, saw {type(session_id).__name__}')
    _check_text(session_id, 'session_id', MAX_TAG_BYTES)
    if not session_id or 'session_id' in (point.tags or ()):
        return point
    return point._replace(tags={**(point.tags or {}), 'session_id': session_id})


def read_points(raw: object, now_ms: int) -> list[ReceivedPoint]:
    """Check a message's points; PointError begins with ``points[i]`` for the first bad one."""
    if type(raw) is not list:
        raise PointError("'points' array is required")
    if len(raw) > MAX_POINTS_PER_MESSAGE:
        raise PointError(
            f'points: saw {len(raw)}, expected at most {MAX_POINTS_PER_MESSAGE} in one message')
    index = 0
    points = []
    try:
        for index, point in enumerate(raw):  # noqa: B007 - the except clause names it
            points.append(read_point(point, now_ms))
    except PointError as error:
        raise PointError(f'points[{index}].{error}') from None
    return points


def check_name(name: object) -> None:
    """Raise PointError unless this can be a metric's or event's name."""
    if type(name) is not str or not name:
        raise PointError('metric must be a non-empty string')
    if len(name) > _SHORT or not name.isascii():
        _check_text(name, 'metric', MAX_NAME_BYTES)


def check_metric_value(value: object) -> None:
    """Raise PointError unless a float can hold this number (a boolean is none, section 4.2)."""
    kind = type(value)
    if kind is float:
        if not math.isfinite(value):  # type: ignore[arg-type]
            raise PointError(f'value of a metric must be finite, saw {value!r}')
    elif kind is int:
        if not -_SURELY_A_FLOAT <= value <= _SURELY_A_FLOAT:  # type: ignore[operator]
            _check_reach(value)  # type: ignore[arg-type]
    else:
        raise PointError(f'value of a metric must be a number, saw {kind.__name__}')


def _check_reach(number: int) -> None:
    try:
        float(number)
    except OverflowError:
        raise PointError(
            'value of a metric must be finite as a float (at most 1.8e308), '
            f'saw {_shown(number)}') from None


def _shown(value: object) -> str:
    """Return what a message shows of a value: never much, and without half surrogate pairs."""
    if isinstance(value, int) and value not in _INTEGERS:
        return f'an integer of {value.bit_length()} bits'  # Python may refuse to write it
    if isinstance(value, str):
        return repr(value[:_SHORT])
    return repr(value) if isinstance(value, int | float) else type(value).__name__


def _check_text(text: str, what: str, max_bytes: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise PointError(
            f'{what} must be Unicode text, saw half a surrogate pair at character {error.start} '
            f'of {_shown(text)}') from None
    if size > max_bytes:
        raise PointError(f'{what} must be at most {max_bytes} bytes, saw {size}')


def check_event_value(value: object) -> None:
    """Raise PointError unless this can be an event's value (section 4.2)."""
    if value is None:
        raise PointError('value must not be null')
    if isinstance(value, str):
        _check_text(value, 'value of an event', MAX_EVENT_TEXT_BYTES)
    elif isinstance(value, dict | list):
        _check_event_json(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise PointError(f'value must be finite, saw {value!r}')
    elif not isinstance(value, int):
        raise PointError(f'value of an event cannot be a {type(value).__name__}')
    elif value not in _INTEGERS:
        raise PointError(
            f'value of an event must fit into 64 bits as an integer, saw {_shown(value)}')


def _check_event_json(value: object) -> None:
    try:
        # The standard one is for NaN and Inf, of which orjson would silently make null.
        encoding.standard_dumps(value)
        size = len(encoding.dumps(value))
    except (TypeError, ValueError) as error:
        raise PointError(f'value cannot be written as JSON: {error}') from None
    if size > MAX_EVENT_JSON_BYTES:
        raise PointError(
            f'value of an event must be at most {MAX_EVENT_JSON_BYTES} bytes of JSON, saw {size}')


def check_tags(tags: object) -> None:
    """Raise PointError unless these are at most 16 short texts by name (section 4.1)."""
    if type(tags) is not dict:
        raise PointError(f'tags must be an object, saw {type(tags).__name__}')
    if len(tags) > MAX_TAGS:
        raise PointError(f'tags must be at most {MAX_TAGS}, saw {len(tags)}')
    for key, value in tags.items():
        if type(key) is not str or type(value) is not str:
            raise PointError(f'tags[{_shown(key)}] must be a string, saw {type(value).__name__}')
        if len(key) > _SHORT or not key.isascii():
            _check_text(key, 'tags: a key', MAX_TAG_BYTES)
        if len(value) > _SHORT or not value.isascii():
            _check_text(value, f'tags[{_shown(key)}]', MAX_TAG_BYTES)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Times as the app API writes them, ISO 8601, and as the database keeps them, Unix ms."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta
from datetime import timezone
import re
import time

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND = timedelta(milliseconds=1)
_INSTANT = re.compile(
    r'([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,]([0-9]{1,9}))?'
    r'(?:([Zz])|([+-][0-9]{2}):?([0-9]{2}))')


def wall_ms() -> int:
    """Return the time as integer Unix ms."""
    return time.time_ns() // 1_000_000


def read_instant(text: str) -> int | None:
    """Return an ISO 8601 time with offset or Z as Unix ms, None if it is none."""
    found = _INSTANT.fullmatch(text)
    if found is None:
        return None
    day, clock, fraction, _, hours, minutes = found.groups()
    try:
        # Written so that the oldest Python in use can read it.
        moment = datetime.fromisoformat(
            f'{day}T{clock}{"" if clock.count(":") == 2 else ":00"}'
            f'.{(fraction or "").ljust(6, "0")[:6]}{hours or "+00"}:{minutes or "00"}')
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None


def write_instant(stamp_ms: int | None) -> str | None:
    """Return Unix ms as ISO 8601 in UTC, with milliseconds and Z."""
    if stamp_ms is None:
        return None
    moment = _EPOCH + stamp_ms * _MILLISECOND
    return moment.isoformat(timespec='milliseconds').replace('+00:00', 'Z')

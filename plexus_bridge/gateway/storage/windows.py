# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Time windows and intervals of the data API's queries (protocol section 12.3)."""

from __future__ import annotations

from datetime import datetime
from datetime import timedelta
from datetime import timezone
import re
from typing import NamedTuple

from plexus_bridge.errors import WindowError

RAW = 'raw'
BUCKET_MS = {'1m': 60_000, '10m': 600_000, '1h': 3_600_000, '1d': 86_400_000}
DEFAULT_WINDOW_MS = 3_600_000

UNIT_MS = {'m': 60_000, 'h': 3_600_000, 'd': 86_400_000}
_LAST = re.compile(r'([0-9]{1,9})([mhd])')
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Auto intervals aim at about 1000 points: windows shorter than this many ms get this interval.
_AUTO = ((10 * 60_000, RAW), (10 * 3_600_000, '1m'), (3 * 86_400_000, '10m'),
         (15 * 86_400_000, '1h'))


class Window(NamedTuple):
    """Unix ms, the end excluded."""

    start_ms: int
    end_ms: int


def read_window(last: str | None, start: str | None, end: str | None, now_ms: int) -> Window:
    """Return the window: `last` wins, nothing means the last hour; WindowError if unreadable."""
    if last is not None:
        found = _LAST.fullmatch(last)
        if not found:
            raise WindowError(f'last: saw {last[:40]!r}, expected digits and m, h or d, as in 15m')
        # The newest millisecond belongs to "the last hour", hence one beyond the present.
        return Window(max(0, now_ms - int(found[1]) * UNIT_MS[found[2]]), now_ms + 1)
    if start is None and end is None:
        return Window(now_ms - DEFAULT_WINDOW_MS, now_ms + 1)
    if start is None or end is None:
        raise WindowError('start and end: saw one of them, expected both or neither')
    return Window(_read_time('start', start), _read_time('end', end))


def read_interval(interval: str | None, window: Window) -> str:
    """Return `raw` or a bucket width, chosen by the window's length if none is asked for."""
    if interval is None:
        length = window.end_ms - window.start_ms
        return next((name for limit, name in _AUTO if length < limit), '1d')
    if interval != RAW and interval not in BUCKET_MS:
        raise WindowError(
            f'interval: saw {interval[:40]!r}, expected {", ".join((RAW, *BUCKET_MS))}')
    return interval


def _read_time(name: str, text: str) -> int:
    if re.fullmatch(r'[0-9]{1,16}', text):
        return int(text)
    # In an address a "+" that was not escaped arrives as a space; Python 3.10 knows no "Z".
    iso = re.sub(r'[Zz]\Z', '+00:00', text.replace(' ', '+') if 'T' in text else text)
    try:
        moment = datetime.fromisoformat(iso)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return (moment - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise WindowError(
            f'{name}: saw {text[:40]!r}, expected a time such as 2026-01-31T12:00:00Z') from None

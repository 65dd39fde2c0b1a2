# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Log lines as events: repeated ones folded, storms bounded, nothing left out without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
import re
from types import MappingProxyType
from typing import Any

from plexus_bridge.mapping.event_points import make_event
from plexus_bridge.mapping.event_points import SEVERITIES
from plexus_bridge.points import MAX_EVENT_TEXT_BYTES
from plexus_bridge.points import Point

# Lines that differ in numbers (or the identities of goals and the like) are the same complaint.
_NUMBERS = re.compile(
    r'[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]+|\d+(?:\.\d+)?')
# So many different complaints are known at a time; the oldest makes room.
MAX_FOLDS = 512
_MAX_KEY = 200
_NODES_TOLD = 5
_NO_TAGS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class LogLine:
    """One line of rcl_interfaces/msg/Log; `level` in its numbers, `stamp_ms` Unix ms."""

    level: int
    node: str
    text: str
    stamp_ms: int


@dataclass
class _Fold:
    """A complaint that was told, and how often it came since."""

    until_ms: int
    more: int = 0
    newest: LogLine | None = None


class LogFolder:
    """
    Tells a line at once, then its repetitions together each `fold_s`.

    At most `burst` events at once and `per_s` in the long run; what is beyond is counted and told
    as one event. `now_ms` is any clock that only grows.
    """

    def __init__(self, event: str, tell: Callable[[Point], object], *,
                 tags: Mapping[str, str] = _NO_TAGS, fold_s: float = 10.0, per_s: float = 5.0,
                 burst: int = 20):
        self._event = event
        self._tell = tell
        self._tags = tags
        self._fold_ms = round(fold_s * 1000)
        self._per_ms = per_s / 1000
        self._burst = burst
        self._left = float(burst)
        self._filled_ms: int | None = None
        self._folds: dict[tuple[int, str, str], _Fold] = {}
        self._suppressed: Counter[str] = Counter()
        self._suppressed_level = 0
        self._suppressed_until_ms = 0
        self._newest_ms = 0

    def offer(self, line: LogLine, now_ms: int) -> None:
        """Take a line; `settle` is called now and then between."""
        key = (line.level, line.node, _NUMBERS.sub('#', line.text[:_MAX_KEY]))
        fold = self._folds.get(key)
        if fold is not None:
            fold.more += 1
            fold.newest = line
            return
        if len(self._folds) >= MAX_FOLDS:
            self._ration_fold(self._folds.pop(next(iter(self._folds))), now_ms)
        self._folds[key] = _Fold(now_ms + self._fold_ms)
        self._tell_line(line, 0, now_ms)

    def settle(self, now_ms: int) -> None:
        """Tell what was folded long enough, and what was suppressed."""
        for key, fold in list(self._folds.items()):
            if now_ms < fold.until_ms:
                break  # they end in the order in which they began
            del self._folds[key]
            if fold.newest is not None:
                # It goes on: the next repetition is folded, too.
                self._folds[key] = _Fold(now_ms + self._fold_ms)
                self._ration_fold(fold, now_ms)
        if self._suppressed and now_ms >= self._suppressed_until_ms:
            self._tell_suppressed()

    def finish(self) -> None:
        """Tell everything: no more will come."""
        for fold in self._folds.values():
            self._tell_fold(fold)
        self._folds.clear()
        if self._suppressed:
            self._tell_suppressed()

    def _tell_fold(self, fold: _Fold) -> None:
        if fold.newest is not None:
            self._tell(self._make(fold.newest, fold.more))

    def _ration_fold(self, fold: _Fold, now_ms: int) -> None:
        # Many lines that come twice each are a storm as much as many that come once.
        if fold.newest is not None:
            self._tell_line(fold.newest, fold.more, now_ms)

    def _tell_line(self, line: LogLine, more: int, now_ms: int) -> None:
        if self._filled_ms is not None:
            self._left = min(
                self._burst, self._left + (now_ms - self._filled_ms) * self._per_ms)
        self._filled_ms = now_ms
        if self._left >= 1:
            self._left -= 1
            self._tell(self._make(line, more))
            return
        if not self._suppressed:
            self._suppressed_until_ms = now_ms + self._fold_ms
        self._suppressed[line.node] += more or 1
        self._suppressed_level = max(self._suppressed_level, line.level)
        self._newest_ms = line.stamp_ms

    def _tell_suppressed(self) -> None:
        value: dict[str, Any] = {
            'lines': self._suppressed.total(),
            'nodes': dict(self._suppressed.most_common(_NODES_TOLD))}
        self._tell(make_event(
            f'{self._event}.suppressed', value, self._newest_ms, self._tags,
            severity_of(self._suppressed_level)))
        self._suppressed.clear()
        self._suppressed_level = 0

    def _make(self, line: LogLine, more: int) -> Point:
        value: Any = line.text
        if more or len(line.text.encode(errors='replace')) > MAX_EVENT_TEXT_BYTES:
            value = {'message': line.text}
            if more:
                value['repeated'] = more
        return make_event(self._event, value, line.stamp_ms, self._tags, severity_of(line.level),
                          {'node': line.node})


def severity_of(level: int) -> str:
    """Return the name of the severity that a level has at least."""
    return next((name for bound, name in sorted(SEVERITIES.items(), reverse=True)
                 if level >= bound), 'debug')

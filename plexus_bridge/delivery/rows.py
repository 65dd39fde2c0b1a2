# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Points of many metrics kept as rows of numbers until they are encoded.

A robot's metrics come in groups, always the same ones together. Kept as one tuple for each
message and written by one function, they cost a third of what an object for each point does.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.delivery.frames import MAX_FRAME_BYTES
from plexus_bridge.mapping.generated import make_function
from plexus_bridge.mapping.sinks import MetricName

# What is encoded at once, at most; small enough for frames to be filled well.
_PIECE_BYTES = MAX_FRAME_BYTES // 2


class Rows:
    """Rows ``(v1, …, vn, stamp)`` of finite numbers, a column for each of `metrics`."""

    def __init__(self, metrics: Sequence[MetricName]):
        self._rows: list[tuple[Any, ...]] = []
        self.columns = len(metrics)
        self.longest_row = _longest_row(metrics)
        self.write = _row_writer(metrics)
        self.add = self._rows.append

    def __len__(self) -> int:
        """Return how many points there are."""
        return len(self._rows) * self.columns

    def take(self) -> list[tuple[Any, ...]]:
        """Return all rows; then there are none."""
        rows = self._rows.copy()
        self._rows.clear()
        return rows


def encode_rows(groups: Iterable[Rows]) -> Iterator[tuple[int, bytes]]:
    """Yield all groups' rows as (points, their JSON objects with commas between them)."""
    piece = _Piece()
    for group in groups:
        rows = group.take()
        while rows:
            room = (_PIECE_BYTES - piece.longest) // group.longest_row
            if piece.points and room < 1:
                yield piece.encode()
                piece = _Piece()
            else:
                piece.add(group, rows[:max(room, 1)])
                del rows[:max(room, 1)]
    if piece.points:
        yield piece.encode()


class _Piece:
    """Rows of several groups that are encoded at once."""

    def __init__(self) -> None:
        self.points = 0
        self.longest = 0
        self._rows: list[tuple[Any, ...]] = []
        self._writes: list[Callable[..., str]] = []

    def add(self, group: Rows, rows: Sequence[tuple[Any, ...]]) -> None:
        self.points += len(rows) * group.columns
        self.longest += len(rows) * group.longest_row
        self._rows += rows
        self._writes += [group.write] * len(rows)

    def encode(self) -> tuple[int, bytes]:
        # One call writes all numbers; the texts around them never change.
        numbers = encoding.dumps(self._rows)[2:-2].decode().split('],[')
        return self.points, ','.join(
            [write(*row.split(',')) for write, row in zip(self._writes, numbers, strict=True)]
        ).encode()


def _longest_row(metrics: Sequence[MetricName]) -> int:
    """Return how many bytes a row takes at most, if no number takes more than 25."""
    return sum(len(encoding.dumps([name.metric, dict(name.tags or {})])) + 120
               for name in metrics)


def _row_writer(metrics: Sequence[MetricName]) -> Callable[..., str]:
    """Return a function from the numbers of a row, as texts, to its points' JSON."""
    names = {}
    text = ''
    for index, name in enumerate(metrics):
        head = {'class': 'metric', 'metric': name.metric}
        if name.tags:
            head['tags'] = dict(name.tags)  # type: ignore[assignment]
        names[f'head{index}'] = f'{encoding.dumps(head)[:-1].decode()},"value":'
        text += (',' if index else '') + f'{{head{index}}}{{v{index}}},"timestamp":{{stamp}}}}}}'
    arguments = ', '.join(f'v{index}' for index in range(len(metrics)))
    source = f"def function({arguments}, stamp): return f'{text}'"
    return make_function(source, names, '<writer of rows>')

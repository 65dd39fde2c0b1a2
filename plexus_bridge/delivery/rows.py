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


class Columns:
    """What a row ``(v1, …, vn, stamp)`` of finite numbers is about: a metric for each number."""

    def __init__(self, metrics: Sequence[MetricName]):
        self.count = len(metrics)
        self.longest_row = _longest_row(metrics)
        self.write = _row_writer(metrics)


# A row and what it is about. All topics' rows wait in one list: with a list for each, two hundred
# topics would cost more to look through than what is in them.
Row = tuple[Columns, tuple[Any, ...]]


def count_points(rows: Iterable[Row]) -> int:
    """Return how many points rows are."""
    return sum([columns.count for columns, _ in rows])


def encode_rows(rows: Sequence[Row]) -> Iterator[tuple[int, bytes]]:
    """Yield rows as (points, their JSON objects with commas between them)."""
    start = size = 0
    for index, (columns, _) in enumerate(rows):
        size += columns.longest_row
        if size > _PIECE_BYTES and index > start:
            yield _encode(rows[start:index])
            start = index
            size = columns.longest_row
    if rows:
        yield _encode(rows[start:])


def _encode(rows: Sequence[Row]) -> tuple[int, bytes]:
    # One call writes all numbers; the texts around them never change.
    numbers = encoding.dumps([values for _, values in rows])[2:-2].decode().split('],[')
    return count_points(rows), ','.join(
        [columns.write(*row.split(',')) for (columns, _), row in zip(rows, numbers, strict=True)]
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

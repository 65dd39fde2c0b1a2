# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Points of many metrics kept as rows of numbers until they are encoded.

A robot's metrics come in groups, always the same ones together. Kept as one tuple for each
message and written by one function, they cost a third of what an object for each point does.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.delivery.frames import MAX_FRAME_BYTES
from plexus_bridge.delivery.frames import PIECE_POINTS
from plexus_bridge.mapping.sinks import MetricName


class Rows:
    """Rows ``(v1, …, vn, stamp)`` of finite numbers, a column for each of `metrics`."""

    def __init__(self, metrics: Sequence[MetricName]):
        self._rows: list[tuple[Any, ...]] = []
        self._columns = len(metrics)
        self._step = max(1, min(
            PIECE_POINTS // self._columns, MAX_FRAME_BYTES // _longest_row(metrics)))
        self._write = _row_writer(metrics)
        self.add = self._rows.append

    def __len__(self) -> int:
        """Return how many points there are."""
        return len(self._rows) * self._columns

    def encode(self) -> Iterator[tuple[int, bytes]]:
        """Yield (points, their JSON objects with commas between them); then there are none."""
        for start in range(0, len(self._rows), self._step):
            rows = self._rows[start:start + self._step]
            # One call writes all numbers; the texts around them never change.
            numbers = encoding.dumps(rows)[2:-2].decode().split('],[')
            yield len(rows) * self._columns, ','.join(
                [self._write(*row.split(',')) for row in numbers]).encode()
        self._rows.clear()


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
    source = f"def write({arguments}, stamp): return f'{text}'"
    exec(compile(source, '<writer of rows>', 'exec'), names)
    write: Callable[..., str] = names['write']  # type: ignore[assignment]
    return write

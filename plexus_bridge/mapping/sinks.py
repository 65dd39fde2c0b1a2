# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Where mapping hands its points to."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Protocol
from typing import runtime_checkable

from plexus_bridge.points import Point

Add = Callable[[Point], object]
AddRow = Callable[[tuple[Any, ...]], object]


@dataclass(frozen=True)
class MetricName:
    """A metric and its tags, within their limits."""

    metric: str
    tags: Mapping[str, str] = field(default_factory=dict)


class Sink(Protocol):
    """Takes points, one by one or a whole message's at once."""

    @property
    def add(self) -> Add:
        """What takes one point."""

    def add_rows(self, metrics: Sequence[MetricName]) -> AddRow:
        """
        Return what takes rows of finite numbers, ``(v1, …, vn, stamp)``.

        Each row is a point for each of the metrics; an object for each would cost more than
        all the rest.
        """


@runtime_checkable
class CountingSink(Protocol):
    """A sink that can tell how many points one step added, at no cost for each of them."""

    def begin(self) -> None:
        """Begin to count."""

    def added(self) -> int:
        """Return how many points came since `begin`; nobody may have taken any out meanwhile."""


class PointSink:
    """Hands every point to one function."""

    def __init__(self, add: Add):
        self.add = add

    def add_rows(self, metrics: Sequence[MetricName]) -> AddRow:
        """Return what makes single points of a row."""
        def add_row(row: tuple[Any, ...]) -> None:
            for name, value in zip(metrics, row[:-1], strict=True):
                self.add(make_point(name, value, row[-1]))

        return add_row


def make_point(name: MetricName, value: Any, stamp: int) -> Point:
    """Return a metric's point as it travels (protocol section 4.1)."""
    point: Point = {
        'class': 'metric', 'metric': name.metric, 'value': value, 'timestamp': stamp}
    if name.tags:
        point['tags'] = name.tags
    return point

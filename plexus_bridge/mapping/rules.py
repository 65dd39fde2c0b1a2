# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a map asks for, as typed objects; the schema in plexus_bridge/config says it in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Literal

from plexus_bridge.mapping.paths import Path

LaneName = Literal['urgent', 'state', 'bulk']

STATISTICS = ('mean', 'min', 'max', 'std', 'count', 'last', 'rate')


@dataclass(frozen=True)
class Sampling:
    """
    Which messages are used: the newest at `rate_hz`, every one, or statistics of `window_s`.

    `stats` are names of STATISTICS; each makes a metric of its own.
    """

    mode: Literal['latest', 'every', 'window'] = 'latest'
    rate_hz: float = 10.0
    window_s: float = 1.0
    stats: tuple[str, ...] = ('mean', 'min', 'max')


@dataclass(frozen=True)
class Change:
    """
    Leave out values that differ from the last one sent by no more than either bound.

    `relative` is a fraction of the last value. After `resend_s` even an unchanged value is sent.
    """

    absolute: float = 0.0
    relative: float = 0.0
    resend_s: float | None = None


@dataclass(frozen=True)
class FieldRule:
    """
    One value of a message, or several of one path, on the way to metrics.

    In this order: `bit` of an integer, the steps of `transforms` (``as:``), × scale + offset,
    `values` (a text for each number). `key` leads to the names of several values; they replace
    ``{its last field}`` in `metric`. Tags may hold ``{path}`` of a field too. Where `is_event`,
    each change is an event named `metric`; `severities` has that of a text, or of all others
    under an empty one.
    """

    path: Path
    metric: str
    key: Path | None = None
    bit: int | None = None
    transforms: tuple[str, ...] = ()
    scale: float = 1.0
    offset: float = 0.0
    values: Mapping[int | str, str] | None = None
    not_finite: Literal['skip', 'text'] = 'skip'
    covariance: Path | None = None
    change: Change | None = None
    sampling: Sampling = Sampling()
    tags: Mapping[str, str] = field(default_factory=dict)
    lane: LaneName = 'state'
    is_event: bool = False
    severities: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricRule:
    """
    One topic, or all that a pattern matches; no `fields` stands for the built-in map of the type.

    `place` tells where the rule stands in the map file.
    """

    topic: str
    type: str | None = None
    prefix: str | None = None
    fields: tuple[FieldRule, ...] = ()
    sampling: Sampling = Sampling()
    timestamp: Literal['header', 'receive'] = 'header'
    tags: Mapping[str, str] = field(default_factory=dict)
    lane: LaneName = 'state'
    place: tuple[str | int, ...] = ()

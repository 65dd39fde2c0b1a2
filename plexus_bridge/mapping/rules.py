# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a map asks for, as typed objects; the schema in plexus_bridge/config says it in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Literal

from plexus_bridge.mapping.paths import Path

LaneName = Literal['state', 'bulk']


@dataclass(frozen=True)
class Sampling:
    """Which messages of a topic are used; `rate_hz` limits mode ``latest``."""

    mode: Literal['latest', 'every'] = 'latest'
    rate_hz: float = 10.0


@dataclass(frozen=True)
class FieldRule:
    """
    One value of a message, or several of one path: value × scale + offset.

    `key` leads to the names of several; they replace ``{its last field}`` in `metric`.
    """

    path: Path
    metric: str
    key: Path | None = None
    scale: float = 1.0
    offset: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)
    lane: LaneName = 'state'


@dataclass(frozen=True)
class MetricRule:
    """
    One topic; no `fields` stands for the built-in map of the message type.

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

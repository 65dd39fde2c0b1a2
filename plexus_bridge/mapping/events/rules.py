# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a map's `events` ask for, as typed objects; the schema says it in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Literal

from plexus_bridge.mapping.events.condition import ConditionRule
from plexus_bridge.mapping.paths import Path
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule

ACTION_STATUS = '/_action/status'
TRANSITIONS = '/transition_event'
WARN = 30


@dataclass(frozen=True)
class CaptureRule:
    """What is kept in memory and sent at full rate around an event; times in s."""

    rules: tuple[MetricRule, ...]
    before_s: float = 10.0
    after_s: float = 5.0
    max_mb: float = 16.0


@dataclass(frozen=True)
class EventRule:
    """
    One topic whose messages become events; what has no meaning for its type is at its default.

    No `fields` and no `when` stand for what the type itself says: levels of diagnostics, log
    lines, ends of goals, transitions, texts and truths.
    """

    topic: str
    type: str | None = None
    # Name of the events, empty for what the type gives; {name} and wildcards are filled in.
    event: str = ''
    severity: str = ''
    fields: tuple[FieldRule, ...] = ()
    when: ConditionRule | None = None
    when_path: Path | None = None
    # Diagnostics.
    stale_s: float = 10.0
    metrics: str = ''
    # Log lines.
    min_level: int = WARN
    nodes: tuple[str, ...] = ()
    fold_s: float = 10.0
    max_per_s: float = 5.0
    # Ends of goals.
    ends: tuple[str, ...] = ('aborted', 'canceled')
    capture: CaptureRule | None = None
    timestamp: Literal['header', 'receive'] = 'header'
    tags: Mapping[str, str] = field(default_factory=dict)
    place: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class GraphRule:
    """Nodes or topics that appear and vanish; `names` as of NameFilter."""

    kind: Literal['nodes', 'topics']
    names: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

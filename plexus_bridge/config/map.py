# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A robot's map as typed objects; `load_map` is the way from a file to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Literal

from plexus_bridge.commands.steps import CommandRule
from plexus_bridge.config.document import Document
from plexus_bridge.config.document import load_schema
from plexus_bridge.config.document import read_document
from plexus_bridge.config.gateway_url import check_gateway_url
from plexus_bridge.config.map_commands import read_commands
from plexus_bridge.config.map_events import read_events
from plexus_bridge.config.map_metrics import read_metric_rule
from plexus_bridge.config.map_teleop import DRIVING
from plexus_bridge.config.map_teleop import read_teleop
from plexus_bridge.config.map_teleop import TeleopRule
from plexus_bridge.config.map_video import read_video
from plexus_bridge.config.metric_names import check_same_names
from plexus_bridge.errors import ConfigError
from plexus_bridge.errors import PointError
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.events.rules import GraphRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.points import check_source_id
from plexus_bridge.video.rules import CameraRule

SCHEMA = 'map.schema.json'


@dataclass(frozen=True)
class Delivery:
    """How points are kept and sent; see the schema for each."""

    flush_ms: int = 100
    durability: Literal['always', 'outage'] = 'always'
    max_disk_mb: float = 256.0
    min_free_disk_mb: float = 256.0
    max_bytes_per_s: float | None = None
    own_metrics: bool = True


@dataclass(frozen=True)
class Execute:
    """Programs that may be started from afar; see the schema for each."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    timeout_s: float = 300.0


@dataclass(frozen=True)
class RobotMap:
    """A whole map file, checked; `document` tells where in the file each part stands."""

    document: Document
    source_id: str | None = None
    gateway_url: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[MetricRule, ...] = ()
    events: tuple[EventRule, ...] = ()
    graph: tuple[GraphRule, ...] = ()
    commands: tuple[CommandRule, ...] = ()
    execute: Execute = Execute()
    configurable_nodes: tuple[str, ...] = ()
    video: tuple[CameraRule, ...] = ()
    teleop: TeleopRule | None = None
    delivery: Delivery = Delivery()

    def summary(self) -> str:
        """Return what is in it, for people: ``5 metric rules, 1 camera``; '' for nothing."""
        graph = len(self.events) + len(self.graph)
        counted = [f'{count} {name}{"" if count == 1 else "s"}' for count, name in (
            (len(self.metrics), 'metric rule'), (graph, 'event rule'), (len(self.video), 'camera'),
            (len(self.commands), 'command')) if count]
        return ', '.join([*counted, *(name for name, has in (
            ('teleop', self.teleop is not None), ('execute', bool(self.execute.allow)),
            ('configurable_nodes', bool(self.configurable_nodes))) if has)])


def load_map(file: Path | str, environment: Mapping[str, str] | None = None) -> RobotMap:
    """Read and check a map file; ConfigError has every problem as file:line:column."""
    document = read_document(file, environment)
    document.check(load_schema(SCHEMA))
    if not isinstance(document.value, dict):
        document.raise_problems()
    # What the schema finds no fault with is read all the same: all problems are told at once.
    robot_map = _robot_map(document)
    document.raise_problems()
    return robot_map


def _robot_map(document: Document) -> RobotMap:
    body: dict[str, Any] = {
        key: section for key, section in document.value.items()
        if (document.is_whole((key,)) if key != 'metrics' else ('metrics',) not in document.wrong)}
    source_id = body.get('source_id')
    if source_id is not None:
        try:
            check_source_id(source_id, refuse_uuid=True)
        except PointError as error:
            document.problem(('source_id',), str(error).removeprefix('source_id: '))
    gateway_url = body.get('gateway', {}).get('url')
    if gateway_url is not None:
        try:
            check_gateway_url(gateway_url)
        except ConfigError as error:
            document.problem(('gateway', 'url'), str(error).removeprefix('gateway url: '))
    tags = body.get('tags', {})
    events, graph = read_events(document, body.get('events', []), tags)
    metrics = tuple(
        read_metric_rule(document, ('metrics', index), rule, tags)
        for index, rule in enumerate(body.get('metrics', []))
        if document.is_whole(('metrics', index), but='fields'))
    if not document.problems:
        check_same_names(document, metrics)
    return RobotMap(
        document=document,
        source_id=source_id,
        gateway_url=gateway_url,
        tags=tags,
        metrics=metrics,
        events=events,
        graph=graph,
        commands=read_commands(
            document, body.get('commands', []), DRIVING if 'teleop' in body else ()),
        execute=_execute(body.get('execute', {})),
        configurable_nodes=tuple(body.get('configurable_nodes', ())),
        video=read_video(document, body.get('video', [])),
        teleop=read_teleop(document, body['teleop']) if 'teleop' in body else None,
        delivery=_delivery(body.get('delivery', {})))


def _execute(body: dict[str, Any]) -> Execute:
    return Execute(tuple(body.get('allow', ())), tuple(body.get('deny', ())),
                   float(body.get('timeout_s', Execute.timeout_s)))


def _delivery(body: dict[str, Any]) -> Delivery:
    # JSON Schema takes 50.0 for a whole number, too.
    whole = {'flush_ms': int(body['flush_ms'])} if 'flush_ms' in body else {}
    return Delivery(**{**body, **whole})

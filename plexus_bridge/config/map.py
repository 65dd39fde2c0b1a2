# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A robot's map as typed objects; `load_map` is the way from a file to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from plexus_bridge.config.document import Document
from plexus_bridge.config.document import load_schema
from plexus_bridge.config.document import Place
from plexus_bridge.config.document import read_document
from plexus_bridge.errors import MappingError
from plexus_bridge.errors import PointError
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import LaneName
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.points import check_source_id
from plexus_bridge.points import MAX_TAGS

DEFAULT_GATEWAY_URL = 'http://127.0.0.1:8787'
SCHEMA = 'map.schema.json'

@dataclass(frozen=True)
class Delivery:
    """How points are kept and sent; see the schema for each."""

    flush_ms: int = 50
    max_disk_mb: float = 256.0


@dataclass(frozen=True)
class RobotMap:
    """A whole map file, checked; `document` tells where in the file each part stands."""

    document: Document
    source_id: str | None = None
    gateway_url: str = DEFAULT_GATEWAY_URL
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[MetricRule, ...] = ()
    delivery: Delivery = Delivery()


def load_map(file: Path | str, environment: Mapping[str, str] | None = None) -> RobotMap:
    """Read and check a map file; ConfigError has every problem as file:line:column."""
    document = read_document(file, environment)
    document.check(load_schema(SCHEMA))
    document.raise_problems()
    robot_map = _robot_map(document)
    document.raise_problems()
    return robot_map


def _robot_map(document: Document) -> RobotMap:
    body: dict[str, Any] = document.value
    source_id = body.get('source_id')
    if source_id is not None:
        try:
            check_source_id(source_id, refuse_uuid=True)
        except PointError as error:
            document.problem(('source_id',), str(error).removeprefix('source_id: '))
    tags = body.get('tags', {})
    return RobotMap(
        document=document,
        source_id=source_id,
        gateway_url=body.get('gateway', {}).get('url', DEFAULT_GATEWAY_URL),
        tags=tags,
        metrics=tuple(
            _metric_rule(document, ('metrics', index), rule, tags)
            for index, rule in enumerate(body.get('metrics', []))),
        delivery=Delivery(**body.get('delivery', {})))


def _metric_rule(
        document: Document, place: Place, body: dict[str, Any], map_tags: Mapping[str, str]
) -> MetricRule:
    tags = {**map_tags, **body.get('tags', {})}
    lane = body.get('lane', 'state')
    sampling = body.get('sampling', {})
    if sampling.get('mode') == 'every' and 'rate_hz' in sampling:
        document.problem(
            (*place, 'sampling', 'rate_hz'),
            'has no meaning with mode every, which uses each message; use mode latest')
    if body.get('fields') and 'prefix' in body:
        document.problem(
            (*place, 'prefix'), 'has no meaning beside fields, whose metrics are named in full')
    fields = tuple(
        rule for index, field_body in enumerate(body.get('fields', []))
        if (rule := _field_rule(document, (*place, 'fields', index), field_body, tags, lane)))
    message_type = body.get('type')
    if message_type and message_type.count('/') == 1:
        message_type = message_type.replace('/', '/msg/')
    return MetricRule(
        topic=body['topic'], type=message_type, prefix=body.get('prefix'), fields=fields,
        sampling=Sampling(**sampling), timestamp=body.get('timestamp', 'header'), tags=tags,
        lane=lane, place=place)


def _field_rule(
        document: Document, place: Place, body: dict[str, Any],
        rule_tags: Mapping[str, str], lane: LaneName) -> FieldRule | None:
    paths = {}
    for name in ('path', 'key'):
        try:
            paths[name] = parse_path(body[name]) if name in body else None
        except MappingError as error:
            document.problem((*place, name), str(error))
    path = paths.get('path')
    if path is None or 'key' not in paths:
        return None
    tags = {**rule_tags, **body.get('tags', {})}
    if 'unit' in body:
        tags['unit'] = body['unit']
    if len(tags) > MAX_TAGS:
        document.problem(
            place, f'saw {len(tags)} tags with those of the rule, the map and the unit, expected '
            f'at most {MAX_TAGS}')
    return FieldRule(
        path=path, metric=body['metric'], key=paths['key'], scale=body.get('scale', 1.0),
        offset=body.get('offset', 0.0), tags=tags, lane=body.get('lane', lane))

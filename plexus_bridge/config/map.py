# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A robot's map as typed objects; `load_map` is the way from a file to them."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Literal

from plexus_bridge.commands.steps import CommandRule
from plexus_bridge.config.document import Document
from plexus_bridge.config.document import load_schema
from plexus_bridge.config.document import Place
from plexus_bridge.config.document import read_document
from plexus_bridge.config.gateway_url import check_gateway_url
from plexus_bridge.config.map_commands import read_commands
from plexus_bridge.config.map_teleop import read_teleop
from plexus_bridge.config.map_teleop import TeleopRule
from plexus_bridge.config.map_video import read_video
from plexus_bridge.errors import ConfigError
from plexus_bridge.errors import MappingError
from plexus_bridge.errors import PointError
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.rules import Change
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import LaneName
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.mapping.topic_pattern import TopicPattern
from plexus_bridge.points import check_source_id
from plexus_bridge.points import MAX_TAGS
from plexus_bridge.video.rules import CameraRule

DEFAULT_GATEWAY_URL = 'http://127.0.0.1:8787'
SCHEMA = 'map.schema.json'
# The tag of points from a simulation, which comes on top of those in the map.
CLOCK_TAG = 'clock'


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
class RobotMap:
    """A whole map file, checked; `document` tells where in the file each part stands."""

    document: Document
    source_id: str | None = None
    gateway_url: str = DEFAULT_GATEWAY_URL
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[MetricRule, ...] = ()
    commands: tuple[CommandRule, ...] = ()
    video: tuple[CameraRule, ...] = ()
    teleop: TeleopRule | None = None
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
    gateway_url = body.get('gateway', {}).get('url', DEFAULT_GATEWAY_URL)
    try:
        check_gateway_url(gateway_url)
    except ConfigError as error:
        document.problem(('gateway', 'url'), str(error).removeprefix('gateway url: '))
    tags = body.get('tags', {})
    return RobotMap(
        document=document,
        source_id=source_id,
        gateway_url=gateway_url,
        tags=tags,
        metrics=tuple(
            _metric_rule(document, ('metrics', index), rule, tags)
            for index, rule in enumerate(body.get('metrics', []))),
        commands=read_commands(document, body.get('commands', [])),
        video=read_video(document, body.get('video', [])),
        teleop=read_teleop(document, body['teleop']) if 'teleop' in body else None,
        delivery=_delivery(body.get('delivery', {})))


def _delivery(body: dict[str, Any]) -> Delivery:
    # JSON Schema takes 50.0 for a whole number, too.
    whole = {'flush_ms': int(body['flush_ms'])} if 'flush_ms' in body else {}
    return Delivery(**{**body, **whole})


def _metric_rule(
        document: Document, place: Place, body: dict[str, Any], map_tags: Mapping[str, str]
) -> MetricRule:
    tags = {**map_tags, **body.get('tags', {})}
    lane = body.get('lane', 'state')
    sampling = _sampling(document, place, body) or Sampling()
    try:
        TopicPattern(body['topic'])
    except MappingError as error:
        document.problem((*place, 'topic'), str(error))
    if body.get('fields') and 'prefix' in body:
        document.problem(
            (*place, 'prefix'), 'has no meaning beside fields, whose metrics are named in full')
    defaults = _Defaults(tags, lane, sampling)
    fields = tuple(
        rule for index, field_body in enumerate(body.get('fields', []))
        if (rule := _field_rule(document, (*place, 'fields', index), field_body, defaults)))
    if not body.get('fields'):  # the built-in maps add units
        _check_tag_count(document, place, {*tags, 'unit'})
    message_type = body.get('type')
    if message_type and message_type.count('/') == 1:
        message_type = message_type.replace('/', '/msg/')
    return MetricRule(
        topic=body['topic'], type=message_type, prefix=body.get('prefix'), fields=fields,
        sampling=sampling, timestamp=body.get('timestamp', 'header'), tags=tags, lane=lane,
        place=place)


# Which keys of sampling belong to which mode.
_SAMPLING_KEYS = {'latest': {'rate_hz'}, 'every': set(), 'window': {'window_s', 'stats'}}


def _sampling(document: Document, place: Place, body: dict[str, Any]) -> Sampling | None:
    sampling = body.get('sampling')
    if sampling is None:
        return None
    mode = sampling['mode']
    for key in sampling:
        if key != 'mode' and key not in _SAMPLING_KEYS[mode]:
            owner = next(mode for mode, keys in _SAMPLING_KEYS.items() if key in keys)
            document.problem(
                (*place, 'sampling', key),
                f'has no meaning with mode {mode}; it belongs to mode {owner}')
            return Sampling(mode)
    if 'stats' in sampling:
        sampling = {**sampling, 'stats': tuple(sampling['stats'])}
    return Sampling(**sampling)


@dataclass(frozen=True)
class _Defaults:
    """What a rule says for all of its fields."""

    tags: Mapping[str, str]
    lane: LaneName
    sampling: Sampling


def _field_rule(document: Document, place: Place, body: dict[str, Any], defaults: _Defaults
                ) -> FieldRule | None:
    paths = {}
    for name in ('path', 'key'):
        try:
            paths[name] = parse_path(body[name]) if name in body else None
        except MappingError as error:
            document.problem((*place, name), str(error))
    path = paths.get('path')
    if path is None or 'key' not in paths:
        return None
    transforms = body.get('as', ())
    sampling = _sampling(document, place, body) or defaults.sampling
    return FieldRule(
        path=path, metric=body['metric'], key=paths['key'],
        bit=int(body['bit']) if 'bit' in body else None,
        transforms=(transforms,) if isinstance(transforms, str) else tuple(transforms),
        scale=body.get('scale', 1.0), offset=body.get('offset', 0.0),
        values=_values(document, place, body), not_finite=body.get('not_finite', 'skip'),
        change=_change(document, place, body, sampling), sampling=sampling,
        tags=_tags(document, place, body, defaults.tags), lane=body.get('lane', defaults.lane))


def _tags(document: Document, place: Place, body: dict[str, Any], rule_tags: Mapping[str, str]
          ) -> Mapping[str, str]:
    tags = {**rule_tags, **body.get('tags', {})}
    if 'unit' in body:
        tags['unit'] = body['unit']
    _check_tag_count(document, place, tags)
    return tags


def _check_tag_count(document: Document, place: Place, tags: Iterable[str]) -> None:
    """Note too many: one point with too many tags has its whole frame refused."""
    count = len(set(tags) - {CLOCK_TAG})
    if count > MAX_TAGS - 1:
        document.problem(
            place, f'saw {count} tags with those of the map, the rule and the unit, expected at '
            f'most {MAX_TAGS - 1}, and one is kept for {CLOCK_TAG!r}, which marks simulated time')


def _values(document: Document, place: Place, body: dict[str, Any]
            ) -> Mapping[int | str, str] | None:
    if 'values' not in body:
        return None
    for key in ('scale', 'offset', 'unit'):
        if key in body:
            document.problem((*place, key), 'has no meaning beside values, which give texts')
    values: dict[int | str, str] = {}
    for key, text in body['values'].items():
        if key in _TRUTHS:
            values[_TRUTHS[key]] = text
            continue
        try:
            values[int(key, 0)] = text
        except ValueError:
            document.problem(
                (*place, 'values', key), f'saw {key!r}, expected a whole number, true or false')
    return values


_TRUTHS = {'true': 1, 'True': 1, 'false': 0, 'False': 0}


def _change(document: Document, place: Place, body: dict[str, Any], sampling: Sampling
            ) -> Change | None:
    asked = [key for key in ('deadband', 'on_change') if body.get(key) not in (None, False)]
    if not asked:
        if 'resend_s' in body and 'values' not in body:
            document.problem(
                (*place, 'resend_s'), 'has no meaning without deadband, on_change or values')
        return Change(resend_s=body['resend_s']) if 'resend_s' in body else None
    if sampling.mode == 'window':
        document.problem(
            (*place, asked[0]), 'has no meaning with sampling mode window, which sends one value '
            'for each window')
    deadband = body.get('deadband', 0.0)
    if isinstance(deadband, str):
        return Change(relative=float(deadband[:-1]) / 100, resend_s=body.get('resend_s'))
    return Change(absolute=deadband, resend_s=body.get('resend_s'))

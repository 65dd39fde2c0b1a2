# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The section `metrics` of a map as typed objects."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plexus_bridge.config.document import Document
from plexus_bridge.config.document import Place
from plexus_bridge.config.metric_names import check_placeholder
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.rules import Change
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import LaneName
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.mapping.topic_pattern import TopicPattern
from plexus_bridge.points import MAX_TAGS

# The tag of points from a simulation, which comes on top of those in the map.
CLOCK_TAG = 'clock'
_NEWEST = Sampling()


def read_metric_rule(
        document: Document, place: Place, body: dict[str, Any], map_tags: Mapping[str, str],
        usual: Sampling = _NEWEST) -> MetricRule:
    """Return a rule as an object, noting what is wrong; `usual` is how it samples unless told."""
    tags = {**map_tags, **body.get('tags', {})}
    lane = body.get('lane', 'state')
    sampling = _sampling(document, place, body) or usual
    check_topic(document, place, body['topic'])
    if body.get('fields') and 'prefix' in body:
        document.problem(
            (*place, 'prefix'), 'has no meaning beside fields, whose metrics are named in full')
    if 'prefix' in body:
        check_placeholder(document, (*place, 'prefix'), body['prefix'], None, body['topic'])
    defaults = _Defaults(body['topic'], tags, lane, sampling)
    fields = tuple(
        rule for index, field_body in enumerate(body.get('fields', []))
        if document.is_whole((*place, 'fields', index))
        and (rule := _field_rule(document, (*place, 'fields', index), field_body, defaults)))
    if not body.get('fields'):  # the built-in maps add units
        check_tag_count(document, place, {*tags, 'unit'})
    return MetricRule(
        topic=body['topic'], type=full_type(body.get('type')), prefix=body.get('prefix'),
        fields=fields, sampling=sampling, timestamp=body.get('timestamp', 'header'), tags=tags,
        lane=lane, place=place)


def full_type(name: str | None) -> str | None:
    """Return a message type's full name, of which people often leave out the middle."""
    return name.replace('/', '/msg/') if name and name.count('/') == 1 else name


def check_topic(document: Document, place: Place, topic: str) -> None:
    """Note a topic pattern that cannot be used."""
    try:
        TopicPattern(topic)
    except MappingError as error:
        document.problem((*place, 'topic'), str(error))


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

    topic: str
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
    check_placeholder(
        document, (*place, 'metric'), body['metric'], paths['key'], defaults.topic)
    transforms = body.get('as', ())
    sampling = _sampling(document, place, body) or defaults.sampling
    return FieldRule(
        path=path, metric=body['metric'], key=paths['key'],
        bit=int(body['bit']) if 'bit' in body else None,
        transforms=(transforms,) if isinstance(transforms, str) else tuple(transforms),
        scale=body.get('scale', 1.0), offset=body.get('offset', 0.0),
        values=read_values(document, place, body), not_finite=body.get('not_finite', 'skip'),
        change=read_change(document, place, body, sampling), sampling=sampling,
        tags=_tags(document, place, body, defaults.tags), lane=body.get('lane', defaults.lane))


def _tags(document: Document, place: Place, body: dict[str, Any], rule_tags: Mapping[str, str]
          ) -> Mapping[str, str]:
    tags = {**rule_tags, **body.get('tags', {})}
    if 'unit' in body:
        tags['unit'] = body['unit']
    check_tag_count(document, place, tags)
    return tags


def check_tag_count(document: Document, place: Place, tags: Iterable[str],
                    added: str = 'the unit') -> None:
    """
    Note too many: one point with too many tags has its whole frame refused.

    `tags` are all that a point may have; `added` says which of them do not stand in the map.
    """
    count = len(set(tags) - {CLOCK_TAG})
    if count > MAX_TAGS - 1:
        document.problem(
            place, f'saw {count} tags with those of the map, the rule and {added}, expected at '
            f'most {MAX_TAGS - 1}, and one is kept for {CLOCK_TAG!r}, which marks simulated time')


def read_values(document: Document, place: Place, body: dict[str, Any]
                ) -> Mapping[int | str, str] | None:
    """Return the texts of an enumeration by number, None if there are none."""
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


def read_change(document: Document, place: Place, body: dict[str, Any], sampling: Sampling
                ) -> Change | None:
    """Return which values are left out for being too near the last one, None if none are."""
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

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The section `events` of a map as typed objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plexus_bridge.config.document import Document
from plexus_bridge.config.document import Place
from plexus_bridge.config.map_metrics import check_tag_count
from plexus_bridge.config.map_metrics import check_topic
from plexus_bridge.config.map_metrics import full_type
from plexus_bridge.config.map_metrics import read_change
from plexus_bridge.config.map_metrics import read_metric_rule
from plexus_bridge.config.map_metrics import read_values
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.event_points import SEVERITIES
from plexus_bridge.mapping.event_points import SEVERITY
from plexus_bridge.mapping.events.black_box import CAPTURE
from plexus_bridge.mapping.events.condition import ConditionRule
from plexus_bridge.mapping.events.rules import ACTION_STATUS
from plexus_bridge.mapping.events.rules import CaptureRule
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.events.rules import GraphRule
from plexus_bridge.mapping.events.rules import TRANSITIONS
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.paths import Path
from plexus_bridge.mapping.rules import Change
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import Sampling

_EVERY = Sampling('every')
# YAML knows many ways to write them.
_TRUTHS = {'True': 'true', 'False': 'false'}
_SOURCES = ('topic', 'action', 'lifecycle', 'graph')
# By which tag an event says whose it is; topics that are log lines or diagnostics do, too.
_SOURCE_TAGS = {'topic': 'node or hardware_id', 'action': 'goal_id', 'graph': 'name'}
_ADDED = f'{SEVERITY}, {CAPTURE}'
_LEVELS = {name.upper(): level for level, name in SEVERITIES.items()}
# What a rule may say besides its source, by source; whatever is about the messages of a topic
# is checked against their type once that is known.
_GRAPH_KEYS = {'graph', 'names', 'tags'}
_ENDS_KEYS = {'action', 'event', 'ends', 'capture', 'tags'}
_LIFECYCLE_KEYS = {'lifecycle', 'event', 'severity', 'capture', 'tags'}
_TOPIC_BARRED = {'names', 'ends'}
# Keys that belong to one type of message each, and have no meaning beside fields or a condition.
_BY_TYPE = ('stale_s', 'metrics', 'min_level', 'nodes', 'fold_s', 'max_per_s')


def read_events(document: Document, body: list[dict[str, Any]], map_tags: Mapping[str, str]
                ) -> tuple[tuple[EventRule, ...], tuple[GraphRule, ...]]:
    """Return the section's rules for messages and for the graph, noting what is wrong."""
    events: list[EventRule] = []
    graph: list[GraphRule] = []
    for index, rule in enumerate(body):
        place = ('events', index)
        sources = [key for key in _SOURCES if key in rule]
        if len(sources) != 1:
            document.problem(place, f'saw {" and ".join(sources) or "none"} of '
                             f'{", ".join(_SOURCES)}, expected one')
            continue
        if not _keys_fit(document, place, rule, sources[0]):
            continue
        tags = {**map_tags, **rule.get('tags', {})}
        _check_tag_count(document, place, rule, tags)
        if sources[0] == 'graph':
            graph.append(GraphRule(rule['graph'], tuple(rule.get('names', ())), tags))
        else:
            check_topic(document, place, rule[sources[0]])
            events.append(_event_rule(document, place, rule, tags))
    return tuple(events), tuple(graph)


def _check_tag_count(document: Document, place: Place, rule: Mapping[str, Any],
                     tags: Mapping[str, str]) -> None:
    """Note too many tags with those that events bring: whose they are must not be cut off."""
    source = [] if 'fields' in rule or 'when' in rule else [
        _SOURCE_TAGS[key] for key in _SOURCE_TAGS if key in rule]
    added = [SEVERITY, *source, *([CAPTURE] if 'capture' in rule else [])]
    check_tag_count(document, place, {*tags, *added}, ', '.join(added))


def _keys_fit(document: Document, place: Place, rule: Mapping[str, Any], source: str) -> bool:
    allowed = {'graph': _GRAPH_KEYS, 'action': _ENDS_KEYS, 'lifecycle': _LIFECYCLE_KEYS}.get(
        source, set(rule) - _TOPIC_BARRED)
    for key in rule:
        if key not in allowed:
            document.problem((*place, key), f'has no meaning for {source}')
            return False
    if 'fields' in rule and 'when' in rule:
        document.problem((*place, 'when'), 'has no meaning beside fields; make two rules of it')
        return False
    for key in ('fields', 'when'):
        for other in (*_BY_TYPE, *(('event', 'severity') if key == 'fields' else ())):
            if key in rule and other in rule:
                document.problem((*place, other), f'has no meaning beside {key}')
                return False
    if 'when' in rule and 'event' not in rule:
        document.problem((*place, 'when'), 'expected event beside it, the name of the events')
        return False
    return True


def _event_rule(document: Document, place: Place, rule: Mapping[str, Any],
                tags: Mapping[str, str]) -> EventRule:
    topic = rule.get('topic')
    if 'action' in rule:
        topic = rule['action'].rstrip('/') + ACTION_STATUS
    elif 'lifecycle' in rule:
        topic = rule['lifecycle'].rstrip('/') + TRANSITIONS
    when, when_path = _condition(document, (*place, 'when'), rule.get('when'))
    given = {key: rule[key] for key in (
        'event', 'severity', 'stale_s', 'metrics', 'fold_s', 'max_per_s', 'timestamp')
        if key in rule}
    return EventRule(
        topic=str(topic), type=full_type(rule.get('type')), when=when, when_path=when_path,
        fields=tuple(
            field for index, body in enumerate(rule.get('fields', ()))
            if (field := _field(document, (*place, 'fields', index), body, tags))),
        min_level=_LEVELS[rule.get('min_level', 'WARN')],
        nodes=tuple(rule.get('nodes', ())),
        ends=tuple(rule.get('ends', ('aborted', 'canceled'))),
        capture=_capture(document, (*place, 'capture'), rule.get('capture'), tags),
        tags=tags, place=place, **given)


def _field(document: Document, place: Place, body: dict[str, Any], tags: Mapping[str, str]
           ) -> FieldRule | None:
    path, key = _path(document, place, body, 'path'), _path(document, place, body, 'key')
    if path is None or ('key' in body and key is None):
        return None
    severity = body.get('severity', {})
    own_tags = {**tags, **body.get('tags', {})}
    check_tag_count(document, place, {*own_tags, SEVERITY, CAPTURE}, _ADDED)
    return FieldRule(
        path=path, metric=body['event'], key=key,
        bit=int(body['bit']) if 'bit' in body else None,
        values=read_values(document, place, body), sampling=_EVERY,
        change=read_change(document, place, body, _EVERY) or Change(), tags=own_tags,
        lane='urgent', is_event=True,
        severities={'': severity} if isinstance(severity, str) else {
            _TRUTHS.get(text, text): name for text, name in severity.items()})


def _path(document: Document, place: Place, body: Mapping[str, Any], name: str) -> Path | None:
    try:
        return parse_path(body[name]) if name in body else None
    except MappingError as error:
        document.problem((*place, name), str(error))
        return None


def _condition(document: Document, place: Place, body: Mapping[str, Any] | None
               ) -> tuple[ConditionRule | None, Path | None]:
    if body is None:
        return None, None
    limits = {key: float(body[key]) for key in ('below', 'above', 'equals') if key in body}
    if len(limits) != 1:
        document.problem(place, f'saw {" and ".join(limits) or "none"} of below, above, equals, '
                         'expected one')
        return None, None
    clear = body.get('clear')
    if clear is not None and ('equals' in limits or clear < limits.get('below', clear)
                              or clear > limits.get('above', clear)):
        name, limit = next(iter(limits.items()))
        document.problem((*place, 'clear'), f'saw {clear} with {name}: {limit:g}, expected it '
                         'on the other side, so that the condition ends where it no longer holds')
    rule = ConditionRule(**limits, clear=clear, for_s=body.get('for_s', 0.0))
    return rule, _path(document, place, body, 'path')


def _capture(document: Document, place: Place, body: Mapping[str, Any] | None,
             tags: Mapping[str, str]) -> CaptureRule | None:
    if body is None:
        return None
    rules = tuple(
        read_metric_rule(document, (*place, 'rules', index), rule, tags, _EVERY)
        for index, rule in enumerate(body['rules']))
    return CaptureRule(rules, **{
        key: body[key] for key in ('before_s', 'after_s', 'max_mb') if key in body})

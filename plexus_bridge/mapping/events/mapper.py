# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Which mapper makes the events of a rule: what the map asks for, else what the type says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.events.condition_mapper import ConditionMapper
from plexus_bridge.mapping.events.diagnostics import DIAGNOSTICS
from plexus_bridge.mapping.events.diagnostics import DiagnosticsMapper
from plexus_bridge.mapping.events.rosout import LOG
from plexus_bridge.mapping.events.rosout import RosoutMapper
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.events.states import dotted
from plexus_bridge.mapping.events.states import GOAL_STATUSES
from plexus_bridge.mapping.events.states import GoalMapper
from plexus_bridge.mapping.events.states import TRANSITION_EVENT
from plexus_bridge.mapping.events.states import TransitionMapper
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.mapping.self_describing_event import EventMessageMapper
from plexus_bridge.mapping.self_describing_event import SELF_DESCRIBING_EVENT
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.template import placeholders
from plexus_bridge.mapping.topic import Mapper
from plexus_bridge.mapping.topic import SIMULATED_TAG
from plexus_bridge.mapping.topic import TopicMapper

# Types of one value, each change of which is an event named as the topic.
SINGLE_VALUES = ('std_msgs/msg/String', 'std_msgs/msg/Bool')


def make_event_mapper(
        rule: EventRule, message: Message, topic: str, captures: Mapping[str, str],
        sinks: Mapping[str, Sink], counters: Counters, *, simulated: bool = False,
        own_logger: str = '') -> Mapper:
    """Return the mapper of a rule for a type; MappingError says all that does not fit."""
    if simulated:
        # As metrics: a simulator's clock says nothing about when a thing was seen.
        rule = replace(rule, timestamp='receive', tags={**rule.tags, **SIMULATED_TAG})
    _check_placeholders(rule, message, captures)
    if rule.when is not None:
        return ConditionMapper(rule, message, captures, sinks, counters)
    if rule.fields or message.name in SINGLE_VALUES:
        fields = rule.fields or (_single_value(rule, topic),)
        changes = MetricRule(
            topic=rule.topic, type=rule.type, fields=fields, sampling=Sampling('every'),
            timestamp=rule.timestamp, tags=rule.tags, lane='urgent', place=rule.place)
        _check_keys(rule, message)
        return TopicMapper(
            changes, message, topic, captures, sinks, counters, simulated=simulated)
    _check_keys(rule, message)
    if message.name == DIAGNOSTICS:
        return DiagnosticsMapper(rule, message, captures, sinks, counters)
    if message.name == LOG:
        return RosoutMapper(rule, message, captures, sinks, counters, own_logger)
    if message.name == GOAL_STATUSES:
        return GoalMapper(rule, message, topic, captures, sinks)
    if message.name == TRANSITION_EVENT:
        return TransitionMapper(rule, message, topic, captures, sinks)
    if message.name == SELF_DESCRIBING_EVENT:
        return EventMessageMapper(message, rule.tags, sinks['urgent'], counters,
                                  from_header=rule.timestamp == 'header')
    raise MappingError(
        f'{message.name} says by itself of no event; write fields (each change is an event) or '
        f'when (a condition). Types that do: {", ".join(KNOWN_TYPES)}')


KNOWN_TYPES = (DIAGNOSTICS, LOG, GOAL_STATUSES, TRANSITION_EVENT, SELF_DESCRIBING_EVENT,
               *SINGLE_VALUES)


# Keys of a rule that belong to some types only; they go by their value, for the rule does not know
# whether it was written down.
_BY_TYPE = {
    'event': (DIAGNOSTICS, LOG, GOAL_STATUSES, TRANSITION_EVENT, *SINGLE_VALUES),
    'severity': (TRANSITION_EVENT, *SINGLE_VALUES),
    'stale_s': (DIAGNOSTICS,), 'metrics': (DIAGNOSTICS,),
    'min_level': (LOG,), 'nodes': (LOG,), 'fold_s': (LOG,), 'max_per_s': (LOG,)}


def _check_keys(rule: EventRule, message: Message) -> None:
    """Refuse what the type has no use for: it would seem to do something."""
    nothing = EventRule(rule.topic)
    problems = [
        f'{key} has no meaning for {message.name}; it belongs to {", ".join(types)}'
        for key, types in _BY_TYPE.items()
        if message.name not in types and getattr(rule, key) != getattr(nothing, key)]
    if problems and message.name in KNOWN_TYPES and not rule.fields:
        raise MappingError('\n'.join(problems))


# What may be filled into the names of a type's events beside the captures of the topic.
_FILLED = {DIAGNOSTICS: {'name'}, GOAL_STATUSES: {'action'}, TRANSITION_EVENT: {'node'}}


def _check_placeholders(rule: EventRule, message: Message, captures: Mapping[str, str]) -> None:
    """Refuse what nothing would ever be filled into; fields look after their own."""
    known = {*captures, *(() if rule.when else _FILLED.get(message.name, ()))}
    for key, text, more in (('event', rule.event, ()), ('metrics', rule.metrics, ('key',))):
        for name in placeholders(text):
            if name not in known and name not in more:
                raise MappingError(
                    f'{key}: saw {{{name}}}, expected one of '
                    f'{", ".join(f"{{{one}}}" for one in sorted({*known, *more})) or "none"}')


def _single_value(rule: EventRule, topic: str) -> FieldRule:
    return FieldRule(
        path=parse_path('data'), metric=rule.event or dotted(topic), sampling=Sampling('every'),
        tags=rule.tags, lane='urgent', is_event=True,
        severities={'': rule.severity} if rule.severity else {})

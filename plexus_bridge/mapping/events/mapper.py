# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Which mapper makes the events of a rule: what the map asks for, else what the type says."""

from __future__ import annotations

from collections.abc import Mapping

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
from plexus_bridge.mapping.topic import Mapper
from plexus_bridge.mapping.topic import TopicMapper

# Types of one value, each change of which is an event named as the topic.
SINGLE_VALUES = ('std_msgs/msg/String', 'std_msgs/msg/Bool')


def make_event_mapper(
        rule: EventRule, message: Message, topic: str, captures: Mapping[str, str],
        sinks: Mapping[str, Sink], counters: Counters, *, simulated: bool = False,
        own_logger: str = '') -> Mapper:
    """Return the mapper of a rule for a type; MappingError says all that does not fit."""
    if rule.when is not None:
        return ConditionMapper(rule, message, captures, sinks, counters)
    if rule.fields or message.name in SINGLE_VALUES:
        fields = rule.fields or (_single_value(rule, topic),)
        changes = MetricRule(
            topic=rule.topic, type=rule.type, fields=fields, sampling=Sampling('every'),
            timestamp=rule.timestamp, tags=rule.tags, lane='urgent', place=rule.place)
        return TopicMapper(
            changes, message, topic, captures, sinks, counters, simulated=simulated)
    if message.name == DIAGNOSTICS:
        return DiagnosticsMapper(rule, message, captures, sinks, counters)
    if message.name == LOG:
        return RosoutMapper(rule, message, captures, sinks, counters, own_logger)
    if message.name == GOAL_STATUSES:
        return GoalMapper(rule, message, topic, captures, sinks)
    if message.name == TRANSITION_EVENT:
        return TransitionMapper(rule, message, topic, captures, sinks)
    if message.name == SELF_DESCRIBING_EVENT:
        return EventMessageMapper(message, rule.tags, sinks['urgent'], counters)
    raise MappingError(
        f'{message.name} says by itself of no event; write fields (each change is an event) or '
        f'when (a condition). Types that do: {", ".join(KNOWN_TYPES)}')


KNOWN_TYPES = (DIAGNOSTICS, LOG, GOAL_STATUSES, TRANSITION_EVENT, SELF_DESCRIBING_EVENT,
               *SINGLE_VALUES)


def _single_value(rule: EventRule, topic: str) -> FieldRule:
    return FieldRule(
        path=parse_path('data'), metric=rule.event or dotted(topic), sampling=Sampling('every'),
        tags=rule.tags, lane='urgent', is_event=True,
        severities={'': rule.severity} if rule.severity else {})

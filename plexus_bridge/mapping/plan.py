# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""All rules of a map that take messages, each with where its points go."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.adjustments import Adjustments
from plexus_bridge.mapping.events.black_box import BlackBox
from plexus_bridge.mapping.events.mapper import make_event_mapper
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.sinks import PointSink
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.topic import make_mapper
from plexus_bridge.mapping.topic import Mapper

Rule = MetricRule | EventRule
# Where something stands in a map: keys and positions from its root on.
Place = tuple[str | int, ...]
Sinks = Mapping[str, Sink]


@dataclass(frozen=True)
class PlannedRule:
    """
    A rule, and the sinks of its points by lane.

    `section` and `index` are its place in the map as people write it: ``events[2]``.
    """

    rule: Rule
    section: str
    index: int
    sinks: Sinks
    counters: Counters
    # What keeps points for the time around this rule's events, if any does.
    box: BlackBox | None = None

    def adjusted(self, adjustments: Adjustments, topic: str, message: Message | None
                 ) -> PlannedRule:
        """Return the rule as people want it at the moment; events are what they are."""
        if isinstance(self.rule, EventRule):
            return self
        rule = adjustments.apply(self.rule, topic, message)
        return self if rule is self.rule else replace(self, rule=rule)

    def mapper(self, message: Message, topic: str, captures: Mapping[str, str], *,
               simulated: bool = False, own_logger: str = '') -> Mapper:
        """Return what maps a topic of this type; MappingError says all that does not fit."""
        if isinstance(self.rule, EventRule):
            mapper = make_event_mapper(
                self.rule, message, topic, captures, self.sinks, self.counters,
                simulated=simulated, own_logger=own_logger)
            return self.box.accompany(mapper) if self.box is not None else mapper
        return make_mapper(self.rule, message, topic, captures, self.sinks, self.counters,
                           simulated=simulated)


def plan(metrics: Sequence[MetricRule], events: Sequence[EventRule], sinks: Sinks,
         counters: Counters) -> Iterator[PlannedRule]:
    """Yield every rule in the order of the map; what a black box keeps follows its event."""
    for index, metric_rule in enumerate(metrics):
        yield PlannedRule(metric_rule, 'metrics', index, sinks, counters)
    for index, event_rule in enumerate(events):
        if event_rule.capture is None:
            yield PlannedRule(event_rule, 'events', index, sinks, counters)
            continue
        box = BlackBox(event_rule.capture, sinks['bulk'], counters)
        yield PlannedRule(
            event_rule, 'events', index, {**sinks, 'urgent': box.watch(sinks['urgent'])},
            counters, box)
        for inner, metric_rule in enumerate(event_rule.capture.rules):
            yield PlannedRule(
                metric_rule, f'events[{index}].capture.rules', inner,
                dict.fromkeys(sinks, box.make_ring()), counters)


def problems_of(planned: PlannedRule, message: Message, topic: str,
                captures: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    """Yield what does not fit between a rule and a type, and where in the map it stands."""
    rule = planned.rule
    lines = _lines(planned, message, topic, captures)
    if not lines:
        return
    # Each field alone says which of them a line is about.
    alone = [
        _lines(replace(planned, rule=replace(rule, fields=(field,))), message, topic, captures)
        for field in rule.fields]
    for line in lines:
        about = [index for index, told in enumerate(alone) if line in told]
        place: Place = rule.place
        if len(about) == 1 or (about and len(about) < len(alone)):
            # The same line twice: of two fields that say the same.
            index = about[0]
            alone[index].remove(line)
            place = (*place, 'fields', index, *(('path',) if line.startswith('path ') else ()))
        yield place, line


def _lines(planned: PlannedRule, message: Message, topic: str, captures: Mapping[str, str]
           ) -> list[str]:
    try:
        planned.mapper(message, topic, captures)
    except MappingError as error:
        return str(error).splitlines()
    return []


def plan_to_check(metrics: Sequence[MetricRule], events: Sequence[EventRule]
                  ) -> Iterator[PlannedRule]:
    """Yield every rule as `plan` does, its points going nowhere."""
    nowhere = PointSink(_discard)
    return plan(metrics, events, dict.fromkeys(('urgent', 'state', 'bulk'), nowhere), Counters())


def _discard(_point: object) -> None:
    """Take a point nowhere."""

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What would come out of a map: the bridge's own mapping, on messages that are there already."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.authoring.source import no_such_topic
from plexus_bridge.authoring.source import Source
from plexus_bridge.config.map import RobotMap
from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.plan import Place
from plexus_bridge.mapping.plan import plan
from plexus_bridge.mapping.plan import PlannedRule
from plexus_bridge.mapping.plan import problems_of
from plexus_bridge.mapping.plan import Rule
from plexus_bridge.mapping.sinks import PointSink
from plexus_bridge.mapping.topic import Mapper
from plexus_bridge.mapping.topic_pattern import full_name
from plexus_bridge.mapping.topic_pattern import TopicPattern
from plexus_bridge.points import Point


@dataclass
class MetricReport:
    """What a metric would cost: points, and bytes of their JSON."""

    points: int = 0
    bytes: int = 0
    # Of the messages that came, how many were looked at: a look at a graph keeps some only.
    share: float = 1.0


@dataclass
class RuleReport:
    """One rule on one topic; `problem` says why nothing comes of it."""

    rule: Rule
    topic: str = ''
    type: str = ''
    messages: int = 0
    # All that came, where they are more than were looked at.
    of_messages: int = 0
    unreadable: int = 0
    points: int = 0
    problem: str = ''
    metrics: set[str] = field(default_factory=set)
    # What does not fit, and where in the map.
    misfits: list[tuple[Place, str]] = field(default_factory=list)
    # Why the first message that could not be read was so, and why there is no point at all.
    trouble: str = ''
    nothing: str = ''


@dataclass
class DryRun:
    """The result: rules in the order of the map, metrics by name."""

    rules: list[RuleReport] = field(default_factory=list)
    metrics: dict[str, MetricReport] = field(default_factory=dict)
    counters: Counters = field(default_factory=Counters)

    @property
    def problems(self) -> list[RuleReport]:
        """Rules that do not fit the types that are there."""
        return [rule for rule in self.rules if rule.problem]


@dataclass
class _Running:
    report: RuleReport
    mapper: Mapper


class _AtHand:
    """Where all points go: they are counted for the rule whose message is at hand."""

    def __init__(self, result: DryRun, each: Callable[[Point], None] | None):
        self._result = result
        self._each = each
        self.report: RuleReport | None = None
        self.sinks = dict.fromkeys(('urgent', 'state', 'bulk'), PointSink(self._note))

    def _note(self, point: Point) -> None:
        if self.report is not None:
            self.report.points += 1
            self.report.metrics.add(point['metric'])
        metric = self._result.metrics.setdefault(point['metric'], MetricReport())
        metric.points += 1
        metric.bytes += len(encoding.dumps(point)) + 1
        if self._each:
            self._each(point)


def dry_run(robot_map: RobotMap, source: Source,
            each: Callable[[Point], None] | None = None, *, namespace: str = '/') -> DryRun:
    """
    Map all messages of a source; `each` is called with every point that comes out.

    `namespace` is the one that the bridge is to have: relative names of topics follow it.
    """
    result = DryRun()
    running: dict[str, list[_Running]] = {}
    at_hand = _AtHand(result, each)
    for planned in plan(robot_map.metrics, robot_map.events, at_hand.sinks, result.counters):
        for report, captures in _places(planned.rule, source, namespace):
            result.rules.append(report)
            mapper = _mapper(planned, report, captures, source) if report.topic else None
            if mapper:
                running.setdefault(report.topic, []).append(_Running(report, mapper))
    for message in source.messages(list(running)):
        now_ms = message.time_ns // 1_000_000
        for run in running[message.topic]:
            if message.type not in ('', run.report.type):
                continue
            at_hand.report = run.report
            _take(run, message.data, now_ms, result.counters)
    for runs in running.values():
        for run in runs:
            at_hand.report = run.report
            _guarded(run, result.counters, run.mapper.finish)
            _note_share(run.report, source, result)
            if not run.report.points:
                run.report.nothing = run.report.trouble or _nothing(run.report)
    return result


def _note_share(report: RuleReport, source: Source, result: DryRun) -> None:
    topic = source.topics[report.topic]
    # Of several types nobody has counted each.
    report.of_messages = max(topic.count if len(topic.types) == 1 else 0, report.messages)
    if report.messages:
        share = report.messages / report.of_messages
        for name in report.metrics:
            result.metrics[name].share = min(result.metrics[name].share, share)


def _places(rule: Rule, source: Source, namespace: str
            ) -> list[tuple[RuleReport, Mapping[str, str]]]:
    """Return a report for each topic that a rule is for, or one that says that there is none."""
    pattern = TopicPattern(full_name(rule.topic, namespace))
    places: list[tuple[RuleReport, Mapping[str, str]]] = [
        (RuleReport(rule, name), captures) for name in source.topics
        if (captures := pattern.match(name)) is not None]
    if not places:
        places.append((RuleReport(
            rule, nothing=no_such_topic(source, rule.topic, pattern.text)), {}))
    return places


def _mapper(planned: PlannedRule, report: RuleReport, captures: Mapping[str, str],
            source: Source) -> Mapper | None:
    types = source.topics[report.topic].types
    wanted = report.rule.type
    if wanted is None and len(types) > 1:
        report.problem = (f'saw {" and ".join(types)} on this topic, expected one type; name the '
                          'one that you want with "type:"')
        return None
    report.type = wanted or types[0]
    if report.type not in types:
        report.problem = f'saw {", ".join(types)} on this topic, expected {wanted}'
        return None
    try:
        layout = source.layout(report.type)
        report.misfits = list(problems_of(planned, layout, report.topic, captures))
        return planned.mapper(layout, report.topic, captures)
    except MappingError as error:
        report.problem = str(error)
        return None


def _take(run: _Running, data: bytes, now_ms: int, counters: Counters) -> None:
    run.report.messages += 1
    _guarded(run, counters, run.mapper.take, data, now_ms)
    _guarded(run, counters, run.mapper.settle, now_ms)


def _guarded(run: _Running, counters: Counters, step: Callable[..., None], *arguments: Any
             ) -> None:
    """Let one bad message stop nothing else, as the bridge does: it is counted and named."""
    try:
        step(*arguments)
    except Exception as error:
        counters.drop('unreadable')
        run.report.unreadable += 1
        run.report.trouble = run.report.trouble or str(error) or type(error).__name__


def _nothing(report: RuleReport) -> str:
    if not report.messages:
        return f'there is no message of {report.type} on this topic'
    if report.rule.place[:1] != ('metrics',):
        return ''  # nothing has happened: that is as it should be
    return ('every value was left out: absent, not finite, beyond the limits in the message, or '
            'without an estimate')

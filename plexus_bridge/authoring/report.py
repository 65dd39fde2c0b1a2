# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A dry run as text for people."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence

from plexus_bridge.authoring.dry_run import DryRun
from plexus_bridge.authoring.dry_run import MetricReport
from plexus_bridge.authoring.dry_run import RuleReport
from plexus_bridge.authoring.source import per_second
from plexus_bridge.authoring.source import Source
from plexus_bridge.config.document import place_text
from plexus_bridge.config.map import RobotMap


def problems_text(robot_map: RobotMap, result: DryRun) -> Iterator[str]:
    """Yield what is wrong as ``file:line:column: where: text``, what was known before as well."""
    document = robot_map.document
    tried = [document.problem_at(place, f'{rule.topic}: {line}') for rule in result.problems
             for place, line in rule.misfits or [
                 (rule.rule.place, line) for line in rule.problem.splitlines()]]
    known = [problem for problem in document.problems if not any(
        problem.where == other.where and other.text.endswith(problem.text) for other in tried)]
    yield from map(str, sorted(
        [*known, *tried], key=lambda problem: (problem.line, problem.column)))


def report_text(robot_map: RobotMap, result: DryRun, source: Source) -> Iterator[str]:
    """Yield the lines of a report: rules, metrics with their cost, what was left out."""
    seconds = source.seconds
    yield f'{source.name}: {source.seconds:.1f} s'
    yield ''
    yield from _table(
        ('rule', 'topic', 'type', 'messages', 'points'),
        [(place_text(rule.rule.place), rule.topic, rule.type, _messages(rule),
          str(rule.points)) for rule in result.rules if rule.topic])
    yield ''
    metrics = sorted(result.metrics.items())
    yield from _table(
        ('metric', 'points', 'points/s', 'bytes/s'),
        [_row(name, [metric], seconds) for name, metric in metrics]
        + [_row(f'{len(metrics)} in all', result.metrics.values(), seconds)])
    dropped = result.counters.dropped()
    if dropped:
        yield ''
        yield 'left out: ' + ', '.join(
            f'{count} {reason}' for reason, count in sorted(dropped.items()))
    for rule in result.rules:
        if rule.unreadable and not rule.nothing:
            yield f'{place_text(rule.rule.place)} ({rule.topic}): {rule.unreadable} times a ' \
                f'message could not be read: {rule.trouble}'
        if rule.nothing:
            yield f'{place_text(rule.rule.place)} ({rule.topic or rule.rule.topic}) gives ' \
                f'nothing: {rule.nothing}'


def _row(name: str, metrics: Collection[MetricReport], seconds: float) -> tuple[str, ...]:
    points = per_second(sum(metric.points / metric.share for metric in metrics), seconds)
    size = per_second(sum(metric.bytes / metric.share for metric in metrics), seconds)
    return (name, str(sum(metric.points for metric in metrics)),
            '-' if points is None else f'{points:.1f}', '-' if size is None else f'{size:.0f}')


def _messages(rule: RuleReport) -> str:
    if rule.of_messages > rule.messages:
        return f'{rule.messages} of {rule.of_messages}'
    return str(rule.messages)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    numeric = [all(row[column].replace('.', '').isdigit() for row in rows)
               for column in range(len(head))]
    for row in [head, *rows]:
        yield '  '.join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)).rstrip()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""One topic's way from a message's bytes to points, compiled once for its rule and type."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
import math
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.builtin_maps import BUILTIN_MAPS
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import describe
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.paths import Path
from plexus_bridge.mapping.paths import resolve
from plexus_bridge.mapping.paths import Target
from plexus_bridge.mapping.reader import compile_reader
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.points import FIRST_MILLISECOND_STAMP
from plexus_bridge.points import Point

Sink = Callable[[Point], object]

HEADER = 'std_msgs/msg/Header'
# How far a header stamp may lie in the future: clocks differ, but not by more than a day.
FURTHEST_STAMP_MS = 24 * 3600 * 1000


class TopicMapper:
    """
    Turns messages of one topic into points, handed to the sinks by lane name.

    Raises MappingError at construction if the rule does not fit the message type.
    """

    def __init__(self, rule: MetricRule, message: Message, topic: str,
                 sinks: Mapping[str, Sink], counters: Counters):
        fields = rule.fields or builtin_fields(rule, message, topic)
        problems = []
        self._fields: list[_Field] = []
        for field in fields:
            try:
                self._fields.append(_field(field, message, sinks[field.lane], counters))
            except MappingError as error:
                problems.append(str(error))
        if problems:
            raise MappingError('\n'.join(problems))
        self._has_stamp = rule.timestamp == 'header' and _has_header(message)
        self._counters = counters
        paths = [path for field in self._fields for path in field.paths]
        if self._has_stamp:
            paths.append(parse_path('header.stamp'))
        self._read = compile_reader(message, paths)
        self._places: list[tuple[int, _Field]] = []
        place = 0
        for compiled in self._fields:
            self._places.append((place, compiled))
            place += len(compiled.paths)

    def map(self, data: bytes, received_ms: int) -> None:
        """Map one message received at `received_ms` (Unix ms); MappingError if unreadable."""
        values = self._read(data)
        stamp = received_ms
        if self._has_stamp:
            seconds, nanoseconds = values[-1]
            stamp = seconds * 1000 + nanoseconds // 1_000_000
            if not FIRST_MILLISECOND_STAMP <= stamp <= received_ms + FURTHEST_STAMP_MS:
                stamp = received_ms
                self._counters.add('stamps_implausible')
        for place, field in self._places:
            field.emit(values, place, stamp)


def builtin_fields(rule: MetricRule, message: Message, topic: str) -> tuple[FieldRule, ...]:
    """Return the built-in map of a message type; MappingError if there is none."""
    rows = BUILTIN_MAPS.get(message.name)
    if rows is None:
        raise MappingError(
            f'{message.name} has no built-in map; name the values under fields:, for example '
            f'{{path: {_first_number(message)}, metric: …}}')
    prefix = rule.prefix or topic.strip('/').replace('/', '.')
    return tuple(
        FieldRule(
            path=parse_path(row.path), metric=f'{prefix}.{row.name}',
            key=parse_path(row.key) if row.key else None,
            tags={**rule.tags, 'unit': row.unit} if row.unit else rule.tags, lane=rule.lane)
        for row in rows)


def _first_number(message: Message) -> str:
    for name, layout in message.fields:
        if isinstance(layout, Primitive):
            return name
        if isinstance(layout, Message) and layout.name != HEADER:
            inner = _first_number(layout)
            if inner:
                return f'{name}.{inner}'
    return ''


def _has_header(message: Message) -> bool:
    header = message.field('header')
    return isinstance(header, Message) and header.name == HEADER


@dataclass(frozen=True)
class _Field:
    """A compiled field: the paths to read, and what makes points of their values."""

    paths: tuple[Path, ...]
    emit: Callable[[tuple[Any, ...], int, int], None]


def _field(rule: FieldRule, message: Message, sink: Sink, counters: Counters) -> _Field:
    target = resolve(rule.path, message)
    _check_number(rule, target)
    write = _writer(rule, sink, counters)
    if not target.many:
        if rule.key:
            raise MappingError(
                f'path {rule.path}: leads to one value, so key {rule.key} has nothing to name; '
                'write [*] to take several')
        if isinstance(target.layout, Message):
            return _Field((rule.path,), _emit_parts(rule, target.layout, write))
        return _Field((rule.path,), _emit_number(rule.metric, write))
    if rule.key is None:
        return _Field((rule.path,), _emit_numbered(rule.metric, write))
    return _keyed(rule, rule.key, message, write)


def _check_number(rule: FieldRule, target: Target) -> None:
    layout: Layout = target.layout
    if isinstance(layout, String):
        raise MappingError(
            f'path {rule.path}: leads to a text, and a metric is a number')
    if isinstance(layout, Array | Sequence):
        raise MappingError(
            f'path {rule.path}: leads to {describe(layout)}; write {rule.path}[*] for a metric '
            f'of each element, or {rule.path}[0] for one of them')
    if isinstance(layout, Message) and target.many:
        raise MappingError(
            f'path {rule.path}: leads to several {describe(layout)}; name one of its fields')


Writer = Callable[[str, Any, int], None]


def _writer(rule: FieldRule, sink: Sink, counters: Counters) -> Writer:
    """Return what makes one point of a metric's name, a number and a stamp."""
    scale, offset, isfinite = rule.scale, rule.offset, math.isfinite
    plain = scale == 1 and offset == 0
    tags = dict(rule.tags)

    def write(metric: str, value: Any, stamp: int) -> None:
        if value is None:
            counters.drop('element_absent')
            return
        if not plain:
            value = value * scale + offset
        if not isfinite(value):
            counters.drop('not_finite')
            return
        if value is True or value is False:
            value = int(value)
        point = {'class': 'metric', 'metric': metric, 'value': value, 'timestamp': stamp}
        if tags:
            point['tags'] = tags
        sink(point)

    return write


def _emit_number(metric: str, write: Writer) -> Callable[[tuple[Any, ...], int, int], None]:
    def emit(values: tuple[Any, ...], place: int, stamp: int) -> None:
        write(metric, values[place], stamp)

    return emit


def _emit_parts(rule: FieldRule, layout: Message, write: Writer
                ) -> Callable[[tuple[Any, ...], int, int], None]:
    metrics = [f'{rule.metric}.{name}' for name in _leaf_names(layout)]

    def emit(values: tuple[Any, ...], place: int, stamp: int) -> None:
        for metric, value in zip(metrics, values[place], strict=True):
            write(metric, value, stamp)

    return emit


def _leaf_names(message: Message) -> Iterable[str]:
    for name, layout in message.fields:
        if isinstance(layout, Message):
            for inner in _leaf_names(layout):
                yield f'{name}.{inner}'
        else:
            yield name


def _emit_numbered(metric: str, write: Writer) -> Callable[[tuple[Any, ...], int, int], None]:
    def emit(values: tuple[Any, ...], place: int, stamp: int) -> None:
        for index, value in enumerate(_as_list(values[place])):
            write(f'{metric}.{index}', value, stamp)

    return emit


def _as_list(values: Any) -> list[Any]:
    listed: list[Any] = values if isinstance(values, list) else values.tolist()
    return listed


def _keyed(rule: FieldRule, key: Path, message: Message, write: Writer) -> _Field:
    target = resolve(key, message)
    if isinstance(target.layout, Array | Sequence):
        key = replace(key, text=f'{key.text}[*]', steps=parse_path(f'{key.text}[*]').steps)
        target = resolve(key, message)
    if not target.many or not isinstance(target.layout, String):
        raise MappingError(
            f'key {key}: leads to {describe(target.layout)}, expected several texts, such as '
            'name[*]')
    placeholder = '{' + key.text.removesuffix('[*]').rpartition('.')[2] + '}'
    if placeholder not in rule.metric:
        raise MappingError(
            f'metric {rule.metric!r}: expected {placeholder} in it, to be replaced by the names '
            f'that key {key} leads to')
    # Names repeat in every message, so the metric's text is built once for each.
    metrics: dict[str, str] = {}

    def emit(values: tuple[Any, ...], place: int, stamp: int) -> None:
        # Fields of a JointState may be empty where the robot does not know them.
        for name, value in zip(values[place + 1], _as_list(values[place]), strict=False):
            metric = metrics.get(name)
            if metric is None:
                if len(metrics) > 4096:
                    metrics.clear()
                metric = metrics[name] = rule.metric.replace(placeholder, name)
            write(metric, value, stamp)

    return _Field((rule.path, key), emit)

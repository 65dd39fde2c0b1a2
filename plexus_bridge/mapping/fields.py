# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""One field of a rule, compiled: the paths that it reads, and the way of its values to series."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
import math
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping import transforms
from plexus_bridge.mapping.conventions import covariance_of
from plexus_bridge.mapping.conventions import limits_of
from plexus_bridge.mapping.conventions import NO_ESTIMATE
from plexus_bridge.mapping.conventions import within
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import describe
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import leaves
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.mapping.names import MetricNames
from plexus_bridge.mapping.names import Values
from plexus_bridge.mapping.paths import EVERY
from plexus_bridge.mapping.paths import Index
from plexus_bridge.mapping.paths import number_names
from plexus_bridge.mapping.paths import Path
from plexus_bridge.mapping.paths import resolve
from plexus_bridge.mapping.paths import Select
from plexus_bridge.mapping.paths import Slice
from plexus_bridge.mapping.paths import Target
from plexus_bridge.mapping.rules import Change
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.series import ChangeSeries
from plexus_bridge.mapping.series import event_writer
from plexus_bridge.mapping.series import EverySeries
from plexus_bridge.mapping.series import point_writer
from plexus_bridge.mapping.series import Series
from plexus_bridge.mapping.series import severity_writer
from plexus_bridge.mapping.series import short_hash
from plexus_bridge.mapping.series import trim_name
from plexus_bridge.mapping.series import WindowSeries
from plexus_bridge.mapping.sinks import MetricName
from plexus_bridge.mapping.sinks import Sink

# Series of one field: a robot whose names never repeat must not fill the memory.
MAX_SERIES = 4096


@dataclass(frozen=True)
class PlainNumber:
    """
    A number that becomes a point as it is, but for scale and offset: the common case.

    It is the value of its field, or number `part` of its `parts` where that is a whole message.
    Where there is a `covariance`, it may say that there is no such number.
    """

    part: int | None
    parts: int
    kind: Primitive
    name: MetricName
    scale: float
    offset: float
    covariance: Path | None

    @property
    def is_scaled(self) -> bool:
        """Whether the value is not passed on as it was read."""
        return self.scale != 1 or self.offset != 0


class Field:
    """
    Takes what was read of `paths` and feeds series.

    MappingError at construction if the rule does not fit the message type.
    """

    def __init__(self, rule: FieldRule, message: Message, captures: Mapping[str, str],
                 sink: Sink, counters: Counters):
        if rule.transforms[:1] == ('count',) and _leads_to_list(rule.path, message):
            rule = replace(rule, path=rule.path.counted(), transforms=rule.transforms[1:])
        self.sink = sink
        self._rule = rule
        self._counters = counters
        target = resolve(rule.path, message)
        form, steps = _steps(rule, target)
        self._form = form
        self._layout = target.layout
        self._is_text = isinstance(form, transforms.Text) or rule.values is not None
        self._finish_scale = _scaler(rule)
        self._value = transforms.chain(steps)
        self._names = MetricNames(rule, form, message, captures)
        self._series: dict[tuple[str, ...], Series] = {}
        self._rendered: dict[tuple[object, ...], tuple[str, ...]] = {}
        self._covariance = rule.covariance or covariance_of(rule.path, message)
        # Of a list, where something is made of it: each element alone is sent as it is.
        self._limits = limits_of(rule.path, message) if isinstance(form, transforms.Number) and (
            rule.transforms or not target.many) else ()
        self.paths = (rule.path, *self._names.paths, *self._limits)
        # What this field comes to if all of it is plain, else nothing.
        self.plain_numbers = self._plain_numbers()
        # Read once for all plain numbers of a row, and not for each.
        self._looks_itself = self._covariance is not None and not self.plain_numbers
        if self._covariance is not None and self._looks_itself:
            self.paths = (*self.paths, self._covariance)
        self.settles = rule.sampling.mode == 'window'
        self.deliver: Callable[[Values, int, int], None] = self._choose(form)

    def metrics(self) -> list[str]:
        """Return the names of its metrics, ``*`` for what messages bring; texts are events."""
        if self._is_text:
            return []
        names = self._names.patterns(many=isinstance(self._form, transforms.Numbers))
        if self._rule.sampling.mode != 'window':
            return names
        return [f'{name}.{statistic}' for name in names
                for statistic in self._rule.sampling.stats]

    def _plain_numbers(self) -> list[PlainNumber]:
        rule = self._rule
        if (self._value or self._is_text or rule.is_event or rule.change
                or rule.sampling.mode == 'window' or rule.not_finite != 'skip'
                or len(self.paths) > 1
                or any(isinstance(step, Index | Select) for step in rule.path.steps)):
            return []
        if isinstance(self._layout, Primitive) and not isinstance(self._form, transforms.Numbers):
            kinds = {'': self._layout}
        elif isinstance(self._form, transforms.Parts) and isinstance(self._layout, Message):
            kinds = dict(zip(self._form.names, leaves(self._layout), strict=True))
        else:
            return []
        numbers = []
        for index, (name, kind) in enumerate(kinds.items()):
            numbers.append(PlainNumber(
                index if name else None, len(kinds), kind, trim_name(*self._names.render((name,))),
                rule.scale, rule.offset, self._covariance))
        return numbers

    def settle(self, now_ms: int) -> None:
        """Let go of what has waited long enough."""
        if self.settles:
            for series in self._series.values():
                series.settle(now_ms)

    def finish(self) -> None:
        """Let go of everything: no more will come."""
        for series in self._series.values():
            if isinstance(series, WindowSeries):
                series.finish()

    # -- values to series

    def _choose(self, form: transforms.Form) -> Callable[[Values, int, int], None]:
        if isinstance(form, transforms.Parts):
            return self._deliver_parts
        if isinstance(form, transforms.Numbers):
            return self._deliver_elements
        return self._deliver_one

    def _taken(self, values: Values, place: int) -> Any:
        """Return the transformed value, None if there is none to speak of."""
        if self._looks_itself and values[place + len(self.paths) - 1] == NO_ESTIMATE:
            self._counters.add('values_without_estimate')
            return None
        value = values[place]
        if value is None:
            self._counters.drop('element_absent')
            return None
        if self._limits:
            end = place + len(self.paths)
            value = within(value, *values[end - 2:end])
            if value is None:
                self._counters.drop('out_of_range')
                return None
        if self._value is not None:
            made = self._value(value)
            if made is None:  # statistics of nothing, or of nothing but NaN
                self._counters.drop('not_finite' if len(value) else 'element_absent')
            return made
        return value

    def _deliver_one(self, values: Values, place: int, stamp: int) -> None:
        value = self._taken(values, place)
        if value is not None:
            self._offer(self._names.of_message(values, place), value, stamp)

    def _deliver_parts(self, values: Values, place: int, stamp: int) -> None:
        parts = self._taken(values, place)
        if parts is not None:
            for name, value in zip(
                    self._names.of_parts(values, place), parts, strict=True):
                self._offer(name, value, stamp)

    def _deliver_elements(self, values: Values, place: int, stamp: int) -> None:
        elements = self._taken(values, place)
        if elements is None:
            return
        if len(elements) > MAX_SERIES:
            self._counters.drop('elements_over_limit', len(elements) - MAX_SERIES)
            elements = elements[:MAX_SERIES]
        if not isinstance(elements, list):
            elements = elements.tolist()
        names = self._names.of_elements(values, place, len(elements))
        if len(elements) > len(names):
            self._counters.drop('element_without_name', len(elements) - len(names))
        # Zipped without strictness: a JointState may leave out what the robot does not know.
        for name, value in zip(names, elements, strict=False):
            if value is None:
                self._counters.drop('element_absent')
            else:
                self._offer(name, value, stamp)

    def _offer(self, name: tuple[str, ...], value: Any, stamp: int) -> None:
        series = self._series.get(name)
        if series is None:
            series = self._new_series(name)
        if not isinstance(value, str):
            if not self._is_text:
                value = self._finish_scale(value)
            if not math.isfinite(value):
                self._offer_not_finite(name, value, stamp)
                return
            if self._rule.not_finite == 'text':
                self._forget(('not finite', *name))
            if self._is_text:
                value = self._text_of(value)
        series.offer(value, stamp)

    def _offer_not_finite(self, name: tuple[str, ...], value: float, stamp: int) -> None:
        if self._rule.not_finite == 'skip':
            self._counters.drop('not_finite')
            return
        self._text_series(name).offer(str(float(value)), stamp)
        # Whoever has read that there is no number has to see the next one, even the same.
        self._forget(name)

    def _forget(self, name: tuple[str, ...]) -> None:
        series = self._series.get(name)
        if isinstance(series, ChangeSeries):
            series.forget()

    def _text_of(self, value: Any) -> str:
        text = (self._rule.values or {}).get(value)
        if text is None:
            self._counters.add('values_unknown')
            return f'unknown ({value})'
        return text

    # -- series

    def _new_series(self, name: tuple[str, ...]) -> Series:
        if len(self._series) >= MAX_SERIES:
            self.finish()
            self._series.clear()
            self._rendered.clear()
        metric, tags = self._names.render(name)
        # Two names that look the same once their signs are gone must not become one metric.
        taken = self._rendered.setdefault((metric, *tags.items()), name)
        if taken != name:
            metric += short_hash(repr(name))
        series = self._make_series(metric, tags)
        self._series[name] = series
        return series

    def _make_series(self, metric: str, tags: Mapping[str, str]) -> Series:
        rule = self._rule
        if rule.is_event:
            return ChangeSeries(severity_writer(metric, tags, rule.severities, self.sink),
                                rule.change or Change(), self._counters)
        if self._is_text:
            # A text on every message says nothing new: events are for changes.
            return ChangeSeries(event_writer(metric, tags, self.sink),
                                rule.change or Change(), self._counters)
        if rule.sampling.mode == 'window':
            return WindowSeries(
                {statistic: point_writer(f'{metric}.{statistic}', tags, self.sink)
                 for statistic in rule.sampling.stats}, rule.sampling, self._counters)
        write = point_writer(metric, tags, self.sink)
        if rule.change:
            return ChangeSeries(write, rule.change, self._counters)
        return EverySeries(write)

    def _text_series(self, name: tuple[str, ...]) -> Series:
        key = ('not finite', *name)
        series = self._series.get(key)
        if series is None:
            metric, tags = self._names.render(name)
            series = self._series[key] = ChangeSeries(
                event_writer(metric, tags, self.sink), Change(), self._counters)
        return series


def _steps(rule: FieldRule, target: Target) -> tuple[transforms.Form, list[transforms.Step]]:
    """Return the form of the final value and the functions that make it."""
    form = _form(rule.path, target)
    steps: list[transforms.Step] = []
    if rule.bit is not None:
        layout = target.layout
        if not isinstance(layout, Primitive) or layout.dtype[0] not in 'iu' or target.many:
            seen = f'several {describe(layout)}' if target.many else describe(layout)
            raise MappingError(f'path {rule.path}: bit needs one integer, saw {seen}')
        if rule.bit >= layout.size * 8:
            raise MappingError(
                f'path {rule.path}: saw bit {rule.bit}, but {describe(layout)} has bits 0 to '
                f'{layout.size * 8 - 1}')
        steps.append(transforms.bit(rule.bit))
    for name in rule.transforms:
        try:
            form, step = transforms.apply(name, form)
        except MappingError as error:
            raise MappingError(f'path {rule.path}: {error}') from None
        steps.append(step)
    _check_final(rule, target, form)
    return form, steps


def _form(path: Path, target: Target) -> transforms.Form:
    layout: Layout = target.layout
    if sum(isinstance(step, Slice) for step in path.steps) > 1:
        raise MappingError(
            f'path {path}: takes several elements of several; choose one of the inner ones')
    if isinstance(layout, Message):
        if target.many:
            raise MappingError(f'path {path}: leads to several {layout.name}; name one of '
                               f'its fields: {", ".join(name for name, _ in layout.fields)}')
        return transforms.Parts(tuple(number_names(layout, path)))
    if isinstance(layout, Array | Sequence) or target.many:
        if target.many and isinstance(layout, Array | Sequence):
            raise MappingError(
                f'path {path}: leads to several {describe(layout)}; choose one element of each')
        element = layout.element if isinstance(layout, Array | Sequence) else layout
        if isinstance(element, Primitive):
            return transforms.Numbers()
        return transforms.Several(
            'texts' if isinstance(element, String) else describe(element))
    return transforms.Text() if isinstance(layout, String) else transforms.Number()


def _check_final(rule: FieldRule, target: Target, form: transforms.Form) -> None:
    layout = target.layout
    if isinstance(form, transforms.Several):
        raise MappingError(
            f'path {rule.path}: leads to several {form.what}, which are no numbers; choose one, '
            'or write as: count')
    if isinstance(form, transforms.Numbers):
        if not target.many:
            raise MappingError(
                f'path {rule.path}: leads to {describe(layout)}; write {rule.path}[*] for a '
                f'metric of each element, {rule.path}[0] for one of them, or as: min, max, mean, '
                'count …')
    elif rule.key:
        raise MappingError(
            f'path {rule.path}: gives one value, so key {rule.key} has nothing to name; write '
            '[*] to take several')
    if isinstance(form, transforms.Text) and (rule.scale != 1 or rule.offset != 0):
        raise MappingError(f'path {rule.path}: leads to a text, which has no scale or offset')
    if not isinstance(form, transforms.Number) and rule.values and not isinstance(
            form, transforms.Numbers):
        raise MappingError(f'path {rule.path}: values needs a number for each text')
    if rule.sampling.mode == 'window' and (isinstance(form, transforms.Text) or rule.values):
        raise MappingError(f'path {rule.path}: a text has no statistics; use mode every or latest')


def _leads_to_list(path: Path, message: Message) -> bool:
    """Tell whether its elements can be counted without reading any."""
    target = resolve(path, message)
    return path.steps[-1:] == (EVERY,) or isinstance(target.layout, Array | Sequence) \
        or not target.many


def _scaler(rule: FieldRule) -> transforms.Step:
    scale, offset = rule.scale, rule.offset
    if scale == 1 and offset == 0:
        return _unchanged if rule.is_event else _number
    return lambda value: value * scale + offset


def _number(value: Any) -> Any:
    return int(value) if value is True or value is False else value


def _unchanged(value: Any) -> Any:
    return value

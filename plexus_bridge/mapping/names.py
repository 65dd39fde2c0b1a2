# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Names and tags of a field's metrics: static, or made of what each message brings."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping import transforms
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import describe
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String
from plexus_bridge.mapping.paths import EVERY
from plexus_bridge.mapping.paths import Field
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.paths import Path
from plexus_bridge.mapping.paths import resolve
from plexus_bridge.mapping.paths import Slice
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.template import any_of
from plexus_bridge.mapping.template import fill
from plexus_bridge.mapping.template import fill_name
from plexus_bridge.mapping.template import name_part
from plexus_bridge.mapping.template import placeholders

Values = tuple[Any, ...]


class MetricNames:
    """
    The metric's name and tags, static or from the message.

    A name is kept as the tuple of its moving parts, so that a series is found by one look-up.
    """

    def __init__(self, rule: FieldRule, form: transforms.Form, message: Message,
                 captures: Mapping[str, str]):
        self._parts = form.names if isinstance(form, transforms.Parts) else ()
        many = isinstance(form, transforms.Numbers)
        key = _key_path(rule, message, many)
        self._first_index = _first_index(rule.path)
        self._has_key = key is not None
        self._key_name = last_field(key) if key else ''
        # What the message brings is nearer than a wildcard of the same name.
        captures = {name: text for name, text in captures.items() if name != self._key_name}
        self._metric = fill_name(rule.metric, captures)
        self._tags = {key: fill(value, captures) for key, value in rule.tags.items()}
        if key and f'{{{self._key_name}}}' not in self._metric and not any(
                f'{{{self._key_name}}}' in value for value in self._tags.values()):
            raise MappingError(
                f'metric {rule.metric!r}: expected {{{self._key_name}}} in it, to be replaced by '
                f'the names that key {rule.key} leads to')
        self._tag_fields = self._fields_of_tags(message)
        self.paths = (*((key,) if key else ()), *map(parse_path, self._tag_fields))
        self._check_placeholders(rule)

    def _fields_of_tags(self, message: Message) -> list[str]:
        fields: list[str] = []
        for name, value in self._tags.items():
            for placeholder in placeholders(value):
                if placeholder == self._key_name or placeholder in fields:
                    continue
                target = resolve(parse_path(placeholder), message)
                if target.many or not isinstance(target.layout, String | Primitive):
                    raise MappingError(
                        f'tag {name}: {{{placeholder}}} leads to {describe(target.layout)}, '
                        'expected one text or number')
                fields.append(placeholder)
        return fields

    def _check_placeholders(self, rule: FieldRule) -> None:
        for placeholder in placeholders(self._metric):
            if placeholder != self._key_name or not self._key_name:
                raise MappingError(
                    f'metric {rule.metric!r}: {{{placeholder}}} is neither a wildcard of the '
                    'topic nor the last field of key')

    def _from_tags(self, values: Values, place: int) -> tuple[str, ...]:
        if not self._tag_fields:
            return ()
        first = place + 1 + self._has_key
        return tuple(_text(value) for value in values[first:first + len(self._tag_fields)])

    def patterns(self, *, many: bool) -> list[str]:
        """Return what the metrics will be called, ``*`` for what messages bring."""
        if self._parts:
            return [self.render((part, *self._tag_fields))[0] for part in self._parts]
        known = any_of(self._metric)
        return [f'{known}.*' if many and not self._has_key else known]

    def of_message(self, values: Values, place: int) -> tuple[str, ...]:
        """Return the name of a message's one value."""
        return ('', *self._from_tags(values, place))

    def of_parts(self, values: Values, place: int) -> Iterator[tuple[str, ...]]:
        """Yield the names of a message's parts."""
        tags = self._from_tags(values, place)
        for part in self._parts:
            yield (part, *tags)

    def of_elements(
            self, values: Values, place: int, count: int) -> list[tuple[str, ...]]:
        """Return the names of a list's elements; a message may bring fewer or more."""
        tags = self._from_tags(values, place)
        names: Iterable[object] = (values[place + 1] or ()) if self._has_key else range(
            self._first_index, self._first_index + count)
        return [(_text(name), *tags) for name in names]

    def render(self, name: tuple[str, ...]) -> tuple[str, Mapping[str, str]]:
        """Return the metric's whole name and its tags."""
        first, *from_tags = name
        values = dict(zip(self._tag_fields, from_tags, strict=True))
        metric = self._metric
        if self._has_key:
            metric = fill(metric, {self._key_name: name_part(first)})
            values[self._key_name] = first
        elif first:
            metric = f'{metric}.{first}' if metric else first
        return metric, {key: fill(value, values) for key, value in self._tags.items()}


def _key_path(rule: FieldRule, message: Message, many: bool) -> Path | None:
    if rule.key is None or not many:
        return None
    key = rule.key
    target = resolve(key, message)
    if isinstance(target.layout, Array | Sequence):
        key = replace(key, steps=(*key.steps, EVERY))
        target = resolve(key, message)
    # Of the same elements as the values.
    taken = [step for step in rule.path.steps if isinstance(step, Slice)]
    if taken:
        key = replace(key, steps=tuple(
            taken[0] if step == EVERY else step for step in key.steps))
    if not target.many or not isinstance(target.layout, String | Primitive):
        raise MappingError(
            f'key {rule.key}: leads to {describe(target.layout)}, expected several texts, such '
            'as name[*]')
    return key


def _first_index(path: Path) -> int:
    """Return the number of the first element that a path takes, as far as it says so."""
    slices = [step for step in path.steps if isinstance(step, Slice)]
    return max(slices[0].start or 0, 0) if slices else 0


def last_field(path: Path) -> str:
    """Return the name that stands for a key's texts between braces."""
    return [step.name for step in path.steps if isinstance(step, Field)][-1]


def _text(value: object) -> str:
    return value if isinstance(value, str) else '' if value is None else str(value)

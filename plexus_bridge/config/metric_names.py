# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of metrics in a map that cannot be filled, or under which half of the values is lost."""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Sequence

from plexus_bridge.config.document import Document
from plexus_bridge.config.document import Place
from plexus_bridge.config.document import place_text
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.names import last_field
from plexus_bridge.mapping.paths import Path
from plexus_bridge.mapping.paths import Slice
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.template import placeholders
from plexus_bridge.mapping.topic_pattern import TopicPattern


def check_placeholder(document: Document, place: Place, name: str, key: Path | None, topic: str
                      ) -> None:
    """Note braces in a name that neither the topic's wildcards nor the key can fill."""
    try:
        captured = TopicPattern(topic).names
    except MappingError:
        return  # told of the topic
    last_of_key = last_field(key) if key else None
    if last_of_key in captured:
        document.problem(
            (*place[:-1], 'key'), f'{{{last_of_key}}} would be both a wildcard of the topic and '
            'the last field of key; expected another name for the wildcard')
        return
    for placeholder in placeholders(name):
        if placeholder not in captured and placeholder != last_of_key:
            known = ', '.join(f'{{{name}}}' for name in (
                *captured, *((last_of_key,) if last_of_key else ()))) or 'none here'
            document.problem(
                place, f'{{{placeholder}}} in {name!r} is neither a wildcard of the topic nor the '
                f'last field of key; expected {known}')


def check_same_names(document: Document, rules: Sequence[MetricRule]) -> None:
    """
    Note fields of one topic that would give different values under one name at one time.

    Only what is one value each, whatever the type: lists and what transforms make of a value bring
    names of their own.
    """
    known: dict[Hashable, tuple[Place, Hashable]] = {}
    for place, topic, field in _single_values(rules):
        name = (topic, field.metric, tuple(sorted(field.tags.items())),
                field.sampling.mode == 'window')
        value = (field.path, field.bit, field.scale, field.offset,
                 tuple((field.values or {}).items()))
        first, first_value = known.setdefault(name, (place, value))
        if first_value != value:
            document.problem(
                (*place, 'metric'), f'saw {field.metric!r} again, which is that of '
                f'{place_text(first)} with the same tags: of two values at one time a gateway '
                'keeps one; expected another name or tag')


def _single_values(rules: Iterable[MetricRule]) -> Iterable[tuple[Place, str, FieldRule]]:
    for rule in rules:
        for index, field in enumerate(rule.fields):
            if not field.transforms and field.key is None and not any(
                    isinstance(step, Slice) for step in field.path.steps):
                yield (*rule.place, 'fields', index), rule.topic, field

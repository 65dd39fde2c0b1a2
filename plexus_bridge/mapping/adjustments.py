# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What people change of a map's rules while it runs: live streams, recordings, rates of topics.

Protocol section 11.3. Nothing here makes a rule slower than its map, but for `rates`, which say
so: a stream comes on top of what is sent anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from fnmatch import fnmatchcase
import re

from plexus_bridge.mapping.builtin_maps import builtin_fields
from plexus_bridge.mapping.builtin_maps import BUILTIN_MAPS
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.points import MAX_TAGS
from plexus_bridge.points import Point

SESSION_TAG = 'session_id'
# Sampling rates as the map allows them.
MIN_HZ, MAX_HZ = 0.01, 1000.0

_PLACEHOLDER = re.compile(r'\{[^{}]*\}')


@dataclass(frozen=True)
class Wish:
    """
    Somebody wants these metrics (none: all) every `interval_ms`, and tagged with a session.

    Names may hold wildcards (``joint.*``); the name of a group stands for all of it.
    """

    metrics: tuple[str, ...] = ()
    interval_ms: float | None = None
    session_id: str = ''

    def wants(self, metric: str) -> bool:
        """Tell whether a metric is meant, by its name in a rule (``joint.{name}.position``)."""
        return not self.metrics or any(_means(name, metric) for name in self.metrics)


@dataclass(frozen=True)
class Adjustments:
    """All wishes at one moment; `rates` are Hz and `prefixes` names, both by topic."""

    wishes: tuple[Wish, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)

    def apply(self, rule: MetricRule, topic: str, message: Message | None = None) -> MetricRule:
        """
        Return a rule as it is to be now; the same one if nothing is wanted of it.

        `message` is the topic's type where it is known: by it a built-in map has names.
        """
        rate_hz = self.rates.get(topic, self.rates.get(rule.topic))
        if rate_hz is not None:
            rule = _at_rate(rule, rate_hz)
        prefix = self.prefixes.get(topic, self.prefixes.get(rule.topic))
        if prefix is not None and not rule.fields:
            rule = replace(rule, prefix=prefix)
        for wish in self.wishes:
            rule = _wished(rule, wish, topic, message)
        return rule

    def mark(self, points: list[Point]) -> None:
        """Tag points that come by no rule (events, a node's own metrics) with the session."""
        for wish in self.wishes:
            if wish.session_id:
                points[:] = [_marked(point, wish) for point in points]


def _wished(rule: MetricRule, wish: Wish, topic: str, message: Message | None) -> MetricRule:
    fields = rule.fields
    if not fields and wish.metrics and message is not None and message.name in BUILTIN_MAPS:
        fields = builtin_fields(rule, message, topic)
    if fields:
        wished = tuple(_wished_field(one, wish) if wish.wants(one.metric) else one
                       for one in fields)
        return rule if wished == fields else replace(rule, fields=wished)
    # What its metrics are called is not known, but what they begin with.
    if not wish.wants(f'{rule.prefix or topic.strip("/").replace("/", ".")}.*'):
        return rule
    return replace(rule, sampling=_faster(rule.sampling, wish.interval_ms),
                   tags=_tagged(rule.tags, wish.session_id))


def _marked(point: Point, wish: Wish) -> Point:
    tags = point.get('tags') or {}
    if SESSION_TAG in tags or not wish.wants(point['metric']):
        return point
    # In front: there may be too many tags, and then the last ones go.
    kept = dict(list(tags.items())[:MAX_TAGS - 1])
    return {**point, 'tags': {SESSION_TAG: wish.session_id, **kept}}


def _wished_field(one: FieldRule, wish: Wish) -> FieldRule:
    return replace(one, sampling=_faster(one.sampling, wish.interval_ms),
                   tags=_tagged(one.tags, wish.session_id))


def _faster(sampling: Sampling, interval_ms: float | None) -> Sampling:
    if interval_ms is None or sampling.mode != 'latest':
        return sampling
    rate_hz = min(MAX_HZ, 1000 / max(interval_ms, 1.0))
    return replace(sampling, rate_hz=max(sampling.rate_hz, rate_hz))


def _tagged(tags: Mapping[str, str], session_id: str) -> Mapping[str, str]:
    # In front: there may be too many tags, and then the last ones go.
    return {SESSION_TAG: session_id, **tags} if session_id else tags


def _at_rate(rule: MetricRule, rate_hz: float) -> MetricRule:
    def at_rate(sampling: Sampling) -> Sampling:
        return replace(sampling, rate_hz=rate_hz) if sampling.mode == 'latest' else sampling

    return replace(rule, sampling=at_rate(rule.sampling), fields=tuple(
        replace(one, sampling=at_rate(one.sampling)) for one in rule.fields))


def _means(name: str, metric: str) -> bool:
    """Tell whether a name that somebody gave means a metric of a rule."""
    # Agents' names may carry their source in front of a colon.
    name = name.rpartition(':')[2]
    pattern = _PLACEHOLDER.sub('*', metric)
    return (fnmatchcase(metric, name) or fnmatchcase(name, pattern)
            or fnmatchcase(name, f'{pattern}.*') or pattern.startswith(f'{name}.'))

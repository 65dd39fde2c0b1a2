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

from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling

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

    def apply(self, rule: MetricRule, topic: str) -> MetricRule:
        """Return a rule as it is to be now; the same one if nothing is wanted of it."""
        rate_hz = self.rates.get(topic, self.rates.get(rule.topic))
        if rate_hz is not None:
            rule = _at_rate(rule, rate_hz)
        prefix = self.prefixes.get(topic, self.prefixes.get(rule.topic))
        if prefix is not None and not rule.fields:
            rule = replace(rule, prefix=prefix)
        for wish in self.wishes:
            rule = _wished(rule, wish, topic)
        return rule


def _wished(rule: MetricRule, wish: Wish, topic: str) -> MetricRule:
    if rule.fields:
        fields = tuple(_wished_field(one, wish) if wish.wants(one.metric) else one
                       for one in rule.fields)
        return rule if fields == rule.fields else replace(rule, fields=fields)
    # A built-in map: what its metrics are called is known once its type is.
    if not wish.wants(f'{rule.prefix or topic.strip("/").replace("/", ".")}.*'):
        return rule
    return replace(rule, sampling=_faster(rule.sampling, wish.interval_ms),
                   tags=_tagged(rule.tags, wish.session_id))


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

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""One topic's way from messages' bytes to points, compiled once for its rule and type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
import math
from typing import Protocol

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.builtin_maps import builtin_fields
from plexus_bridge.mapping.delivery_code import compile_mapping
from plexus_bridge.mapping.delivery_code import MapMessage
from plexus_bridge.mapping.fields import Field
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.mapping.self_describing import MetricArrayMapper
from plexus_bridge.mapping.self_describing import SELF_DESCRIBING
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.stamps import has_header
from plexus_bridge.mapping.template import fill
from plexus_bridge.mapping.template import fill_name

SIMULATED_TAG = {'clock': 'sim'}


class Mapper(Protocol):
    """
    Takes the messages of one topic.

    `received_ms` is Unix ms; `now_ms` is any clock that only grows, to measure periods with.
    """

    @property
    def every(self) -> bool:
        """Whether each message is wanted, rather than the newest now and then."""

    @property
    def period_s(self) -> float:
        """How often the newest is wanted; infinite where each message is."""

    @property
    def settles(self) -> bool:
        """Whether `settle` has anything to do."""

    def is_due(self, now_ms: int) -> bool:
        """Tell whether a message would be used now; if not, it need not even be taken."""

    @property
    def take(self) -> MapMessage:
        """What takes one message as CDR; it raises MappingError if that cannot be read."""

    def settle(self, now_ms: int) -> None:
        """Use what waits for its time; called after each round of taking."""

    def finish(self) -> None:
        """Use whatever waits: no more will come."""


def make_mapper(rule: MetricRule, message: Message, topic: str, captures: Mapping[str, str],
                sinks: Mapping[str, Sink], counters: Counters, *,
                simulated: bool = False) -> Mapper:
    """Return the mapper of a rule for a type; MappingError says all that does not fit."""
    if not rule.fields:
        rule = _with_captures(rule, captures)
    if message.name == SELF_DESCRIBING and not rule.fields:
        if simulated:
            rule = replace(rule, timestamp='receive', tags={**rule.tags, **SIMULATED_TAG})
        return MetricArrayMapper(rule, message, sinks, counters)
    return TopicMapper(rule, message, topic, captures, sinks, counters, simulated=simulated)


class TopicMapper:
    """
    Maps a topic by its rule's fields or by the built-in map of its type.

    Fields that are sampled alike are read together. With simulated time, stamps are those of
    receipt and points are tagged: a simulator's clock says nothing about when a thing was seen.
    """

    def __init__(self, rule: MetricRule, message: Message, topic: str,
                 captures: Mapping[str, str], sinks: Mapping[str, Sink], counters: Counters, *,
                 simulated: bool = False):
        with_stamp = rule.timestamp == 'header' and not simulated and has_header(message)
        groups: dict[Sampling, list[Field]] = {}
        problems = []
        for field in rule.fields or builtin_fields(rule, message, topic):
            try:
                compiled = Field(_tagged(field, simulated), message, captures,
                                 sinks[field.lane], counters)
            except MappingError as error:
                problems.append(str(error))
            else:
                groups.setdefault(_taking(field.sampling), []).append(compiled)
        if problems:
            raise MappingError('\n'.join(problems))
        self._groups = [_Group(sampling, fields, message, with_stamp, counters)
                        for sampling, fields in groups.items()]
        self.every = any(not group.latest for group in self._groups)
        self.period_s = min(group.period_s for group in self._groups)
        self.settles = any(group.settles for group in self._groups)
        # Where there is one group and no choice to make, go straight to it.
        self.take: MapMessage = (
            self._groups[0].map if len(self._groups) == 1 and self.every else self._take)

    def is_due(self, now_ms: int) -> bool:
        """Tell whether a message would be used now."""
        return self.every or any(group.is_due(now_ms) for group in self._groups)

    def _take(self, data: bytes, received_ms: int) -> None:
        """Take one message; the groups that want only the newest keep it until `settle`."""
        for group in self._groups:
            if group.latest:
                group.pending = (data, received_ms)
            else:
                group.map(data, received_ms)

    def settle(self, now_ms: int) -> None:
        """Map the newest message where it is due, and end windows."""
        for group in self._groups:
            group.settle(now_ms)

    def finish(self) -> None:
        """Map what waits and end all windows."""
        for group in self._groups:
            group.finish()


class _Group:
    """Fields with the same sampling, read by one reader."""

    def __init__(self, sampling: Sampling, fields: list[Field], message: Message,
                 with_stamp: bool, counters: Counters):
        self.latest = sampling.mode == 'latest'
        self.pending: tuple[bytes, int] | None = None
        self.period_s = 1 / sampling.rate_hz if self.latest else math.inf
        self._due_ms = 0.0
        self._fields = fields
        self.map = compile_mapping(message, fields, counters, with_stamp=with_stamp)
        self.settles = self.latest or any(field.settles for field in fields)

    def is_due(self, now_ms: int) -> bool:
        return not self.latest or now_ms >= self._due_ms

    def settle(self, now_ms: int) -> None:
        if self.pending is not None and now_ms >= self._due_ms:
            # From the last moment on, so that the rate holds on average; anew after a pause.
            self._due_ms += self.period_s * 1000
            if self._due_ms < now_ms:
                self._due_ms = now_ms + self.period_s * 1000
            self._map_pending()
        if not self.latest:
            for field in self._fields:
                field.settle(now_ms)

    def _map_pending(self) -> None:
        if self.pending is not None:
            (data, received_ms), self.pending = self.pending, None
            self.map(data, received_ms)

    def finish(self) -> None:
        try:
            self._map_pending()
        finally:  # a message that cannot be read costs no window
            for field in self._fields:
                field.finish()


def _taking(sampling: Sampling) -> Sampling:
    """Return what decides which messages are read: every and window both take all."""
    return sampling if sampling.mode == 'latest' else Sampling('every')


def _with_captures(rule: MetricRule, captures: Mapping[str, str]) -> MetricRule:
    # Here they are surely wildcards: a built-in map may have a key of the same name.
    return replace(
        rule, prefix=fill_name(rule.prefix, captures) if rule.prefix else rule.prefix,
        tags={key: fill(value, captures) for key, value in rule.tags.items()})


def _tagged(rule: FieldRule, simulated: bool) -> FieldRule:
    return replace(rule, tags={**rule.tags, **SIMULATED_TAG}) if simulated else rule

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a rule measures, in the words of agents: a sensor (protocol section 11.2)."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.builtin_maps import builtin_fields
from plexus_bridge.mapping.fields import Field
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.rules import FieldRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.sinks import PointSink
from plexus_bridge.mapping.template import any_of
from plexus_bridge.mapping.template import fill_name
from plexus_bridge.points import MAX_NAME_BYTES
from plexus_bridge.points import trim

# An introduction is one message: a robot with more than this tells of the first ones.
MAX_METRICS = 100


def sensor(rule: MetricRule, topic: str, message: Message | None, captures: Mapping[str, str], *,
           available: bool) -> dict[str, Any]:
    """
    Return what `device_auth` says of a rule on one topic.

    `message` is None while the topic's type is not known; then a built-in map has no names yet.
    Names that messages bring are told as ``*``. `sample_rate` is Hz, 0.0 where each message is
    used, at whatever rate it comes.
    """
    try:
        fields = rule.fields or (builtin_fields(rule, message, topic) if message else ())
    except MappingError:
        fields = ()
    told: dict[str, Any] = {
        'name': topic, 'description': message.name if message else rule.type or '',
        'metrics': list(dict.fromkeys(_metrics(fields, message, captures)))[:MAX_METRICS],
        'sample_rate': _rate_hz(rule, fields), 'prefix': rule.prefix or '',
        'available': available}
    return told


def _metrics(fields: Sequence[FieldRule], message: Message | None, captures: Mapping[str, str]
             ) -> Iterator[str]:
    for field in fields:
        try:
            if message is not None:
                nowhere = PointSink(_discard)
                names = Field(field, message, captures, nowhere, Counters()).metrics()
            else:
                names = [any_of(fill_name(field.metric, captures))]
        except MappingError:
            continue  # the status of the rule says what does not fit
        for name in names:
            yield trim(name, MAX_NAME_BYTES)


def _rate_hz(rule: MetricRule, fields: Sequence[FieldRule]) -> float:
    rates = [sampling.rate_hz if sampling.mode == 'latest' else math.inf
             for sampling in ([field.sampling for field in fields] or [rule.sampling])]
    fastest = max(rates)
    return 0.0 if math.isinf(fastest) else fastest


def _discard(_point: object) -> None:
    """Take a point nowhere."""

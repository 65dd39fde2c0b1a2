# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Writes the source of one function that takes a message's bytes all the way to the lanes.

Most metrics are numbers passed on as they are. They become one row of a message, written by the
very function that reads it: a call or an object for each would cost more than the reading.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import math
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.conventions import NO_ESTIMATE
from plexus_bridge.mapping.fields import Field
from plexus_bridge.mapping.fields import PlainNumber
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.paths import Path
from plexus_bridge.mapping.reader import compile_function
from plexus_bridge.mapping.reader import Ending
from plexus_bridge.mapping.sinks import make_point
from plexus_bridge.mapping.sinks import MetricName
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.stamps import FURTHEST_STAMP_MS
from plexus_bridge.mapping.stamps import message_stamp
from plexus_bridge.points import FIRST_MILLISECOND_STAMP

MapMessage = Callable[[bytes, int], None]
_STAMP = (parse_path('header.stamp.sec'), parse_path('header.stamp.nanosec'))


def compile_mapping(message: Message, fields: Sequence[Field], counters: Counters, *,
                    with_stamp: bool) -> MapMessage:
    """
    Return a function of a message's bytes and its time of receipt (Unix ms).

    `with_stamp` says that the header's stamp is to be used. MappingError if bytes do not fit.
    """
    paths = [path for field in fields for path in field.paths]
    writer = _Writer(counters)
    if with_stamp:
        writer.write_stamp(f'v{len(paths)}', f'v{len(paths) + 1}')
    else:
        writer.line('stamp = received_ms')
    writer.write_fields(fields, len(paths), first_guard=len(paths) + 2 * with_stamp)
    return compile_function(message, [*paths, *(_STAMP if with_stamp else ()), *writer.guards],
                            Ending(writer.lines, writer.names, ('received_ms',)))


class _Writer:
    """Collects lines and the objects that they name; ``v0``, ``v1`` … are what was read."""

    def __init__(self, counters: Counters):
        self.lines: list[str] = []
        self.names: dict[str, Any] = {'isfinite': math.isfinite}
        # What says whether there are numbers at all, and the variables that hold it.
        self.guards: dict[Path, str] = {}
        self._counters = counters

    def line(self, text: str) -> None:
        self.lines.append(text)

    def write_stamp(self, seconds: str, nanoseconds: str) -> None:
        """Write `message_stamp` for the usual case, and a call of it for all others."""
        counters = self._counters

        def believable(seconds: int, nanoseconds: int, received_ms: int) -> int:
            return message_stamp((seconds, nanoseconds), received_ms, counters)

        self.names['believable'] = believable
        self.line(f'stamp = {seconds} * 1000 + {nanoseconds} // 1000000')
        self.line(f'if not {FIRST_MILLISECOND_STAMP} <= stamp <= received_ms'
                  f' + {FURTHEST_STAMP_MS}:')
        self.line(f'    stamp = believable({seconds}, {nanoseconds}, received_ms)')

    def write_fields(self, fields: Sequence[Field], values: int, first_guard: int) -> None:
        """
        Write a row for each sink's plain numbers, then a call for each other field.

        The fields have so many `values`; what guards numbers is read as ``v<first_guard>`` …
        """
        plain: dict[Sink, list[tuple[int, PlainNumber]]] = {}
        others: list[tuple[int, Field]] = []
        place = 0
        for field in fields:
            if numbers := field.plain_numbers:
                for guard in (number.covariance for number in numbers if number.covariance):
                    self.guards.setdefault(guard, f'v{first_guard + len(self.guards)}')
                plain.setdefault(field.sink, []).extend((place, number) for number in numbers)
            else:
                others.append((place, field))
            place += len(field.paths)
        for sink, row in plain.items():
            self._write_row(sink, row)
        if others:
            self.line(f'values = ({"".join(f"v{index}, " for index in range(values))})')
        for place, field in others:
            self.names[f'deliver{place}'] = field.deliver
            self.line(f'deliver{place}(values, {place}, stamp)')

    def _write_row(self, sink: Sink, numbers: Sequence[tuple[int, PlainNumber]]) -> None:
        metrics = [number.name for _, number in numbers]
        suffix = numbers[0][0]
        self.names[f'add_row{suffix}'] = sink.add_rows(metrics)
        self.names[f'add_singly{suffix}'] = _adder_of_measured(sink, metrics, self._counters)
        columns = [self._column(place, number) for place, number in numbers]
        row = ', '.join(columns)
        guards = [self.guards[number.covariance] if number.covariance else 'None'
                  for _, number in numbers]
        conditions = [f'{guard} != {NO_ESTIMATE}' for guard in dict.fromkeys(guards)
                      if guard != 'None']
        # A sum is finite only if each of its terms is; of several that overflow together, none is
        # lost: the slow way looks at each.
        floats = [column for column, (_, number) in zip(columns, numbers, strict=True)
                  if number.kind.code in 'fd' or number.is_scaled]
        if floats:
            conditions.append(f'isfinite({" + ".join(floats)})')
        if conditions:
            self.line(f'if {" and ".join(conditions)}: add_row{suffix}(({row}, stamp))')
            self.line(f'else: add_singly{suffix}(({row},), ({", ".join(guards)},), stamp)')
        else:
            self.line(f'add_row{suffix}(({row}, stamp))')

    def _column(self, place: int, number: PlainNumber) -> str:
        """Write what makes a number of what was read; return the variable that holds it."""
        variable = f'v{place}'
        if number.part is not None:
            if number.part == 0:
                parts = ', '.join(f'p{place}_{part}' for part in range(number.parts))
                self.line(f'{parts}, = {variable}')
            variable = f'p{place}_{number.part}'
        if number.kind.code == '?':
            self.line(f'{variable} = int({variable})')
        if number.is_scaled:
            scale, offset = f'scale_{variable}', f'offset_{variable}'
            self.names.update({scale: number.scale, offset: number.offset})
            self.line(f'{variable} = {variable} * {scale} + {offset}')
        return variable


def _adder_of_measured(sink: Sink, metrics: Sequence[MetricName], counters: Counters
                       ) -> Callable[[tuple[Any, ...], tuple[float | None, ...], int], None]:
    """Return what adds those of a row's values that were measured, and counts the others."""
    def add_singly(values: tuple[Any, ...], covariances: tuple[float | None, ...], stamp: int
                   ) -> None:
        for name, value, covariance in zip(metrics, values, covariances, strict=True):
            if covariance == NO_ESTIMATE:
                counters.add('values_without_estimate')
            elif math.isfinite(value):
                sink.add(make_point(name, value, stamp))
            else:
                counters.drop('not_finite')

    return add_singly

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Writes the source of one function that hands on all plain numbers of a message as one row.

Most metrics are numbers passed on as they are. A call or an object for each would cost more than
reading it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import math
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.fields import PlainNumber
from plexus_bridge.mapping.sinks import make_point
from plexus_bridge.mapping.sinks import Sink

Deliver = Callable[[tuple[Any, ...], int], None]


def plain_delivery(numbers: Sequence[tuple[int, PlainNumber]], sink: Sink, counters: Counters
                   ) -> Deliver:
    """Return a function of a message's values and its stamp; each number has its place there."""
    metrics = [number.name for _, number in numbers]

    def deliver_singly(values: tuple[Any, ...], stamp: int) -> None:
        for name, value in zip(metrics, values, strict=True):
            if math.isfinite(value):
                sink.add(make_point(name, value, stamp))
            else:
                counters.drop('not_finite')

    names: dict[str, Any] = {
        'add_row': sink.add_rows(metrics), 'isfinite': math.isfinite,
        'deliver_singly': deliver_singly}
    lines = ['def deliver(values, stamp):']
    sources = []
    for index, (place, number) in enumerate(numbers):
        if number.part == 0:
            parts = ''.join(f'p{index + part}, ' for part in range(number.parts))
            lines.append(f'    {parts}= values[{place}]')
        names.update({f'scale{index}': number.scale, f'offset{index}': number.offset})
        sources.append(_value(number, index, place))
    values = ', '.join(f'v{index}' for index in range(len(numbers)))
    lines.append(f'    {values}, = {", ".join(sources)},')
    # A sum is finite only if each of its terms is; of several that overflow together, none is
    # lost: the slow way looks at each.
    floats = [f'v{index}' for index, (_, number) in enumerate(numbers)
              if number.kind.code in 'fd' or number.is_scaled]
    if floats:
        lines += [f'    if not isfinite({" + ".join(floats)}):',
                  f'        return deliver_singly(({values},), stamp)']
    lines.append(f'    add_row(({values}, stamp))')
    exec(compile('\n'.join(lines), '<delivery of plain numbers>', 'exec'), names)
    deliver: Deliver = names['deliver']
    return deliver


def _value(number: PlainNumber, index: int, place: int) -> str:
    source = f'values[{place}]' if number.part is None else f'p{index}'
    if number.kind.code == '?':
        source = f'int({source})'
    if number.is_scaled:
        return f'{source} * scale{index} + offset{index}'
    return source

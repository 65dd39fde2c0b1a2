# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Writes the source of one function that makes the points of all plain numbers of a message.

Most metrics are numbers passed on as they are. A call for each would cost more than reading it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import math
from typing import Any

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.fields import PlainNumber

Deliver = Callable[[tuple[Any, ...], int], None]


def plain_delivery(numbers: Sequence[tuple[int, PlainNumber]], counters: Counters) -> Deliver:
    """Return a function of a message's values and its stamp; each number has its place there."""
    names: dict[str, Any] = {'drop': counters.drop, 'isfinite': math.isfinite}
    lines = ['def deliver(values, stamp):']
    for index, (place, number) in enumerate(numbers):
        if number.part == 0:
            parts = ''.join(f'p{part}, ' for part in range(number.parts))
            lines.append(f'    {parts}= values[{place}]')
        source = f'values[{place}]' if number.part is None else f'p{number.part}'
        names.update({f'metric{index}': number.metric, f'tags{index}': dict(number.tags),
                      f'sink{index}': number.sink, f'scale{index}': number.scale,
                      f'offset{index}': number.offset})
        lines.append(f'    v = {_value(number, index, source)}')
        tags = f", 'tags': tags{index}" if number.tags else ''
        point = (f"sink{index}({{'class': 'metric', 'metric': metric{index}, 'value': v, "
                 f"'timestamp': stamp{tags}}})")
        if number.kind.code in 'fd':
            lines += ['    if isfinite(v):', f'        {point}', '    else:',
                      "        drop('not_finite')"]
        else:
            lines.append(f'    {point}')
    exec(compile('\n'.join(lines), '<delivery of plain numbers>', 'exec'), names)
    deliver: Deliver = names['deliver']
    return deliver


def _value(number: PlainNumber, index: int, source: str) -> str:
    if number.kind.code == '?':
        source = f'int({source})'
    if number.scale != 1 or number.offset != 0:
        return f'{source} * scale{index} + offset{index}'
    return source

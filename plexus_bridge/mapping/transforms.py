# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What ``as:`` can make of a value, checked against what the path leads to when a map is loaded.

A value has one of five forms: a number, the named numbers of a message, a list of numbers, a
list of anything else, or a text. Each step takes some forms and gives one.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
import math
import re
from typing import Any

import numpy as np

from plexus_bridge.errors import MappingError

ABSOLUTE_ZERO_CELSIUS = -273.15

_PERCENTILE = re.compile(r'p(100|\d{1,2}(?:\.\d+)?)')


@dataclass(frozen=True)
class Number:
    """An int, float or bool; None where the message has no such element."""


@dataclass(frozen=True)
class Parts:
    """A tuple of numbers, each with a name."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Numbers:
    """A numpy array or list of numbers."""


@dataclass(frozen=True)
class Several:
    """A list of texts or messages (`what`), which can be counted."""

    what: str


@dataclass(frozen=True)
class Text:
    """A str."""


Form = Number | Parts | Numbers | Several | Text
Step = Callable[[Any], Any]

QUATERNION = Parts(('x', 'y', 'z', 'w'))
ROLL_PITCH_YAW = Parts(('roll', 'pitch', 'yaw'))


def roll_pitch_yaw(quaternion: Sequence[float]) -> tuple[float, float, float]:
    """Return the angles (rad) about fixed x, y, z axes of a quaternion x, y, z, w (REP-103)."""
    x, y, z, w = quaternion
    norm = x * x + y * y + z * z + w * w
    if not norm > 0:  # all zero: nobody has set it
        return math.nan, math.nan, math.nan
    # Divided by the norm, so that a quaternion that is not quite of unit length turns nothing.
    sine = max(-1.0, min(1.0, 2 * (w * y - z * x) / norm))
    return (math.atan2(2 * (w * x + y * z), norm - 2 * (x * x + y * y)),
            math.asin(sine),
            math.atan2(2 * (w * z + x * y), norm - 2 * (y * y + z * z)))


def _yaw(quaternion: Sequence[float]) -> float:
    return roll_pitch_yaw(quaternion)[2]


def _norm(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values))


def _quietly() -> np.errstate:
    # Of what overflows or is no number numpy need not warn: each result is looked at.
    return np.errstate(over='ignore', invalid='ignore')


def _array_norm(values: Any) -> float | None:
    with _quietly():
        array = np.asarray(values, dtype=float)
        return float(np.linalg.norm(array)) if array.size else None


def _celsius(kelvin: float) -> float:
    return kelvin + ABSOLUTE_ZERO_CELSIUS


def _truth(value: Any) -> Any:
    return int(bool(value)) if math.isfinite(value) else value


def _of_finite(statistic: Callable[[Any], Any]) -> Step:
    """Apply to the finite elements only (REP-117: others are no measurement); None if none."""
    def step(values: Any) -> float | None:
        with _quietly():
            array = np.asarray(values, dtype=float)
            finite = array[np.isfinite(array)]
            return float(statistic(finite)) if finite.size else None

    return step


_AGGREGATES: dict[str, Step] = {
    'count': len,
    'min': _of_finite(np.min),
    'max': _of_finite(np.max),
    'mean': _of_finite(np.mean),
    'std': _of_finite(np.std),
}
_EACH: dict[str, Step] = {'degrees': math.degrees, 'celsius': _celsius, 'bool': _truth}


def apply(name: str, form: Form) -> tuple[Form, Step]:
    """Return what a step gives and does for this form; MappingError if it cannot take it."""
    if name in ('rpy', 'yaw'):
        if form != QUATERNION:
            raise MappingError(f'as: {name} needs a quaternion (x, y, z, w), saw {_said(form)}')
        return (ROLL_PITCH_YAW, roll_pitch_yaw) if name == 'rpy' else (Number(), _yaw)
    if name == 'norm' and isinstance(form, Parts | Numbers):
        return Number(), _norm if isinstance(form, Parts) else _array_norm
    if name == 'count' and isinstance(form, Several):
        return Number(), len
    if name in _EACH and isinstance(form, Number | Parts | Numbers):
        return form, _for_each(_EACH[name], form)
    percentile = _PERCENTILE.fullmatch(name)
    if isinstance(form, Numbers) and (percentile or name in _AGGREGATES):
        if not percentile:
            return Number(), _AGGREGATES[name]
        share = float(percentile[1])
        return Number(), _of_finite(lambda finite: np.percentile(finite, share))
    raise MappingError(f'as: {name} cannot be made of {_said(form)}')


def _for_each(step: Step, form: Form) -> Step:
    def one(value: Any) -> Any:
        return None if value is None else step(value)

    if isinstance(form, Number):
        return one
    if isinstance(form, Parts):
        return lambda values: tuple(step(value) for value in values)
    # Plain numbers, not numpy's: they are to become JSON.
    return lambda values: [
        one(value) for value in (values if isinstance(values, list) else values.tolist())]


def _said(form: Form) -> str:
    if isinstance(form, Parts):
        return f'a message of {", ".join(form.names)}'
    if isinstance(form, Several):
        return f'several {form.what}'
    return {Number: 'one number', Numbers: 'several numbers', Text: 'a text'}[type(form)]


def bit(number: int) -> Step:
    """Return what takes one bit of an integer, as 0 or 1."""
    return lambda value: None if value is None else (int(value) >> number) & 1


def chain(steps: Sequence[Step]) -> Step | None:
    """Return one function for several, None for none."""
    if not steps:
        return None
    if len(steps) == 1:
        return steps[0]

    def run(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return run

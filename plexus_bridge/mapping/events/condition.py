# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A condition on a number, with hysteresis and a time for which it has to hold."""

from __future__ import annotations

from dataclasses import dataclass
import enum
import math


@dataclass(frozen=True)
class ConditionRule:
    """
    Exactly one of `below`, `above` and `equals`; `clear` is where it ends.

    Without `clear` it ends where it began. It holds once it has been so for `for_s`.
    """

    below: float | None = None
    above: float | None = None
    equals: float | None = None
    clear: float | None = None
    for_s: float = 0.0

    @property
    def limit(self) -> float:
        """The number against which values are held."""
        return next(limit for limit in (self.below, self.above, self.equals)
                    if limit is not None)

    def holds(self, value: float) -> bool:
        """Tell whether a value meets the condition."""
        if self.below is not None:
            return value < self.below
        if self.above is not None:
            return value > self.above
        return value == self.equals

    def is_over(self, value: float) -> bool:
        """Tell whether a value ends what had begun."""
        if self.clear is None or self.equals is not None:
            return not self.holds(value)
        return value >= self.clear if self.below is not None else value <= self.clear


class Edge(enum.Enum):
    """What a value brought about."""

    RAISED = 'raised'
    CLEARED = 'cleared'


class Condition:
    """
    The state of one condition; stamps are Unix ms, `now_ms` any clock that only grows.

    A value holds until the next one comes: a latched topic speaks once and is still true. NaN is
    no value and changes nothing.
    """

    def __init__(self, rule: ConditionRule):
        self._rule = rule
        self.raised = False
        self.value = math.nan
        self.stamp_ms = 0
        # Since when it holds without having been raised: by stamps, and by the other clock.
        self._since_ms: int | None = None
        self._waited_from_ms: int | None = None

    def offer(self, value: float, stamp_ms: int) -> Edge | None:
        """Take a value."""
        if math.isnan(value):
            return None
        self.value = value
        self.stamp_ms = stamp_ms
        if self.raised:
            if not self._rule.is_over(value):
                return None
            self.raised = False
            return Edge.CLEARED
        if not self._rule.holds(value):
            self._since_ms = self._waited_from_ms = None
            return None
        if self._since_ms is None or stamp_ms < self._since_ms:
            self._since_ms = stamp_ms
        if stamp_ms - self._since_ms >= self._rule.for_s * 1000:
            return self._raise()
        return None

    def settle(self, now_ms: int) -> Edge | None:
        """Raise what has held for long enough although nothing new came."""
        if self._since_ms is None:
            return None
        if self._waited_from_ms is None:
            self._waited_from_ms = now_ms
        waited_ms = now_ms - self._waited_from_ms
        if waited_ms >= self._rule.for_s * 1000:
            # It is raised now, and not when the last value came.
            self.stamp_ms += waited_ms
            return self._raise()
        return None

    def _raise(self) -> Edge:
        self.raised = True
        self._since_ms = self._waited_from_ms = None
        return Edge.RAISED

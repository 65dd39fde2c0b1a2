# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Notices when messages come and every value of them is left out.

A value that makes no event because it says nothing new was used all the same.
"""

from __future__ import annotations

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.plan import PlannedRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.sinks import Counting
from plexus_bridge.ros.rule_intake import RuleState

# So long nothing may come of messages before it is told; windows have to end, too.
PATIENCE_S = 3.0

_SAID = {
    'element_absent': (RuleState.PATH_MISSING, 'the messages do not have the element that a path '
                       'asks for'),
    'not_finite': (RuleState.NOT_FINITE, 'they are NaN or infinite'),
    'out_of_range': (RuleState.NOT_FINITE, 'they lie beyond the limits that the messages name'),
    'values_without_estimate': (RuleState.NOT_FINITE, 'the messages say that they have no '
                                'estimate of them (covariance -1)')}


class CountersOfRule(Counters):
    """Passes everything on to the bridge's counters, and keeps what one rule left out."""

    def __init__(self, whole: Counters):
        super().__init__()
        self._whole = whole
        # How often anything was counted.
        self.changes = 0

    def add(self, name: str, amount: int = 1) -> None:
        """Add to one total; one thread maps all messages of a rule."""
        self.changes += 1
        self._totals[name] += amount
        self._whole.add(name, amount)

    def drop(self, reason: str, amount: int = 1) -> None:
        """Count what was left out."""
        self.changes += 1
        self._dropped[reason] += amount
        self._whole.drop(reason, amount)

    def left_out(self) -> dict[str, int]:
        """Return how many values were left out because of what is in the messages."""
        return {reason: count for reason in _SAID
                if (count := self._dropped[reason] + self._totals[reason])}


class LeftOut:
    """
    Whether anything comes of one rule's messages, on the thread that maps them.

    Points are looked for only while values are left out: else a message costs nothing more.
    `size` before and `note` after messages were mapped, `poll` now and then.
    """

    def __init__(self, planned: PlannedRule, counters: Counters):
        rule = planned.rule
        self.counters = CountersOfRule(counters)
        self.watches = False
        # What is to be told instead of that data flows.
        self.told: tuple[RuleState, str] | None = None
        # What a message type says by itself is rarely news, and that is as it should be.
        asked_for = isinstance(rule, MetricRule) or rule.fields or rule.when
        self._sinks = [sink for sink in set(planned.sinks.values())
                       if isinstance(sink, Counting)] if asked_for else []
        samplings = [rule.sampling, *(field.sampling for field in rule.fields)] \
            if isinstance(rule, MetricRule) else []
        windows = [sampling.window_s for sampling in samplings if sampling.mode == 'window']
        self._patience_s = PATIENCE_S + 2 * max(windows, default=0.0)
        self._since = 0.0
        self._known: dict[str, int] = {}
        self._used = 0
        self._changes = 0
        self._fruitful = False

    def size(self) -> int:
        """Return how many points came so far, whoever they are from."""
        return sum(sink.added for sink in self._sinks)

    def note(self, size_before: int) -> None:
        """Take note of whether there are more points now."""
        self._fruitful = self._fruitful or self.size() > size_before

    def poll(self, now: float) -> bool:
        """Conclude, if it is time to; tell whether `told` is another one now."""
        if not self.watches and self.counters.changes == self._changes:
            return False
        self._changes = self.counters.changes
        left_out = self.counters.left_out()
        used = self.counters['values_unchanged'] + self.counters['values_compared']
        if self._fruitful or (self.watches and used != self._used):
            self.watches = self._fruitful = False
            self._known = left_out
            return self._tell({})
        if left_out == self._known:
            return False  # nothing was left out since we looked
        if not self.watches:
            self.watches = bool(self._sinks)
            self._since, self._known, self._used = now, left_out, used
            return False
        return now - self._since >= self._patience_s and self._tell(left_out)

    def _tell(self, left_out: dict[str, int]) -> bool:
        before, self.told = self.told, None
        if left_out:
            state, why = _SAID[max(left_out, key=lambda reason: left_out[reason])]
            self.told = state, f'messages come and every value is left out: {why}'
        return self.told != before

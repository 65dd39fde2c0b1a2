# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
When topics are looked at: those with the same period together.

Of two hundred topics few have anything new at a time. What is looked at for each of them, and is
not in the processor's cache any more, costs more than the question whether a message came.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator

from plexus_bridge.ros.rule_intake import RuleIntake


class _Round:
    """Topics with one period; `settling` are those whose mapper has to be asked each time."""

    def __init__(self, period_s: float):
        self.period_s = period_s
        self.at = 0.0
        self.plain: list[RuleIntake] = []
        self.settling: list[RuleIntake] = []


class Rounds:
    """Used by the thread that polls; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._rounds: dict[float, _Round] = {}
        # Topics on which so much comes that they are looked at before their round is due.
        self._early: dict[RuleIntake, float] = {}

    def arrange(self, topics: Iterable[RuleIntake]) -> None:
        """Make rounds of the topics that have a mapper; those that go on keep their time."""
        before, self._rounds = self._rounds, {}
        self._early.clear()
        for topic in topics:
            if topic.mapper is None:
                continue
            turn = self._rounds.get(topic.period_s)
            if turn is None:
                turn = self._rounds[topic.period_s] = _Round(topic.period_s)
                if topic.period_s in before:
                    turn.at = before[topic.period_s].at
            plain = topic.mapper.every and not topic.mapper.settles
            (turn.plain if plain else turn.settling).append(topic)

    def due(self, now: float) -> Iterator[tuple[list[RuleIntake], list[RuleIntake]]]:
        """Yield, for each round that is due, its plain and its settling topics."""
        if self._early:
            early = [topic for topic, at in self._early.items() if now >= at]
            for topic in early:
                del self._early[topic]
            if early:
                yield [], early
        for turn in self._rounds.values():
            if now >= turn.at:
                turn.at = now + turn.period_s
                yield turn.plain, turn.settling

    def look_early(self, topic: RuleIntake, at: float) -> None:
        """Have a topic looked at once more if its next turn is later than this."""
        if at < self._rounds[topic.period_s].at:
            self._early[topic] = at

    def next(self, otherwise: float) -> float:
        """Return when the first of all is due, `otherwise` at the latest."""
        return min([otherwise, *self._early.values(), *[
            turn.at for turn in self._rounds.values()]])

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""When topics are looked at."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.ros.rounds import Rounds
from plexus_bridge.ros.rule_intake import RuleIntake


@dataclass
class Mapper:
    """As much of a mapper as decides when it is asked."""

    every: bool = True
    settles: bool = False


def topic(period_s: float, mapper: Mapper | None = None) -> RuleIntake:
    made = RuleIntake(MetricRule('/t'), 0, '/t', mapper=mapper or Mapper())
    made.period_s = period_s
    return made


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


def looked_at(rounds: Rounds, now: float) -> list[RuleIntake]:
    return [one for plain, settling in rounds.due(now) for one in (*plain, *settling)]


def test_topics_with_one_period_are_looked_at_together(rounds):
    slow, slow_too, fast = topic(0.1), topic(0.1), topic(0.04)
    rounds.arrange([slow, slow_too, fast])
    assert looked_at(rounds, 1.0) == [slow, slow_too, fast]
    assert rounds.next(2.0) == pytest.approx(1.04)
    assert looked_at(rounds, 1.05) == [fast]
    assert looked_at(rounds, 1.1) == [slow, slow_too, fast]
    assert rounds.next(1.12) == pytest.approx(1.12)


def test_only_mappers_that_need_every_message_and_nothing_else_are_plain(rounds):
    plain = topic(0.1)
    others = [topic(0.1, Mapper(every=False, settles=True)), topic(0.1, Mapper(settles=True))]
    rounds.arrange([*others, plain])
    assert list(rounds.due(1.0)) == [([plain], others)]


def test_a_topic_that_comes_does_not_have_the_others_looked_at_again(rounds):
    old, new, without = topic(0.1), topic(0.04), topic(0.1)
    without.mapper = None
    rounds.arrange([old])
    assert looked_at(rounds, 1.0) == [old]
    rounds.arrange([old, new, without])
    assert looked_at(rounds, 1.01) == [new]


def test_a_busy_topic_has_one_look_more_unless_its_turn_is_sooner(rounds):
    busy, other = topic(0.1), topic(0.1)
    rounds.arrange([busy, other])
    assert looked_at(rounds, 1.0) == [busy, other]
    rounds.look_early(other, 1.2)
    rounds.look_early(busy, 1.03)
    assert rounds.next(2.0) == pytest.approx(1.03)
    assert looked_at(rounds, 1.03) == [busy]
    assert rounds.next(2.0) == pytest.approx(1.1)
    assert looked_at(rounds, 1.1) == [busy, other]

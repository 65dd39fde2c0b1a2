# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What comes of a rule's messages, and why that may be nothing."""

from __future__ import annotations

from collections.abc import Mapping

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.plan import PlannedRule
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.self_describing import SELF_DESCRIBING
from plexus_bridge.mapping.sinks import CountingSink
from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.rule_intake import RuleState

# So long nothing may come of messages before it is told; windows have to end, too.
PATIENCE_S = 3.0
# A topic is silent if nothing comes for so long, and for so many times its usual interval.
SILENT_S = 10.0
SILENT_INTERVALS = 10
# From so many messages on an interval is usual.
USUAL_MESSAGES = 10
# The middleware needs some time to connect a subscription.
CONNECT_S = 2.0

_SAID = {
    'element_absent': (RuleState.PATH_MISSING, 'the messages do not have the element that a path '
                       'asks for'),
    'not_finite': (RuleState.NOT_FINITE, 'they are NaN or infinite'),
    'out_of_range': (RuleState.NOT_FINITE, 'they lie beyond the limits that the messages name'),
    'values_without_estimate': (RuleState.NOT_FINITE, 'the messages say that they have no '
                                'estimate of them (covariance -1)')}
UNCHANGED = 'values_unchanged'
# By conditions: most values make no event.
COMPARED = 'values_compared'

Told = tuple[RuleState, str]


class CountersOfRule(Counters):
    """Passes everything on to the bridge's counters, and keeps what one rule left out."""

    def __init__(self, whole: Counters):
        super().__init__()
        self._whole = whole

    def add(self, name: str, amount: int = 1) -> None:
        """Add to one total; one thread maps all messages of a rule."""
        self._totals[name] += amount
        self._whole.add(name, amount)

    def drop(self, reason: str, amount: int = 1) -> None:
        """Count what was left out."""
        self._dropped[reason] += amount
        self._whole.drop(reason, amount)

    def left_out(self) -> dict[str, int]:
        """Return how many values were left out because of what is in the messages, and why."""
        return {reason: count for reason in (*_SAID, UNCHANGED)
                if (count := self._dropped[reason] + self._totals[reason])}


class Outcome:
    """
    What one rule makes of the messages of one topic, on the thread that maps them.

    `begin` before messages are mapped, `added` after it tells how many points they made; `look`
    now and then.
    """

    def __init__(self, planned: PlannedRule, type_name: str, counters: CountersOfRule):
        rule = planned.rule
        self.counters = counters
        # What is to be told instead of that data flows.
        self.told: Told | None = None
        # What a message type says by itself is rarely news, and that is as it should be.
        self._is_metric = isinstance(rule, MetricRule)
        self._asks = isinstance(rule, MetricRule) or bool(rule.fields) or rule.when is not None
        self._sinks = _sinks(planned, type_name)
        if len(self._sinks) == 1:  # most: straight to it
            self.begin, self.added = self._sinks[0].begin, self._sinks[0].added
        else:
            self.begin, self.added = self._begin, self._added
        samplings = [rule.sampling, *(field.sampling for field in rule.fields)] \
            if isinstance(rule, MetricRule) else []
        periods = [2 * sampling.window_s for sampling in samplings if sampling.mode == 'window']
        periods += [1 / sampling.rate_hz for sampling in samplings if sampling.mode == 'latest']
        self._patience_s = PATIENCE_S + max(periods, default=0.0)
        # How it was when values were last used, and since when there are messages of no use.
        self._used = self._messages = self._unreadable = 0
        self._left_out: Mapping[str, int] = {}
        self._fruitless_since: float | None = None

    def _begin(self) -> None:
        for sink in self._sinks:
            sink.begin()

    def _added(self) -> int:
        return sum(sink.added() for sink in self._sinks)

    def look(self, topic: RuleIntake, now: float) -> None:
        """Conclude from how many messages and points there are now; `now` as for `poll`."""
        used = topic.points
        if not self._is_metric:  # a value that says nothing new was used all the same
            used += self.counters[UNCHANGED] + self.counters[COMPARED]
        if used != self._used:
            self._used, self._messages = used, topic.messages
            self._unreadable, self._left_out = topic.unreadable, self.counters.left_out()
            self._fruitless_since = self.told = None
        elif topic.messages == self._messages:
            return
        elif self._fruitless_since is None:
            self._fruitless_since = now
        elif now - self._fruitless_since >= self._patience_s:
            self.told = self._why(topic)

    def _why(self, topic: RuleIntake) -> Told | None:
        """Return what has become of the messages that came since a value was used."""
        if topic.unreadable - self._unreadable == topic.messages - self._messages:
            return (RuleState.MALFORMED,
                    f'messages come and none of them can be read: {topic.trouble}')
        left_out = {reason: count - self._left_out.get(reason, 0)
                    for reason, count in self.counters.left_out().items()}
        if left_out.pop(UNCHANGED, 0):
            return (RuleState.RATE_LIMITED, 'messages come and no value differs enough from the '
                    'last one sent (deadband)')
        if self._asks and any(left_out.values()):
            state, why = _SAID[max(left_out, key=lambda reason: left_out[reason])]
            return state, f'messages come and every value is left out: {why}'
        return (RuleState.OK, 'messages come, with no value in them that this rule asks for') \
            if self._is_metric else None


def _sinks(planned: PlannedRule, type_name: str) -> tuple[CountingSink, ...]:
    """Return where the rule's points go, each once."""
    rule = planned.rule
    if not isinstance(rule, MetricRule):
        # What a black box sends around an event (by `bulk`) is made by other rules.
        lanes = {'urgent', 'state'}
    elif rule.fields:
        lanes = {field.lane for field in rule.fields}
    else:
        lanes = {'state', 'bulk'} if type_name == SELF_DESCRIBING else {rule.lane}
    return tuple(sink for sink in {planned.sinks[lane] for lane in lanes}
                 if isinstance(sink, CountingSink))


def how_it_goes(topic: RuleIntake, now: float) -> Told:
    """Return the state of a topic that is subscribed to and has a publisher, and why it is so."""
    if topic.messages <= topic.heard_before:
        if now - topic.subscribed_at >= CONNECT_S and not _connected(topic):
            return (RuleState.QOS_MISMATCH, f'saw {_count(topic)}, none of which the middleware '
                    'connects with the subscription of the bridge; compare quality of service, '
                    'partitions and security with "ros2 topic info --verbose"')
        return RuleState.NOTHING_PUBLISHED, f'subscribed ({topic.type}), nothing published yet'
    if not topic.readable:
        return RuleState.MALFORMED, f'no message could be read so far: {topic.trouble}'
    if _is_silent(topic, now):
        return RuleState.STALE, (
            f'no message for much longer than usual; there is still {_count(topic)}')
    told = topic.outcome.told if topic.outcome is not None else None
    return told or (RuleState.OK, f'data flows ({topic.type})')


def _connected(topic: RuleIntake) -> bool:
    return topic.subscription is None or topic.subscription.handle.get_publisher_count() > 0


def _count(topic: RuleIntake) -> str:
    count = topic.publishers.count if topic.publishers else 0
    return 'a publisher' if count == 1 else f'{count} publishers'


def _is_silent(topic: RuleIntake, now: float) -> bool:
    """Tell whether a topic of metrics that came regularly does so no more."""
    if topic.messages < USUAL_MESSAGES or not isinstance(topic.rule, MetricRule):
        return False
    interval_s = (topic.heard_at - topic.first_heard_at) / topic.messages
    return now - topic.heard_at > max(SILENT_S, SILENT_INTERVALS * interval_s)

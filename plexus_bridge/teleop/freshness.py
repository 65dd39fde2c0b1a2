# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
How old an order is, told without trusting any clock but our own monotonic one.

The operator stamps each order with a clock of his own. Its offset to ours is learned from a
question and its answer: we grant a lease, and the first order under it cannot have been issued
before the grant left. So that order is at most as old as the answer took, and every later one
is older or younger than it by as much as the two clocks say. Orders that echo the moment of our
latest answer are bounded anew each time, so that the clocks' drift never adds up.
"""

from __future__ import annotations

from plexus_bridge.errors import ClockSteppedError

# Two clocks drift apart by less than this (50 parts per million: crystals over temperature).
DRIFT = 0.00005
# Rounding of stamps to whole milliseconds on the operator's side.
ROUNDING_MS = 1.0


class Freshness:
    """
    The ages of one lease's orders; stamps are the operator's ms, `now` our monotonic seconds.

    `asked` is when the grant left.
    """

    def __init__(self, asked: float):
        self._asked = asked
        # The order from which the offset is known: arrival minus stamp, its greatest age, when.
        self._offset_ms: float | None = None
        self._bound_ms = 0.0
        self._learned_at = asked

    def age_ms(self, issued_ms: float, now: float, echo_ms: float | None = None) -> float:
        """
        Return the greatest age that this order can have, in ms.

        `echo_ms` is the moment (ms of `now`'s clock) at which the newest answer of ours left that
        the operator had seen. ClockSteppedError if the stamp is impossible. The first call is the
        answer to the grant.
        """
        age_ms = self._age_by_stamp(issued_ms, now)
        if echo_ms is not None and self._asked * 1000 <= echo_ms <= now * 1000:
            bound_ms = now * 1000 - echo_ms
            if bound_ms < age_ms:
                self._learn(now * 1000 - issued_ms, bound_ms, now)
                return bound_ms
        return age_ms

    def _age_by_stamp(self, issued_ms: float, now: float) -> float:
        offset_ms = now * 1000 - issued_ms
        if self._offset_ms is None:
            self._learn(offset_ms, (now - self._asked) * 1000, now)
            return self._bound_ms
        drift_ms = (now - self._learned_at) * 1000 * DRIFT + ROUNDING_MS
        age_ms = self._bound_ms + offset_ms - self._offset_ms
        if age_ms < -drift_ms:
            raise ClockSteppedError(
                f"the operator's clock jumped ahead by {-age_ms:.0f} ms or more")
        if age_ms + drift_ms < self._bound_ms:
            # It took less time than any before: it bounds the others' ages more closely.
            self._learn(offset_ms, max(age_ms, 0.0) + drift_ms, now)
        return max(age_ms, 0.0) + drift_ms

    def _learn(self, offset_ms: float, bound_ms: float, now: float) -> None:
        self._offset_ms = offset_ms
        self._bound_ms = bound_ms
        self._learned_at = now

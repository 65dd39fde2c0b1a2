# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the link carries, measured with the pictures themselves.

Around each picture goes a pair of pings. The second answer comes later than the first by the time
that the picture took on the narrowest part of the way, wherever that is: neither the length of
the way nor what the kernel has swallowed enters into it. From this follows how large a picture
may be, so that what is urgent never stands long behind one, and how many may be on their way.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
import math

# The longest that a picture may occupy the link, so long has an event to wait for it.
HOLD_S = 0.03
# Before anything is measured: what a link of 1 Mbit/s carries within HOLD_S.
FIRST_FRAME_BYTES = 4_000
SMALLEST_FRAME_BYTES = 1_500
MAX_UNANSWERED = 8
# A link that is faster than that is measured only now and then: answers cost something, too.
FAST_BYTES_PER_S = 5_000_000
MEASURE_S = 0.2
# A peer that has answered no ping of a connection for so long does not answer at all.
SILENT_S = 5.0
# Faster than this cannot be told apart from the clock's and the threads' own steps.
SHORTEST_S = 0.0005
# How much a new measure says against all before: much where the link got slower. Answers that are
# held up together on their way back make it look faster than it is, so it grows by little only.
_SLOWER, _FASTER, _MOST_GROWTH = 0.5, 0.25, 1.1
# The shortest way is measured anew each so often, because networks change: by a picture that is
# sent when no other is on its way. Measured behind others it would only ever become longer.
_WAY_S = 5.0


@dataclass
class _Sent:
    """One picture on its way: the number of its second ping, and when the first was answered."""

    size: int
    at: float
    ping: int
    alone: bool
    first_answer: float | None = None


class LinkGauge:
    """
    Owned by the link's thread; all times are monotonic seconds.

    The pings around measured picture n (from 0 on, on each connection) are number 2n and 2n + 1.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew: another connection, perhaps another network."""
        self._sent: deque[_Sent] = deque()
        self._unanswered = 0
        self._rate: float | None = None
        self._way_s = math.inf
        self._way_until = -math.inf
        self._pictures = 0
        self._answers = 0
        self._first_at: float | None = None
        self._measured_at = -math.inf

    @property
    def bytes_per_s(self) -> float | None:
        """What the link carries, as far as it is known."""
        return self._rate

    @property
    def frame_bytes(self) -> int:
        """How large a picture may be."""
        if self._rate is None:
            return FIRST_FRAME_BYTES
        return max(SMALLEST_FRAME_BYTES, int(self._rate * HOLD_S))

    def may_send(self, now: float) -> bool:
        """Tell whether another picture may go now without queueing behind others."""
        if not self._sent or self._is_deaf(now):
            return True
        return (self._rate is not None and now < self._way_until
                and len(self._sent) < MAX_UNANSWERED
                and self._unanswered <= self._rate * min(self._way_s, 1.0))

    def begin(self, size: int, now: float) -> int | None:
        """
        Take note of a picture that is handed to the network now.

        Returns the number of the ping to send before it, the one behind it having the next;
        None if this one needs no pings.
        """
        if (self._rate is not None and self._rate > FAST_BYTES_PER_S
                and now - self._measured_at < MEASURE_S):
            return None
        self._measured_at = now
        ping = self._pictures * 2
        self._sent.append(_Sent(size, now, ping + 1, not self._sent))
        self._pictures += 1
        self._unanswered += size
        if self._first_at is None:
            self._first_at = now
        if self._is_deaf(now):
            self._sent.clear()
            self._unanswered = 0
        return ping

    def answered(self, ping: int, now: float) -> None:
        """
        Take the answer to a ping.

        A peer may leave out all answers but the last (RFC 6455, section 5.5.3), so one stands for
        those before it, too; but only a pair of answers measures anything.
        """
        self._answers += 1
        while self._sent and self._sent[0].ping <= ping:
            arrived = self._sent.popleft()
            self._unanswered -= arrived.size
            if arrived.ping == ping and arrived.first_answer is not None:
                self._measure_rate(arrived.size / max(now - arrived.first_answer, SHORTEST_S))
        if self._sent and self._sent[0].ping == ping + 1:
            self._sent[0].first_answer = now
            if self._sent[0].alone:
                self._measure_way(now - self._sent[0].at, now)

    def _measure_way(self, seconds: float, now: float) -> None:
        if seconds <= self._way_s or now >= self._way_until:
            self._way_s = seconds
            self._way_until = now + _WAY_S

    def _measure_rate(self, rate: float) -> None:
        if self._rate is None:
            self._rate = rate
        else:
            weight = _SLOWER if rate < self._rate else _FASTER
            self._rate = min(
                self._rate + (rate - self._rate) * weight, self._rate * _MOST_GROWTH)

    def _is_deaf(self, now: float) -> bool:
        return (not self._answers and self._first_at is not None
                and now - self._first_at > SILENT_S)

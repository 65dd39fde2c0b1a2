# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How much may leave, and how much may be on its way: bytes and messages per second, window."""

from __future__ import annotations

import enum

from plexus_bridge.delivery.frames import MAX_FRAME_BYTES

# A bucket holds what may be sent in so many seconds.
_BURST_S = 1.0
# Gateways take 2000 messages per second of a source, older ones 500 (protocol section 6.11).
MESSAGES_PER_S = 400.0
FEWEST_MESSAGES_PER_S = 10.0
MESSAGE_BURST = 100.0
_RECOVERY_PER_S = 0.02
# Bulk and backlog on their way make what is urgent wait at most about so long, over the least
# time that an answer took.
TARGET_DELAY_S = 0.05
SMALLEST_WINDOW_BYTES = 32_000
LARGEST_WINDOW_BYTES = 2_000_000
# One message may be as long as is answered within this, and this long.
MESSAGE_S = 0.1
LARGEST_MESSAGE_BYTES = 450_000


class Level(enum.IntEnum):
    """Who spends first; backlog and video share what is left."""

    URGENT = 0
    STATE = 1
    BULK = 2
    SPARE = 3


class ByteBudget:
    """
    So many bytes per second, spent strictly in the order of levels.

    Each level has a bucket that everything at or above it drains. So what a lower one overdraws
    never keeps a higher one waiting, and in the long run no more leaves than is allowed. Urgent
    data never waits. Without a limit nothing waits. `now` is monotonic seconds.
    """

    def __init__(self, bytes_per_s: float | None, now: float = 0.0):
        self._rate = bytes_per_s
        self._tokens = dict.fromkeys(Level, (bytes_per_s or 0.0) * _BURST_S)
        self._at = now

    def allows(self, level: Level, now: float) -> bool:
        """Tell whether a message of this level may be sent."""
        if self._rate is None or level is Level.URGENT:
            return True
        self._refill(now)
        return self._tokens[level] > 0

    def spend(self, level: Level, size: int) -> None:
        """Note that so many bytes of a level were sent."""
        for lower in self._tokens:
            if lower >= level:
                self._tokens[lower] -= size

    def deadline(self, level: Level, now: float) -> float | None:
        """Return when this level may send next, None if it may already."""
        if self._rate is None or self.allows(level, now):
            return None
        return now + max(0.001, -self._tokens[level] / self._rate)

    def _refill(self, now: float) -> None:
        rate = self._rate or 0.0
        earned = max(0.0, now - self._at) * rate
        self._at = now
        for level, tokens in self._tokens.items():
            self._tokens[level] = min(tokens + earned, rate * _BURST_S)


class MessagePace:
    """As many messages as a gateway takes; fewer after it said that there were too many."""

    def __init__(self, now: float = 0.0):
        self._rate = MESSAGES_PER_S
        self._tokens = MESSAGE_BURST
        self._at = now

    def allows(self, now: float) -> bool:
        """Tell whether a message may be sent."""
        elapsed = max(0.0, now - self._at)
        self._at = now
        self._tokens = min(self._tokens + elapsed * self._rate, MESSAGE_BURST)
        recovered = self._rate * (1 + _RECOVERY_PER_S) ** min(elapsed, 1000.0)
        self._rate = min(recovered, MESSAGES_PER_S)
        return self._tokens >= 1

    def spend(self) -> None:
        """Note that a message was sent."""
        self._tokens -= 1

    def slow_down(self) -> None:
        """Send half as many messages from now on, and slowly more again."""
        self._rate = max(self._rate / 2, FEWEST_MESSAGES_PER_S)
        self._tokens = min(self._tokens, 1.0)

    def deadline(self, now: float) -> float | None:
        """Return when the next message may be sent, None if one may already."""
        return None if self.allows(now) else now + max(0.001, (1 - self._tokens) / self._rate)


class Window:
    """
    How many bytes of bulk and backlog may be unanswered, so that what is urgent need not wait.

    On answers that come late, compared with the quickest, it shrinks; else it grows. Telemetry
    that is answered out of a store needs its time, so the quickest is forgotten slowly.
    """

    def __init__(self) -> None:
        self._limit = float(SMALLEST_WINDOW_BYTES)
        self._quickest_s: float | None = None
        self._sent: dict[int, tuple[int, float]] = {}
        self._bytes = 0
        self._answered_per_s = 0.0

    @property
    def message_bytes(self) -> int:
        """How long a message may be, seen from how soon the last ones were answered."""
        return round(min(max(self._answered_per_s * MESSAGE_S, MAX_FRAME_BYTES),
                         LARGEST_MESSAGE_BYTES))

    @property
    def has_room(self) -> bool:
        """Whether one more frame may be sent; one always may."""
        return self._bytes < self._limit

    def sent(self, key: int, size: int, now: float) -> None:
        """Note that a frame of bulk or backlog is on its way."""
        self._sent[key] = size, now
        self._bytes += size

    def answered(self, key: int, now: float) -> None:
        """Note an answer; frames that are not counted here do not matter."""
        size, sent_at = self._sent.pop(key, (0, now))
        if not size:
            return
        pressed = self._bytes >= self._limit
        self._bytes -= size
        delay = max(now - sent_at, 1e-4)
        self._answered_per_s += (size / delay - self._answered_per_s) / 8
        if self._quickest_s is None or delay < self._quickest_s:
            self._quickest_s = delay
        self._quickest_s *= 1.001
        if delay > self._quickest_s + TARGET_DELAY_S:
            self._limit = max(self._limit * 0.9, SMALLEST_WINDOW_BYTES)
        elif pressed:
            self._limit = min(self._limit + size / 2, LARGEST_WINDOW_BYTES)

    def forget(self) -> None:
        """Begin anew: the connection is another one."""
        self._sent.clear()
        self._bytes = 0
        self._limit = float(SMALLEST_WINDOW_BYTES)
        self._quickest_s = None
        self._answered_per_s = 0.0

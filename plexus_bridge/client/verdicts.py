# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What follows from the gateway's word on a frame: stored, returned, refused for good."""

from __future__ import annotations

from collections.abc import Sequence
import logging
import time

from plexus_bridge.client.news import News
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.protocol import device_events

# After so many connections that ended with the same frame unanswered, others are tried first.
MOST_BREAKS = 3
# Each code that a gateway gives is counted by itself, up to so many different ones.
MOST_REASONS = 20

log = logging.getLogger(__name__)

# Answers by which a gateway refuses a frame for what is in it: parts of it may pass.
_CONTENT_REFUSED = ('INVALID_MESSAGE', 'MESSAGE_TOO_LARGE')


class Verdicts:
    """Carries verdicts out on the outbox and counts them; used by the link's thread."""

    def __init__(self, outbox: Outbox, counters: Counters, news: News):
        self._outbox = outbox
        self._counters = counters
        self._news = news
        self.last_acknowledged_ms = 0
        # How often in a row a frame was the oldest that stayed without an answer.
        self._suspect = (0, 0)
        self._reasons: set[str] = set()

    def stored(self, keys: Sequence[int]) -> None:
        """Let frames go that the gateway has safe."""
        self._counters.add('points_acknowledged', self._outbox.settle(keys))
        self.last_acknowledged_ms = time.time_ns() // 1_000_000
        self._outbox.on_settled()

    def returned(self, keys: Sequence[int]) -> None:
        """
        Take back frames of which nobody knows what became, oldest first.

        One that breaks every connection lets others go first: it may be the reason.
        """
        key, times = self._suspect
        self._suspect = keys[0], times + 1 if keys[0] == key else 1
        if self._suspect[1] >= MOST_BREAKS:
            self._suspect = (0, 0)
            self._counters.add('frames_suspected')
            self._outbox.postpone(keys[0])
        self._counters.add('frames_resent', self._outbox.give_back(keys))

    def too_long(self, key: int) -> None:
        """Heed a gateway that closed because of a message's length (code 1009)."""
        self.refused([key], 'gateway_message_too_big', 'the gateway closed with 1009')

    def discarded(self, event: device_events.FramesDiscarded) -> None:
        """Heed an `error` that names a frame (protocol section 6.6)."""
        reason = self._reason(event.code)
        self._counters.add(f'frames_{reason}', len(event.keys))
        if event.code in _CONTENT_REFUSED:
            self.refused(event.keys, reason, f'{event.code} {event.detail}')
        else:
            self._throw_away(event.keys, reason, f'{event.code} {event.detail}')

    def _reason(self, code: str) -> str:
        reason = f'gateway_{code.lower() or "error"}'
        if reason not in self._reasons and len(self._reasons) >= MOST_REASONS:
            return 'gateway_error'
        self._reasons.add(reason)
        return reason

    def dropped(self, key: int, points: int) -> None:
        """Let a frame go of which the gateway stored all but so many points."""
        self._outbox.lose([key], 'gateway_dropped', points)
        self.last_acknowledged_ms = time.time_ns() // 1_000_000

    def refused(self, keys: Sequence[int], reason: str, detail: str) -> None:
        """Offer frames again in halves, until the points are alone that cannot pass."""
        for key in keys:
            if self._outbox.split(key):
                self._counters.add('frames_split')
            else:
                self._throw_away([key], reason, detail)

    def _throw_away(self, keys: Sequence[int], reason: str, detail: str) -> None:
        self._outbox.lose(keys, reason)
        if self._news.is_new(reason):
            log.warning('the gateway refuses points for good: %s; further ones are only counted, '
                        'as %s', detail, reason)

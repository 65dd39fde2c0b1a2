# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The road for telemetry while the device socket is not to be had: one frame at a time by HTTP."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
import logging

from plexus_bridge.client.ingest import HttpIngest
from plexus_bridge.client.ingest import Outcome
from plexus_bridge.client.ingest import Result
from plexus_bridge.client.verdicts import Verdicts
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.protocol import backoff

log = logging.getLogger(__name__)

MOST_FAILURES = 5


class HttpRoad:
    """
    Sends the frames that `take` gives, and carries out what the gateway answers; the link's
    thread.

    `wake` is called, from another thread, when an answer came. `tell` hears how the road is:
    empty while it leads to the gateway, else why not, and whether the key is the reason;
    `heard_time` of the gateway's time (Unix ms), and how many seconds that may have taken.
    """

    def __init__(self, gateway_url: str, api_key: str, source_id: str, user_agent: str, *,
                 outbox: Outbox, take: Callable[[float], Frame | None], verdicts: Verdicts,
                 counters: Counters, wake: Callable[[], None],
                 tell: Callable[[str, bool], None],
                 heard_time: Callable[[float, float], None],
                 pauses: backoff.Backoff | None = None):
        self._outbox = outbox
        self._take = take
        self._verdicts = verdicts
        self._counters = counters
        self._wake = wake
        self._tell = tell
        self._heard_time = heard_time
        self._outcomes: deque[Outcome] = deque()
        self._backoff = pauses or backoff.Backoff()
        self._next_post = 0.0
        self._on_its_way = False
        self._failing = False
        # Which frame failed last, and how often in a row.
        self._failed = (0, 0)
        self._ingest = HttpIngest(
            gateway_url, api_key, source_id, user_agent, self._outcome_came, counters)

    @property
    def busy(self) -> bool:
        """Whether a frame is on its way, or its answer not carried out yet."""
        return self._on_its_way

    @property
    def failing(self) -> bool:
        """Whether the last attempt failed, so that there is no use in waiting for the next."""
        return self._failing

    def deadline(self) -> float | None:
        """Return from when on `send` may do something, None if an answer is awaited first."""
        return None if self._ingest.busy else self._next_post

    def send(self, now: float) -> None:
        """Post the next frame, if it is time for one."""
        if self._ingest.busy or now < self._next_post or self._outcomes:
            return
        frame = self._take(now)
        if frame is None:
            return
        self._counters.add('frames_sent_http')
        self._on_its_way = True
        self._ingest.send(frame)

    def hurry(self) -> None:
        """Have the next frame posted without waiting any longer."""
        self._next_post = 0.0

    def heed_answers(self, now: float) -> None:
        """Carry out what the gateway has answered since."""
        while self._outcomes:
            self._heed(self._outcomes.popleft(), now)

    def close(self, timeout_s: float) -> None:
        """Let a request that is under way end within the time, then give up on it."""
        self._ingest.close(timeout_s)

    def _outcome_came(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._wake()

    def _heed(self, outcome: Outcome, now: float) -> None:
        frame = outcome.frame
        self._on_its_way = False
        if outcome.date_ms is not None:
            # It is cut to whole seconds: in the middle of that second on average.
            self._heard_time(outcome.date_ms + 500, outcome.round_trip_s + 1.0)
        if outcome.result is Result.STORED:
            self._backoff.succeeded()
            if outcome.dropped:
                self._verdicts.dropped(frame.key, outcome.dropped)
            else:
                self._verdicts.stored([frame.key])
            self._failing = False
            self._tell('', False)
            return
        if outcome.result is Result.CONTENT_REFUSED:
            self._verdicts.refused([frame.key], 'gateway_refused', outcome.detail)
            return
        again = self._failed[1] + 1 if self._failed[0] == frame.key else 1
        self._failed = frame.key, again
        # Should it be the frame that a gateway stumbles over, others are not to wait for it.
        if outcome.result is Result.POSTPONE or again >= MOST_FAILURES:
            self._failed = (0, 0)
            self._outbox.postpone(frame.key)
        else:
            self._outbox.give_back([frame.key])
        delay = outcome.retry_after_s or self._backoff.next_delay()
        if outcome.result is Result.NOT_AUTHORISED:
            delay = backoff.REFUSED_DELAY_S
            log.error('%s. Check PLEXUS_API_KEY and its scopes; nothing is lost meanwhile',
                      outcome.detail)
        self._next_post = now + delay
        self._failing = True
        self._tell(outcome.detail, outcome.result is Result.NOT_AUTHORISED)

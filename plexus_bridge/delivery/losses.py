# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What was lost on the way, told as one event for each episode and reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from plexus_bridge.points import Point

EVENT = 'plexus.data_lost'
# An episode ends when nothing more was lost for QUIET_S; it is told after LONGEST_S at the latest.
QUIET_S = 10.0
LONGEST_S = 600.0


class Loss(NamedTuple):
    """So many points, from frames that were made between the two moments (Unix ms)."""

    reason: str
    points: int
    first_ms: int
    last_ms: int

    def point(self, now_ms: int) -> Point:
        """Return the event that tells it."""
        return {'class': 'event', 'metric': EVENT, 'timestamp': now_ms, 'value': {
            'reason': self.reason, 'points': self.points,
            'from_ms': self.first_ms, 'to_ms': self.last_ms}}


@dataclass
class _Episode:
    loss: Loss
    began: float
    latest: float


class Losses:
    """Losses that are not told yet; the owner keeps threads apart. `now` is monotonic seconds."""

    def __init__(self, noted: Iterable[Loss] = (), now: float = 0.0):
        self._episodes = {loss.reason: _Episode(loss, now, now) for loss in noted}
        self._changed = False

    def add(self, loss: Loss, now: float) -> None:
        """Note a loss."""
        self._changed = True
        episode = self._episodes.get(loss.reason)
        if episode is None:
            self._episodes[loss.reason] = _Episode(loss, now, now)
            return
        before = episode.loss
        episode.loss = Loss(loss.reason, before.points + loss.points,
                            min(before.first_ms, loss.first_ms), max(before.last_ms, loss.last_ms))
        episode.latest = now

    def take_ended(self, now: float) -> list[Loss]:
        """Return, once, the losses of episodes that have ended."""
        ended = [reason for reason, episode in self._episodes.items()
                 if now - episode.latest >= QUIET_S or now - episode.began >= LONGEST_S]
        if ended:
            self._changed = True
        return [self._episodes.pop(reason).loss for reason in ended]

    def changes(self) -> list[Loss] | None:
        """Return all that is not told if that has changed since it was last asked, else None."""
        if not self._changed:
            return None
        self._changed = False
        return [episode.loss for episode in self._episodes.values()]

    def not_noted(self) -> None:
        """Say that the changes could not be kept: they are given once more."""
        self._changed = True

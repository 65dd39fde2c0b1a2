# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Events of driving, with the refusals of a flood folded into one a second for each reason."""

from __future__ import annotations

from dataclasses import dataclass

from plexus_bridge.teleop.orders import Refused
from plexus_bridge.teleop.orders import Severity
from plexus_bridge.teleop.orders import TeleopEvent
from plexus_bridge.teleop.orders import Why

FOLD_S = 1.0


@dataclass
class _Fold:
    told_at: float
    more: int = 0
    text: str = ''
    operator: str = ''


class EventFolder:
    """What happened and was not taken yet; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._events: list[TeleopEvent] = []
        self._folds: dict[Why, _Fold] = {}

    def add(self, event: TeleopEvent) -> None:
        """Add an event that is always told."""
        self._events.append(event)

    def refused(self, refusal: Refused, operator: str, now: float) -> None:
        """Tell a refusal now, or count it to those that follow within a second."""
        fold = self._folds.get(refusal.why)
        if fold is None:
            self._folds[refusal.why] = _Fold(now)
            self._tell(refusal.why, refusal.text, operator, now)
            return
        fold.more += 1
        fold.text = refusal.text
        fold.operator = operator

    def take(self, now: float) -> list[TeleopEvent]:
        """Return, once, what there is to tell."""
        for why, fold in list(self._folds.items()):
            if now - fold.told_at < FOLD_S:
                continue
            if not fold.more:
                del self._folds[why]
                continue
            more = f' (and {fold.more - 1} more)' if fold.more > 1 else ''
            self._tell(why, fold.text + more, fold.operator, now)
            self._folds[why] = _Fold(now)
        events, self._events = self._events, []
        return events

    def _tell(self, why: Why, text: str, operator: str, now: float) -> None:
        self._events.append(TeleopEvent(
            'teleop.refused', f'{why.value}: {text}', operator, now, Severity.WARN))

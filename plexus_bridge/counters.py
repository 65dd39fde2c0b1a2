# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the bridge tells about itself: everything received, sent and dropped is counted here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
import threading


class Counters:
    """
    Named totals that only grow; `dropped` has one total for each reason.

    Any thread may count. Units stand in the names: ``points_acknowledged``, ``bytes_sent`` …
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def add(self, name: str, amount: int = 1) -> None:
        """Add to one total."""
        with self._lock:
            self._totals[name] += amount

    def drop(self, reason: str, amount: int = 1) -> None:
        """Count points (or frames, messages: the reason says which) that were not delivered."""
        with self._lock:
            self._dropped[reason] += amount

    def __getitem__(self, name: str) -> int:
        return self._totals[name]

    def dropped(self) -> Mapping[str, int]:
        """Return a copy of the drops by reason."""
        with self._lock:
            return dict(self._dropped)

    def totals(self) -> Mapping[str, int]:
        """Return a copy of all totals but the drops."""
        with self._lock:
            return dict(self._totals)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How a lane is: what became of its points, and where those are that are on their way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

from plexus_bridge.delivery.journal import Kept


@dataclass
class LaneTotals:
    """What became of a lane's points since the start, and of its bytes."""

    points_accepted: int = 0
    points_sent: int = 0
    points_acknowledged: int = 0
    bytes_sent: int = 0
    lost: Counter[str] = field(default_factory=Counter)

    def copy(self) -> LaneTotals:
        """Return how they are now, not to change any more."""
        return replace(self, lost=Counter(self.lost))


@dataclass(frozen=True)
class LaneState:
    """Where a lane's frames are now; `oldest_ms` is Unix ms, 0 for none."""

    queued_frames: int
    queued_bytes: int
    in_flight_frames: int
    kept: Kept
    oldest_ms: int
    totals: LaneTotals

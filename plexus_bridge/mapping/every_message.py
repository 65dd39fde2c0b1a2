# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What mappers have in common that use each message; most of them keep nothing for later."""

from __future__ import annotations

import math


class EveryMessage:
    """
    A base for mappers that add `take` (see `plexus_bridge.mapping.topic.Mapper`).

    Those that keep something for later say so by `settles` and add `settle`.
    """

    every = True
    period_s = math.inf
    settles = False

    def is_due(self, now_ms: int) -> bool:
        """Return True: each message is used."""
        return True

    def settle(self, now_ms: int) -> None:
        """Do nothing: nothing waits."""

    def finish(self) -> None:
        """Do nothing: nothing waits."""

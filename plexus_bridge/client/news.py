# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Saying a thing once, however often it happens."""

from __future__ import annotations

# So many different texts of a gateway's are told; a hostile one could make up ever new ones.
MAX_TOLD = 50


class News:
    """Remembers what was told; used by one thread."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def is_new(self, text: str) -> bool:
        """Tell whether something was not told yet; from now on it was."""
        if text in self._told or len(self._told) >= MAX_TOLD:
            return False
        self._told.add(text)
        return True

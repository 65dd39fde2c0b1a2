# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Which names are meant: patterns with ``*``, of which those with a leading ``!`` bar."""

from __future__ import annotations

from collections.abc import Sequence
import fnmatch
import functools


class NameFilter:
    """Passes names that fit any pattern (or all, if none asks) and no barring one."""

    def __init__(self, patterns: Sequence[str]):
        self._wanted = [pattern for pattern in patterns if not pattern.startswith('!')]
        self._barred = [pattern[1:] for pattern in patterns if pattern.startswith('!')]
        # Few names come again and again.
        self.passes = functools.lru_cache(1024)(self._passes)

    def _passes(self, name: str) -> bool:
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in self._barred):
            return False
        return not self._wanted or any(
            fnmatch.fnmatchcase(name, pattern) for pattern in self._wanted)

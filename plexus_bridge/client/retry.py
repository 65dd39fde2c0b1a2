# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How long to wait between failed requests, as the official SDK lets programs say."""

from __future__ import annotations

from dataclasses import dataclass

from plexus_bridge.errors import SettingError
from plexus_bridge.protocol import backoff


@dataclass(frozen=True)
class RetryConfig:
    """
    Pauses between failed requests by HTTP, in seconds, growing from `base_delay` to `max_delay`.

    `max_retries` is taken for old programs' sake: points wait on disk, and are never given up.
    """

    max_retries: int = 3
    base_delay: float = 1.0
    max_delay: float = 30.0
    exponential_base: float = 2.0
    jitter: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.base_delay <= self.max_delay and self.exponential_base >= 1):
            raise SettingError(
                f'retry_config: saw {self}, expected 0 < base_delay <= max_delay, and an '
                'exponential_base of 1 or more')

    def pauses(self) -> backoff.Backoff:
        """Return them."""
        return backoff.Backoff(
            first_s=self.base_delay, longest_s=self.max_delay, factor=self.exponential_base,
            spread=backoff.SPREAD if self.jitter else 0.0)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the link knows of itself."""

from __future__ import annotations

from dataclasses import dataclass
import enum
import time

from plexus_bridge.client.gateway_clock import ClockEstimate


class Transport(enum.Enum):
    """How telemetry leaves at the moment."""

    NONE = 'none'
    SOCKET = 'socket'
    HTTP = 'http'


@dataclass(frozen=True)
class LinkStatus:
    """
    What the link knows of itself; `detail` says why there is none.

    `refused`: the gateway says no, to the key, or `without_socket` only to the device socket,
    which the plan does not include. `clock_offset_ms` is the gateway's clock minus ours when it
    was last heard, ± `clock_error_ms`; `clock` tells the gateway's time whatever ours does.
    """

    transport: Transport = Transport.NONE
    detail: str = ''
    refused: bool = False
    without_socket: bool = False
    connections: int = 0
    clock_offset_ms: float | None = None
    clock_error_ms: float | None = None
    clock: ClockEstimate | None = None

    @property
    def key_refused(self) -> bool:
        """Whether nothing is let in, neither by the socket nor by HTTP."""
        return self.refused and not self.without_socket

    @property
    def correction_ms(self) -> int:
        """
        What to add to our clock now to have the gateway's: nothing that could be mere delay.

        Steps of our clock are taken out; `gateway_clock.StampClock` also keeps stamps in order.
        """
        if self.clock is None:
            return 0
        now = time.monotonic()
        offset_ms = self.clock.now_ms(now) - time.time() * 1000
        return round(offset_ms) if abs(offset_ms) > self.clock.error_at(now) else 0

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a device says and hears beside telemetry and video: commands, and the agents' messages."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol


class Control(Protocol):
    """
    The control plane as the link sees it: every method is called on the link's thread.

    Whoever adds to what `messages_to_send` gives from another thread wakes the link afterwards
    (`Link.wake`). `now` is monotonic seconds, messages are JSON objects.
    """

    def hello(self) -> Mapping[str, Any]:
        """Return what is added to `device_auth`: `commands` (protocol section 8.1), `sensors` …"""

    def opened(self, answer: Mapping[str, Any], now: float) -> None:
        """The gateway let us in; `answer` is its `authenticated` message (section 6.3)."""

    def receive(self, message: Mapping[str, Any], now: float) -> bool:
        """Take a message that is not telemetry's; False if it means nothing here."""

    def lost(self, now: float) -> None:
        """The connection is gone: whatever moves at the gateway's word stops now."""

    def messages_to_send(self, now: float) -> Sequence[Mapping[str, Any]]:
        """Return, once, what has to be sent now, in order; asked only while let in."""

    def deadline(self) -> float | None:
        """Return when `messages_to_send` must be asked next unasked, None for never."""

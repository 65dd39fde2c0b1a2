# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Bounds what a program's output may take of the link."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import time
from typing import Any

from plexus_bridge.commands.budget import Budget

BYTES_PER_S = 65_536
BYTES_AT_ONCE = 262_144
# What a line is counted for on top of itself: the message around it.
LINE_BYTES = 100


class BoundedOutput:
    """
    Hands `output` messages on; lines that come too fast are left out, and that is told.

    What is not a line (`start`, `exit`, `timeout` …) always goes. One thread at a time may call.
    """

    def __init__(self, send: Callable[[Mapping[str, Any]], None]):
        self._send = send
        self._budget = Budget(BYTES_PER_S, BYTES_AT_ONCE)
        self._left_out = 0

    def take(self, message: Mapping[str, Any]) -> None:
        """Take one message."""
        if message['event'] == 'data' and not self._budget.take(
                time.monotonic(), len(message['data']) + LINE_BYTES):
            self._left_out += 1
            return
        if self._left_out:
            told = f'[{self._left_out} lines left out: they came too fast]\n'
            self._send({'type': 'output', 'id': message['id'], 'event': 'data', 'data': told})
            self._left_out = 0
        self._send(message)

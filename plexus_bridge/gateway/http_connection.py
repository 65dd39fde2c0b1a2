# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The HTTP implementation below the routes: uvicorn's, but not patient for ever.

A client that sends its headers or its body byte by byte would hold its connection as long as it
likes; here a request has to be there within a time. Between requests uvicorn's own time counts.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_TIMEOUT_S = 10.0
# 5 MiB in this time are 40 kB/s; a request that is answered is not held to it.
BODY_TIMEOUT_S = 120.0


class ImpatientHttpProtocol(H11Protocol):
    """As uvicorn's, with a time for headers and one for the body."""

    _timer: asyncio.TimerHandle | None = None
    _waits_for: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait for what is still to come."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.transport.get_protocol() is not self:
            # It is a WebSocket now, and h11 believes for ever that a body is to come.
            self._stop()
            return
        state = self.conn.their_state
        if state is self._waits_for:
            return
        self._stop()
        timeout = {h11.IDLE: HEADERS_TIMEOUT_S, h11.SEND_BODY: BODY_TIMEOUT_S}.get(state)
        if timeout is not None and not self.transport.is_closing():
            self._waits_for = state
            self._timer = self.loop.call_later(timeout, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._waits_for = None

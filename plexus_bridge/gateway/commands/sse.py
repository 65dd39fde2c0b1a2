# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Updates of commands as server-sent events, for whoever has no WebSocket at hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Mapping
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.live.queues import RecentFrames

# A comment as often keeps the connection through proxies, and shows when the reader is gone.
KEEP_ALIVE_S = 15.0


def encode_update(update: Mapping[str, Any]) -> str | None:
    """Return an update as JSON text; None for what a device sent and JSON cannot carry."""
    try:
        return encoding.dumps(dict(update)).decode()
    except (TypeError, ValueError):
        return None


async def server_sent_events(gateway: Gateway, source_id: str, key: Key) -> AsyncIterator[str]:
    """Yield events until the reader goes, the key is revoked or the gateway stops."""
    queue = RecentFrames()
    over = asyncio.Event()

    def hear(update: Mapping[str, Any]) -> None:
        text = encode_update(update)
        if text is not None:
            lost = queue.put(f'event: {update["type"]}\ndata: {text}\n\n')
            if lost:
                gateway.store.counters.drop('command_updates', lost)

    with gateway.updates.heard_by(source_id, hear), gateway.keys.held(key, over.set):
        yield ': listening\n\n'
        ends = [asyncio.ensure_future(event.wait()) for event in (over, gateway.stopping)]
        following = asyncio.ensure_future(queue.get())
        try:
            while True:
                done, _ = await asyncio.wait(
                    (*ends, following), timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
                if any(end in done for end in ends):
                    return
                if following in done:
                    yield following.result()
                    following = asyncio.ensure_future(queue.get())
                else:
                    yield ': still here\n\n'
        finally:
            for waiting in (*ends, following):
                waiting.cancel()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The three sockets of the live streams (protocol section 13).

The first message is ``{"type": "auth", "api_key": …}`` within ten seconds; metrics and events
then just begin, video begins with ``init``. While nothing can be stored nothing is shown either:
viewers hear ``gateway_reconnecting`` every two seconds, and 1011 after five times in vain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
import contextlib
from contextlib import AbstractContextManager
import math
from typing import Annotated
from typing import Any
from typing import NamedTuple

from fastapi import APIRouter
from fastapi import Query
from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from plexus_bridge.errors import AccessError
from plexus_bridge.gateway.access.first_message import read_auth
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.live.frames import init_frame
from plexus_bridge.gateway.live.frames import reconnecting_frame
from plexus_bridge.gateway.live.queues import FrameQueue

router = APIRouter(prefix='/v1/sources/{source_id}')

CLOSE_TIMEOUT_S = 5.0
RECONNECT_DELAY_S = 2
MAX_RECONNECTS = 5
DEFAULT_VIDEO_S = 600.0
# As long as a recording may be; it is a wall-clock bound, and viewers connect again.
MAX_VIDEO_S = 4 * 3600.0
DEFAULT_CAMERA = 'default'
MAX_CAMERAS = 64
POLICY_VIOLATION = 1008


class Ending(NamedTuple):
    """A close code and its reason (section 13.2)."""

    code: int
    reason: str


UNAUTHORISED = Ending(4401, 'unauthorized')
VIDEO_UNAUTHORISED = Ending(4001, 'unauthorized')
VIDEO_TIMEOUT = Ending(4008, 'stream timeout')
GATEWAY_ERROR = Ending(1011, 'gateway error')


class _StreamEnd(Exception):  # noqa: N818 - the end of a stream, for a reason that is told
    def __init__(self, ending: Ending):
        super().__init__(ending.reason)
        self.ending = ending


@router.websocket('/metrics/stream')
async def stream_metrics(
        websocket: WebSocket, source_id: str, metrics: str | None = None) -> None:
    """Show a source's metrics, those named or all."""
    gateway = gateway_of(websocket)
    names = frozenset(filter(None, metrics.split(','))) if metrics else None
    await _serve(websocket, gateway.hub.metrics(source_id, names or None), UNAUTHORISED)


@router.websocket('/events/stream')
@router.websocket('/logs/stream')
async def stream_events(websocket: WebSocket, source_id: str) -> None:
    """Show a source's events."""
    await _serve(websocket, gateway_of(websocket).hub.events(source_id), UNAUTHORISED)


@router.websocket('/video/stream')
async def stream_video(
        websocket: WebSocket, source_id: str,
        camera_id: Annotated[list[str] | None, Query()] = None,
        timeout: str = '') -> None:
    """Show cameras of a source until the time is over."""
    try:
        seconds = read_timeout(timeout)
    except ValueError as error:
        await websocket.accept()
        await websocket.close(POLICY_VIOLATION, str(error))
        return
    cameras = (camera_id or [DEFAULT_CAMERA])[:MAX_CAMERAS]
    view = gateway_of(websocket).hub.video(source_id, cameras)
    await _serve(websocket, view, VIDEO_UNAUTHORISED, video_of=source_id, timeout_s=seconds)


def read_timeout(text: str) -> float:
    """Return a video stream's length in seconds, the default if none is asked for; ValueError."""
    if not text:
        return DEFAULT_VIDEO_S
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if math.isnan(seconds) or seconds <= 0:
        raise ValueError('timeout: expected seconds above 0')
    return min(seconds, MAX_VIDEO_S)


async def _serve(
        websocket: WebSocket, view: AbstractContextManager[FrameQueue], unauthorised: Ending, *,
        video_of: str | None = None, timeout_s: float | None = None) -> None:
    """Let a viewer in and show it what it asked for, until one side ends it."""
    gateway = gateway_of(websocket)
    await websocket.accept()
    try:
        key = await _admitted(websocket, unauthorised)
        if video_of is not None:
            cameras = gateway.hub.cameras(video_of) if video_of in gateway.devices else None
            await websocket.send_text(init_frame(video_of, cameras))
        revoked = asyncio.Event()
        with view as queue, gateway.keys.held(key, revoked.set):
            await _first_to_end(
                _send(websocket, queue), _watch_storage(gateway, queue, video_of is not None),
                _hear(websocket), _end_at(revoked, unauthorised), _end_after(timeout_s))
    except _StreamEnd as end:
        # A viewer that does not read does not get the close frame either, and is cut off.
        with contextlib.suppress(asyncio.TimeoutError, WebSocketDisconnect):
            await asyncio.wait_for(websocket.close(*end.ending), CLOSE_TIMEOUT_S)
    except WebSocketDisconnect:
        pass


async def _admitted(websocket: WebSocket, unauthorised: Ending) -> Key:
    """Return the key of the first message; the stream ends unless it may read."""
    try:
        key, _ = await read_auth(websocket, 'read')
    except AccessError:
        raise _StreamEnd(unauthorised) from None
    return key


async def _first_to_end(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all parts until one of them ends or fails; leaves nothing running."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _send(websocket: WebSocket, queue: FrameQueue) -> None:
    while True:
        await websocket.send_text(await queue.get())


async def _hear(websocket: WebSocket) -> None:
    """Wait until the viewer leaves; what it says has no meaning."""
    while (await websocket.receive())['type'] != 'websocket.disconnect':
        pass


async def _end_at(event: asyncio.Event, ending: Ending) -> None:
    await event.wait()
    raise _StreamEnd(ending)


async def _end_after(timeout_s: float | None) -> None:
    if timeout_s is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(timeout_s)
        raise _StreamEnd(VIDEO_TIMEOUT)


async def _watch_storage(gateway: Gateway, queue: FrameQueue, video: bool) -> None:
    attempt = 0
    while True:
        await asyncio.sleep(RECONNECT_DELAY_S)
        if gateway.store.failure is None:
            attempt = 0
            continue
        attempt += 1
        if attempt > MAX_RECONNECTS:
            raise _StreamEnd(GATEWAY_ERROR)
        queue.put(reconnecting_frame(
            attempt, RECONNECT_DELAY_S, MAX_RECONNECTS if video else None))

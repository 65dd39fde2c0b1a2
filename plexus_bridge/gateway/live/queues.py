# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What waits for one viewer: bounded, so that a slow viewer loses frames and costs no memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

# About ten seconds of a stream that is flushed every 25 ms.
MAX_FRAMES = 400
MAX_CHARACTERS = 4 * 1024 * 1024


class FrameQueue(Protocol):
    """Encoded frames for one viewer; used on the event loop alone."""

    def put(self, frame: str, camera_id: str = '') -> int:
        """Append a frame; return how many older ones had to go for it."""

    async def get(self) -> str:
        """Wait for the next frame."""


class RecentFrames:
    """For metrics and events: the newest frames in their order, up to a number and a size."""

    def __init__(self, max_frames: int = MAX_FRAMES, max_characters: int = MAX_CHARACTERS):
        self._max_frames = max_frames
        self._max_characters = max_characters
        self._frames: deque[str] = deque()
        self._characters = 0
        self._ready = asyncio.Event()

    def put(self, frame: str, camera_id: str = '') -> int:
        """Append a frame; return how many older ones had to go for it."""
        self._frames.append(frame)
        self._characters += len(frame)
        lost = 0
        while len(self._frames) > 1 and (
                len(self._frames) > self._max_frames or self._characters > self._max_characters):
            self._characters -= len(self._frames.popleft())
            lost += 1
        self._ready.set()
        return lost

    async def get(self) -> str:
        """Wait for the next frame."""
        await self._ready.wait()
        frame = self._frames.popleft()
        self._characters -= len(frame)
        if not self._frames:
            self._ready.clear()
        return frame


class NewestFrames:
    """For video: the newest frame of each camera; the one that has waited longest goes first."""

    def __init__(self) -> None:
        self._frames: dict[str, str] = {}
        self._ready = asyncio.Event()

    def put(self, frame: str, camera_id: str = '') -> int:
        """Take the place of an older frame of the same camera; return whether there was one."""
        lost = camera_id in self._frames
        self._frames[camera_id] = frame
        self._ready.set()
        return int(lost)

    async def get(self) -> str:
        """Wait for the next frame."""
        await self._ready.wait()
        camera_id = next(iter(self._frames))
        frame = self._frames.pop(camera_id)
        if not self._frames:
            self._ready.clear()
        return frame

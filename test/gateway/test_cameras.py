# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""When a device is told to film, and when to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from plexus_bridge.gateway import cameras
from plexus_bridge.gateway.cameras import Cameras
from plexus_bridge.gateway.devices import Devices


class Device:
    """A connection that keeps what it is sent."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def send(self, message: Mapping[str, Any]) -> None:
        assert message['source_id'] == 'kiln-7'
        self.heard.append((message['type'], message['camera_id']))


@pytest.fixture
def device() -> Device:
    return Device()


def watched(device: Device) -> Cameras:
    devices = Devices()
    devices.enter('kiln-7', device)  # type: ignore[arg-type]
    return Cameras(devices)


def test_a_page_that_is_loaded_again_does_not_stop_the_camera(
        device: Device, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cameras, 'STOP_DELAY_S', 0.05)

    async def play() -> None:
        found = watched(device)
        for viewers in (1, 2, 1, 0, 1):
            found.viewers_changed('kiln-7', 'front', viewers)
        await asyncio.sleep(0.1)
        assert device.heard == [('start_camera', 'front')]
        found.viewers_changed('kiln-7', 'front', 0)
        while len(device.heard) < 2:
            await asyncio.sleep(0.01)
        found.viewers_changed('kiln-7', 'front', 1)
        assert device.heard[1:] == [('stop_camera', 'front'), ('start_camera', 'front')]

    asyncio.run(play())


def test_cameras_and_sources_are_told_apart(device: Device):

    async def play() -> None:
        found = watched(device)
        found.viewers_changed('kiln-8', 'front', 1)
        found.viewers_changed('kiln-7', 'rear', 1)
        found.entered('kiln-7', device, ['front', 'rear'])  # type: ignore[arg-type]
        found.close()
        assert device.heard == [
            ('start_camera', 'rear'), ('start_camera', 'rear'), ('stop_camera', 'front')]

    asyncio.run(play())

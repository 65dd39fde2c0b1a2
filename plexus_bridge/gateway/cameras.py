# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Has devices film what somebody looks at, and only that: `start_camera` and `stop_camera`.

Section 11.3. Devices that do not know these messages ignore them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from plexus_bridge.gateway.devices import Connection
from plexus_bridge.gateway.devices import Devices

# A page that is loaded again must not have the camera stop and start.
STOP_DELAY_S = 2.0


class Cameras:
    """The cameras that are looked at; used on the event loop alone."""

    def __init__(self, devices: Devices):
        self._devices = devices
        self._watched: set[tuple[str, str]] = set()
        self._stopping: dict[tuple[str, str], asyncio.TimerHandle] = {}

    def viewers_changed(self, source_id: str, camera_id: str, viewers: int) -> None:
        """Note how many look at a camera now."""
        camera = (source_id, camera_id)
        stop = self._stopping.pop(camera, None)
        if stop is not None:
            stop.cancel()
        if viewers and camera not in self._watched:
            self._watched.add(camera)
            self._send(source_id, 'start_camera', camera_id)
        elif not viewers and camera in self._watched:
            self._stopping[camera] = asyncio.get_running_loop().call_later(
                STOP_DELAY_S, self._stop, camera)

    def entered(
            self, source_id: str, connection: Connection, cameras: Iterable[str]) -> None:
        """Tell a device that was let in which of its cameras are looked at, and which not."""
        watched = [camera for source, camera in sorted(self._watched) if source == source_id]
        for camera_id in watched:
            connection.send(_message('start_camera', source_id, camera_id))
        for camera_id in cameras:
            if camera_id not in watched:
                connection.send(_message('stop_camera', source_id, camera_id))

    def close(self) -> None:
        """Forget what was to be stopped."""
        for handle in self._stopping.values():
            handle.cancel()
        self._stopping.clear()

    def _stop(self, camera: tuple[str, str]) -> None:
        self._stopping.pop(camera, None)
        self._watched.discard(camera)
        self._send(camera[0], 'stop_camera', camera[1])

    def _send(self, source_id: str, kind: str, camera_id: str) -> None:
        connection = self._devices.find(source_id)
        if connection is not None:
            connection.send(_message(kind, source_id, camera_id))


def _message(kind: str, source_id: str, camera_id: str) -> dict[str, str]:
    return {'type': kind, 'source_id': source_id, 'camera_id': camera_id}

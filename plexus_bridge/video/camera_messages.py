# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a dashboard says of cameras: `start_camera`, `stop_camera`, `configure_camera`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plexus_bridge.errors import CommandError
from plexus_bridge.video.cameras import Cameras


class CameraMessages:
    """Answers the agents' messages of protocol section 11.3 that are about cameras."""

    kinds = frozenset(('start_camera', 'stop_camera', 'configure_camera'))

    def __init__(self, cameras: Cameras):
        self._cameras = cameras

    def hello(self) -> Mapping[str, Any]:
        """Return the inventory: whoever announces cameras is told which of them are watched."""
        announced = self._cameras.announced()
        return {'cameras': announced} if announced else {}

    def receive(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what a message asks; CommandError ``bad_params`` for a camera that is not there."""
        kind, camera_id = message.get('type'), message.get('camera_id')
        if not isinstance(camera_id, str):
            raise CommandError('bad_params', 'camera_id: is missing, expected a text')
        config = message.get('config')
        if kind == 'start_camera':
            known = self._cameras.start(
                camera_id, frame_rate=message.get('frame_rate'),
                resolution=message.get('resolution'), quality=message.get('quality'))
        elif kind == 'stop_camera':
            known = self._cameras.stop(camera_id)
        else:
            known = self._cameras.configure(
                camera_id, config if isinstance(config, Mapping) else message)
        if not known:
            names = ', '.join(camera['camera_id'] for camera in self._cameras.announced())
            raise CommandError(
                'bad_params', f'camera_id: saw {camera_id[:64]!r}, expected one of '
                f'{names or "none, for the map has no video section"}')
        return {}

    def lost(self) -> None:
        """Go back to what the map asks for."""
        self._cameras.lost()

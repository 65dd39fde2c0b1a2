# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of `Plexus` that sends pictures (protocol section 7)."""

from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Any

from plexus_bridge.client.camera import CameraStream
from plexus_bridge.client.intake import Intake
from plexus_bridge.client.pictures import check_quality
from plexus_bridge.client.pictures import Pictures
from plexus_bridge.client.readings import wire_stamp
from plexus_bridge.client.sender import Sender
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import SettingError


class VideoCalls:
    """Sends pictures and cameras; any thread may call."""

    def __init__(self, sender: Sender, intake: Intake, frames: VideoFrames):
        self._video_sender = sender
        self._video_intake = intake
        self._pictures = Pictures(
            sender.source_id, frames, sender.counters, sender.lines.say_once)
        self._streams: list[CameraStream] = []

    def send_video_frame(self, frame: Any, camera_id: str = 'camera:0', quality: int = 85,
                         timestamp: float | None = None) -> bool:
        """
        Send a picture: JPEG bytes as they are, other image bytes, or an array as of OpenCV.

        True if it is on its way. False while there is no device socket: pictures are live or not
        at all. PictureError (a ValueError) for what is no picture.
        """
        return self._send_picture(
            lambda pictures, stamp: pictures.send(frame, camera_id, quality, stamp), timestamp)

    def send_thermal_frame(self, temps: Any, camera_id: str = 'thermal:0', quality: int = 85,
                           timestamp: float | None = None) -> bool:
        """Send temperatures, °C, height x width, as a picture with its numbers; else as above."""
        return self._send_picture(
            lambda pictures, stamp: pictures.send_thermal(temps, camera_id, quality, stamp),
            timestamp)

    def stream_camera(self, url: str, camera_id: str = 'camera:0', fps: float = 15,
                      quality: int = 85) -> threading.Event:
        """
        Send what FFmpeg reads from an address or file, until the event that it returns is set.

        A camera that breaks off is opened again; at the end of a file the event is set.
        CameraError at once if there is no ffmpeg.
        """
        self._video_intake.check_usable()
        check_quality(quality)
        if not fps > 0:
            raise SettingError(f'fps: saw {fps!r}, expected a rate above 0')
        stream = CameraStream(
            url, camera_id, fps, quality,
            lambda jpeg: self.send_video_frame(jpeg, camera_id, quality),
            self._video_sender.lines.say)
        self._streams.append(stream)
        return stream

    def _send_picture(self, send: Callable[[Pictures, int], None], timestamp: float | None
                      ) -> bool:
        self._video_intake.begin()
        stamp = int(wire_stamp(timestamp, self._video_sender.now_ms()))
        if not self._video_sender.wait_until_live(self._video_intake.first_wait_s):
            self._video_sender.counters.drop('video_offline')
            return False
        send(self._pictures, stamp)
        return True

    def stop_cameras(self) -> None:
        """End every stream that was begun."""
        for stream in self._streams:
            stream.set()

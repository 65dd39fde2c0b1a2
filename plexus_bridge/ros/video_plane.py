# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What makes live video of camera topics: frames for the link, cameras, their intake."""

from __future__ import annotations

from collections.abc import Sequence
import time

from rclpy.node import Node

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import ConfigError
from plexus_bridge.errors import PictureError
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.video_intake import VideoIntake
from plexus_bridge.video.camera_messages import CameraMessages
from plexus_bridge.video.cameras import Cameras
from plexus_bridge.video.rules import CameraRule


class VideoPlane:
    """
    Owns the cameras; `frames` is the link's, `messages` answers what a dashboard says of them.

    ConfigError at construction if there is nothing to encode with. `poll` belongs to the thread
    that maps and flushes; `sink` takes the metrics.
    """

    def __init__(self, node: Node, rules: Sequence[CameraRule], source_id: str,
                 counters: Counters, sink: Sink):
        self.frames = VideoFrames()
        try:
            self._cameras = Cameras(
                rules, source_id, self.frames, counters,
                simulated=node.get_parameter('use_sim_time').value)
        except PictureError as error:
            raise ConfigError(f'the map has cameras, but {error}') from None
        self.messages = CameraMessages(self._cameras)
        self._intake = VideoIntake(node, self._cameras)
        self._sink = sink

    @property
    def topics(self) -> Sequence[RuleIntake]:
        """How each camera goes."""
        return self._intake.topics

    def start(self) -> None:
        """Begin to take images."""
        self._intake.start()

    def poll(self, now: float, clock_correction_ms: int) -> None:
        """Look at the graph and hand on metrics, each if it is time to."""
        self._intake.clock_correction_ms = clock_correction_ms
        self._intake.poll(now)
        for point in self._cameras.report(
                now, time.time_ns() // 1_000_000 + clock_correction_ms):
            self._sink.add(point)

    def close(self) -> None:
        """Take no more images."""
        self._intake.close()

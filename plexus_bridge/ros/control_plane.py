# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What carries out what is asked of the robot: dispatcher, commands of the map, driving."""

from __future__ import annotations

import logging
from pathlib import Path
import time

from rclpy.executors import Executor
from rclpy.node import Node

from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.commands.memory import RunMemory
from plexus_bridge.config.map import RobotMap
from plexus_bridge.counters import Counters
from plexus_bridge.mapping.event_points import make_event
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.ros.chores import Chores
from plexus_bridge.ros.targets.map_target import MapTarget
from plexus_bridge.ros.teleop import TeleopDriver
from plexus_bridge.teleop.commands import offer_driving

log = logging.getLogger(__name__)


class ControlPlane:
    """
    Owns what carries out commands; `dispatcher` is the link's `Control`.

    ConfigError or JournalError at construction. `poll` belongs to the thread that maps and
    flushes; `urgent` takes the events.
    """

    def __init__(self, node: Node, executor: Executor, robot_map: RobotMap, memory: Path,
                 counters: Counters, urgent: Sink):
        self._tags = robot_map.tags
        self._urgent = urgent
        self._memory = RunMemory(memory)
        if self._memory.set_aside:
            log.error('the memory of runs was damaged; it lies in %s now, and runs of before may '
                      'happen again', self._memory.set_aside)
        self.dispatcher = Dispatcher(counters, self._memory)
        self._chores = Chores(node, executor)
        for rule in robot_map.commands:
            self.dispatcher.add(rule.declaration, MapTarget(node, rule, self._chores))
        self._driver: TeleopDriver | None = None
        if robot_map.teleop is not None:
            self._driver = TeleopDriver(node, robot_map.teleop)
            offer_driving(self.dispatcher, self._driver, robot_map.teleop.settings)
            self.dispatcher.on_lost.append(self._link_lost)

    def start(self) -> None:
        """Begin to carry out what is asked for."""
        if self._driver is not None:
            self._driver.__enter__()

    def poll(self, clock_correction_ms: int) -> None:
        """Hand on what happened as events."""
        if self._driver is None:
            return
        for event in self._driver.take_events():
            self._urgent.add(make_event(
                event.name, event.text, time.time_ns() // 1_000_000 + clock_correction_ms,
                {**self._tags, 'operator': event.operator} if event.operator else self._tags,
                event.severity.value))

    def close(self) -> None:
        """Stop the robot if somebody drives it, and end what is in progress."""
        if self._driver is not None:
            self._driver.close()
        self.dispatcher.close()

    def forget(self) -> None:
        """Let go of the file; nothing is reported any more."""
        self._memory.close()

    def _link_lost(self, now: float) -> None:
        assert self._driver is not None
        self._driver.link_lost()

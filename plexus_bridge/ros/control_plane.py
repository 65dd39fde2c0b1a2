# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What carries out what is asked of the robot: dispatcher, commands of the map, driving."""

from __future__ import annotations

from collections.abc import Mapping
import logging
from pathlib import Path
import time
from typing import Any

from rclpy.node import Node

from plexus_bridge.client.link import Link
from plexus_bridge.client.runs import Runs
from plexus_bridge.commands.agents import Agents
from plexus_bridge.commands.agents import ProgramMessages
from plexus_bridge.commands.agents import StreamMessages
from plexus_bridge.commands.dispatcher import AgentMessages
from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.commands.emergency_record import EmergencyRecord
from plexus_bridge.commands.memory import RunMemory
from plexus_bridge.commands.programs import Programs
from plexus_bridge.commands.run import Run
from plexus_bridge.commands.steps import DEFAULT_TIMEOUT_S
from plexus_bridge.commands.steps import ParameterStep
from plexus_bridge.commands.streams import Done
from plexus_bridge.commands.streams import Streams
from plexus_bridge.config.map import RobotMap
from plexus_bridge.counters import Counters
from plexus_bridge.errors import CommandError
from plexus_bridge.mapping.event_points import make_event
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.ros.chores import Chores
from plexus_bridge.ros.declaring import Offer
from plexus_bridge.ros.intake import Intake
from plexus_bridge.ros.local_actions import LocalActions
from plexus_bridge.ros.local_runs import LocalRuns
from plexus_bridge.ros.local_services import LocalServices
from plexus_bridge.ros.sensors import sensors
from plexus_bridge.ros.targets.attempt import Attempt
from plexus_bridge.ros.targets.service import ParameterPerformer
from plexus_bridge.ros.teleop import TeleopDriver
from plexus_bridge.teleop.commands import offer_driving

log = logging.getLogger(__name__)

# How long the end of the bridge waits for its node to cancel what it began.
CANCEL_S = 1.0


class ControlPlane:
    """
    Owns what carries out commands; `dispatcher` is the link's `Control`.

    JournalError at construction. `connect` follows once there is a link; `poll` belongs to the
    thread that maps and flushes; `urgent` takes the events.
    """

    def __init__(self, node: Node, robot_map: RobotMap, memory: Path, counters: Counters,
                 urgent: Sink):
        self._node = node
        self._map = robot_map
        self._urgent = urgent
        self._memory = RunMemory(memory)
        if self._memory.set_aside:
            log.error('the memory of runs was damaged; it lies in %s now, and runs of before may '
                      'happen again', self._memory.set_aside)
        self.dispatcher = Dispatcher(counters, self._memory)
        self._agents = Agents()
        self.dispatcher.agent = self._agents
        self._programs = Programs(
            robot_map.execute.allow, robot_map.execute.deny, robot_map.execute.timeout_s)
        self._chores = Chores(node, node.executor)
        self._actions = LocalActions(node, self._chores, self.dispatcher, self._programs)
        self._runs: LocalRuns | None = None
        self._streams: Streams | None = None
        self._driver: TeleopDriver | None = None
        if robot_map.teleop is not None:
            self._driver = TeleopDriver(
                node, robot_map.teleop, EmergencyRecord(memory.with_suffix('.emergency')))
            offer_driving(self.dispatcher, self._driver, robot_map.teleop.settings)
            self.dispatcher.on_lost.append(self._link_lost)

    def connect(self, link: Link, intake: Intake, runs: Runs) -> None:
        """Make everything that has something to say to the link, the intake or the gateway."""
        self.dispatcher.wake = link.wake
        streams = Streams(
            intake.adjust, lambda: {topic.topic for topic in intake.topics if topic.topic},
            self._configure_node)
        messages = StreamMessages(streams, self.dispatcher.send, lambda: sensors(intake))
        self.dispatcher.on_opened.append(messages.opened)
        self.add_agent(messages)
        self._streams = streams
        self.add_agent(ProgramMessages(
            self._programs, self.dispatcher.send, self.dispatcher.cancel))

        def readvertise() -> bool:
            # To connect anew stops whoever drives: that can wait until nobody does.
            if self._driver is not None and self._driver.operator:
                return False
            link.reconnect()
            return True

        offer = Offer(self._node, self.dispatcher, self._chores, self._map.commands, readvertise)
        LocalServices(self._node, self._chores, streams, offer.declare, offer.withdraw)
        self._runs = LocalRuns(self._node, self._chores, runs)

    @property
    def session_id(self) -> str:
        """The recording in progress, '' for none."""
        session = self._streams.session if self._streams is not None else None
        return session.session_id if session is not None else ''

    @property
    def run_id(self) -> str:
        """The run that a node of the robot's opened last and has not ended, '' for none."""
        return self._runs.last_run if self._runs is not None else ''

    def add_agent(self, messages: AgentMessages) -> None:
        """Have further kinds of agents' messages answered, such as those of cameras."""
        self._agents.add(messages)

    def start(self) -> None:
        """Begin to carry out what is asked for."""
        if self._driver is not None:
            self._driver.__enter__()

    def poll(self, clock_correction_ms: int) -> None:
        """Hand on what happened as events."""
        if self._driver is None:
            return
        tags = self._map.tags
        now_ms = time.time_ns() // 1_000_000 + clock_correction_ms
        for stamp_ms, event in self._driver.stamped_events(now_ms):
            self._urgent.add(make_event(
                event.name, event.text, stamp_ms,
                {**tags, 'operator': event.operator} if event.operator else tags,
                event.severity.value))

    def close(self) -> None:
        """Stop the robot if somebody drives it, and end what is in progress."""
        if self._driver is not None:
            self._driver.close()
        self._programs.close()
        self.dispatcher.close()
        # Before the node goes: nobody else could cancel its goals afterwards.
        if not self._chores.drain(CANCEL_S):
            log.warning('the node is held up; goals of actions may go on')
        if self._runs is not None:
            self._runs.close()

    def forget(self) -> None:
        """Let go of the file; nothing is reported any more."""
        self._memory.close()

    def _link_lost(self, now: float) -> None:
        assert self._driver is not None
        self._driver.link_lost()

    def _configure_node(self, name: str, config: Mapping[str, Any], done: Done) -> None:
        """Set parameters of a node that the map lists."""
        allowed = [one for one in self._map.configurable_nodes
                   if name in (one, one.rpartition('/')[2])]
        if not allowed:
            raise CommandError(
                'bad_params', f'sensor: saw {name[:80]!r}, expected a topic of the map or one of '
                'its configurable_nodes')
        performer = ParameterPerformer(self._node, ParameterStep(allowed[0]))

        async def work() -> None:
            attempt = Attempt(Run('configure', 'configure', {}, _Unreported()), self._chores,
                              time.monotonic() + DEFAULT_TIMEOUT_S, DEFAULT_TIMEOUT_S)
            try:
                await performer.change(attempt, dict(config))
            except Exception as error:
                # Of any kind: a value may be none that a parameter can have. Whoever asked waits.
                log.warning('configure %s: %s', name, error)
                done(str(error) or type(error).__name__)
            else:
                done('')

        self._chores.begin(work)


class _Unreported:
    """Reports of a run that tells by itself how it went."""

    def running(self) -> None:
        """Say nothing."""

    def progress(self, percent: float, message: str) -> None:
        """Say nothing."""

    def succeed(self, result: object) -> None:
        """Say nothing."""

    def fail(self, code: str, message: str) -> None:
        """Say nothing."""

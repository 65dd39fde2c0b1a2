# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The bridge's node, its settings, and its main loop: poll, map, flush."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
import time
from types import TracebackType

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from plexus_bridge import __version__
from plexus_bridge.client.link import Link
from plexus_bridge.client.runs import Runs
from plexus_bridge.client.settings import Arguments
from plexus_bridge.client.settings import read_settings
from plexus_bridge.config.map import RobotMap
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.durability import Durability
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.journal_writer import JournalWriter
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.own_metrics import OwnMetrics
from plexus_bridge.mapping.plan import plan
from plexus_bridge.protocol.device import Hello
from plexus_bridge.ros.bridge_settings import read_bridge_settings
from plexus_bridge.ros.control_plane import ControlPlane
from plexus_bridge.ros.graph_events import GraphEvents
from plexus_bridge.ros.intake import Intake
from plexus_bridge.ros.logs import log_to_ros
from plexus_bridge.ros.logs import stop_logging_to_ros
from plexus_bridge.ros.namesakes import Namesakes
from plexus_bridge.ros.own_topics import OwnTopics
from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.stamping import Stamping
from plexus_bridge.ros.start import parameters_told
from plexus_bridge.ros.status import StatusPublisher
from plexus_bridge.ros.video_plane import VideoPlane
from plexus_bridge.stopping import StopRequest

log = logging.getLogger(__name__)

PLATFORM = 'plexus-ros2'
USER_AGENT = f'{PLATFORM}/{__version__}'
# How long a node that opens or ends a run waits for the gateway.
RUNS_TIMEOUT_S = 10.0
# Points are handed on so much early rather than waking up for nothing else.
FLUSH_EARLY_S = 0.01


class BridgeNode(Node):
    """
    The node ``plexus_bridge`` with its parameters; they say where and who, nothing secret.

    ConfigError if a parameter that was given is of the wrong type.
    """

    def __init__(self) -> None:
        with parameters_told():
            super().__init__('plexus_bridge')
            self._declare()
        self._handler = log_to_ros(self)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._thread = threading.Thread(target=self._serve, name='plexus-ros')

    def _declare(self) -> None:
        for name, description in (
                ('config_file', 'The map: which topics become which metrics (YAML).'),
                ('source_id', "The robot's name in Plexus. Default: the map's."),
                ('gateway_url', "http(s) address of the gateway. Default: the map's.")):
            self.declare_parameter(
                name, '', ParameterDescriptor(description=description, read_only=True))

    def __enter__(self) -> BridgeNode:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._executor.shutdown()
        self._thread.join()
        stop_logging_to_ros(self._handler)
        self.destroy_node()

    def setting(self, name: str) -> str:
        """Return one of the text parameters, empty if it was not given."""
        value: str = self.get_parameter(name).value
        return value

    def _serve(self) -> None:
        # When the context goes first, that is the same as being told to stop.
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()


class Bridge:
    """
    Everything between the ROS graph and the gateway, on the thread that calls `run`.

    ConfigError or JournalError at construction; nothing ends it afterwards but `stop`.
    """

    def __init__(self, node: BridgeNode):
        self._settings = settings = read_bridge_settings(node.setting)
        self._map = settings.robot_map
        self.refusal_hint = settings.refusal_hint
        self.counters = Counters()
        self._lanes = lanes = Lanes(self.counters)
        self._journal = self._open_journal()
        self._outbox = Outbox(lanes, self._journal, self.counters,
                              Durability(self._map.delivery.durability))
        self._journal_writer = JournalWriter(self._outbox, self.counters)
        self._control = ControlPlane(
            node, self._map, settings.file('commands'), self.counters, lanes.sinks['urgent'])
        self._video = VideoPlane(
            node, self._map.video, settings.source_id, self.counters, lanes.sinks['state'])
        self._control.add_agent(self._video.messages)
        self.link = self._make_link()
        simulated: bool = node.get_parameter('use_sim_time').value
        self.intake = Intake(
            node, plan(self._map.metrics, self._map.events, lanes.sinks, self.counters),
            self.counters, simulated=simulated,
            period_s=self._map.delivery.flush_ms / 1000)
        for sink in lanes.sinks.values():
            sink.mark = self.intake.mark
        self._stamping = Stamping(self.intake, self.counters)
        self._outbox.now_ms = self._stamping.now_ms
        self._control.connect(self.link, self.intake, self._make_runs())
        self._graph_events = GraphEvents(
            node, self._map.graph, lanes.sinks['urgent'], simulated=simulated)
        self._own_topics = OwnTopics(
            node, lanes.sinks, self._map.tags, self.counters, simulated=simulated)
        self._own_metrics = OwnMetrics(self._outbox, self.counters, self._map.tags) \
            if self._map.delivery.own_metrics else None
        self._status = StatusPublisher(
            node, self, settings.source_id, settings.config_file, settings.gateway_url)
        self._namesakes = Namesakes(node, settings.source_id)
        log.info('source %s: %s of %s, to %s', settings.source_id,
                 self._map.summary() or 'nothing', settings.config_file, settings.gateway_url)

    def _open_journal(self) -> Journal:
        delivery = self._map.delivery
        journal = Journal(
            self._settings.file('journal'), int(delivery.max_disk_mb * 1_000_000), self.counters,
            int(delivery.min_free_disk_mb * 1_000_000))
        if journal.set_aside:
            log.error('the journal was damaged; it lies in %s now and a new one was begun, with '
                      '%d points that could be read', journal.set_aside, journal.points)
        return journal

    def _make_link(self) -> Link:
        settings = self._settings
        return Link(
            settings.gateway_url,
            Hello(settings.api_key, settings.source_id, PLATFORM, __version__), self._outbox,
            self.counters, user_agent=USER_AGENT, control=self._control.dispatcher,
            video=self._video.frames, max_bytes_per_s=self._map.delivery.max_bytes_per_s)

    def _make_runs(self) -> Runs:
        settings = self._settings
        return Runs(
            read_settings(Arguments(
                api_key=settings.api_key, source_id=settings.source_id,
                gateway_url=settings.gateway_url)),
            USER_AGENT, RUNS_TIMEOUT_S, self._stamping.now_ms)

    @property
    def robot_map(self) -> RobotMap:
        """The map in use."""
        return self._map

    @property
    def topics(self) -> list[RuleIntake]:
        """Every rule's topics."""
        return [*self.intake.topics, *self._video.topics]

    @property
    def session_id(self) -> str:
        """The recording in progress, '' for none."""
        return self._control.session_id

    @property
    def run_id(self) -> str:
        """The run in progress, '' for none."""
        return self._control.run_id

    @property
    def outbox(self) -> Outbox:
        """What is not delivered yet."""
        return self._outbox

    def run(self, stop: StopRequest) -> None:
        """Bridge until told to stop; then deliver what can be delivered within two seconds."""
        self._control.start()
        # What is on the graph already can then be told to the gateway from the first moment on.
        self.intake.poll(time.monotonic())
        self.link.start()
        self._journal_writer.start()
        self._video.start()
        # What is there now stays: the collector need not look through it again and again, while
        # points come and go by the thousand.
        gc.collect()
        gc.freeze()
        flush_s = self._map.delivery.flush_ms / 1000
        next_poll = next_flush = time.monotonic()
        while not stop.wait(next_poll - time.monotonic()):
            now = time.monotonic()
            self._stamping.follow(now, self.link.status.clock)
            next_poll = min(self.intake.poll(now), self._own_topics.poll(
                now, self.intake.clock_correction_ms))
            self._video.poll(now, self.intake.clock_correction_ms)
            self._status.poll(now)
            self._namesakes.poll(now)
            if now >= next_flush - FLUSH_EARLY_S or self._lanes.urgent:
                next_flush = now + flush_s
                self._flush()
        self._close()

    def _close(self) -> None:
        self._control.close()
        self._video.close()
        self.intake.poll(time.monotonic())
        self._own_topics.poll(time.monotonic(), self.intake.clock_correction_ms)
        self.intake.close()
        self._journal_writer.stop()
        self._flush(ending=True)
        self.link.stop()
        self._control.forget()
        self._flush(ending=True)
        self._journal_writer.write(everything=True)
        if lost := self._outbox.unwritten()[0]:
            log.error('%d points could be neither delivered nor written to disk; they are lost',
                      lost)
        self._journal.close()

    def _measure_delivery(self) -> None:
        if self._own_metrics is None:
            return
        link = self.link.status
        clock = None if link.clock_offset_ms is None or link.clock_error_ms is None else (
            link.clock_offset_ms, link.clock_error_ms)
        for point in self._own_metrics.points(
                time.monotonic(), self._stamping.now_ms(), link.connections, clock):
            self._lanes.sinks['state'].add(point)

    def _flush(self, *, ending: bool = False) -> None:
        self._graph_events.poll(time.monotonic(), self._stamping.now_ms())
        self._control.poll(self.intake.clock_correction_ms)
        self._measure_delivery()
        self._outbox.collect()
        if ending:
            self._journal_writer.write()
        else:
            self._journal_writer.write_soon()

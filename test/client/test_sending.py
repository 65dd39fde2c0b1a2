# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What leaves first, what shares the rest, and what video is told about the link."""

from __future__ import annotations

import pytest

from plexus_bridge.client.link_rate import LinkRate
from plexus_bridge.client.sending import Sending
from plexus_bridge.counters import Counters
from plexus_bridge.delivery import outbox as outbox_module
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.protocol.device import DeviceSession
from plexus_bridge.protocol.device import encode
from plexus_bridge.protocol.device import Hello
from plexus_bridge.protocol.messages import Binary


class Wire:
    """Takes everything at once."""

    unsent_bytes = 0

    def __init__(self) -> None:
        self.sent: list[object] = []

    def send(self, message: object) -> None:
        self.sent.append(message)

    def ping(self, payload: bytes) -> None:
        """Nobody answers."""


class Robot:
    """Outbox, video and a session that is let in."""

    def __init__(self, folder, limit: float | None):
        self.counters = Counters()
        self.lanes = Lanes(self.counters)
        self.journal = Journal(folder / 'robot.db', 1 << 30, self.counters)
        self.outbox = Outbox(self.lanes, self.journal, self.counters)
        self.video = VideoFrames()
        self.session = DeviceSession(Hello('plx_key', 'kiln-7', 'test', '0'))
        self.session.opened(0.0)
        self.session.messages_to_send()
        self.session.receive(encode({'type': 'authenticated', 'acks': True}), 0.0)
        self.sending = Sending(self.session, self.outbox, self.counters, video=self.video,
                               max_bytes_per_s=limit)
        self.wire = Wire()

    def make(self, lane: str, count: int = 1) -> None:
        for _ in range(count):
            self.lanes.sinks[lane].add({'value': 'x' * 100})
        self.outbox.flush()

    def picture(self, size: int) -> None:
        self.video.put(VideoFrame('front', Binary(b'v' * size), 0.0))

    def acknowledge(self, now: float) -> None:
        answer = encode({'type': 'telemetry_ack', 'seq': self.session._last_seq})
        for event in self.session.receive(answer, now):
            self.outbox.settle(event.keys)
            self.sending.answered(event.keys, now)


@pytest.fixture
def robot_with(tmp_path):
    robots = []

    def make(limit: float | None = None) -> Robot:
        robots.append(Robot(tmp_path, limit))
        return robots[-1]

    yield make
    for robot in robots:
        robot.outbox.close_backlog()
        robot.journal.close()


def kinds(robot: Robot) -> list[str]:
    return ['video' if isinstance(message, Binary) else 'telemetry'
            for message in robot.wire.sent]


def test_pictures_go_after_all_lanes(robot_with):
    robot = robot_with()
    robot.picture(1000)
    for lane in ('bulk', 'urgent', 'state'):
        robot.make(lane)
    robot.sending.send(robot.wire, 0.0)
    assert kinds(robot) == ['telemetry', 'telemetry', 'telemetry', 'video']


def test_within_a_budget_backlog_and_video_share_what_the_lanes_leave(robot_with, monkeypatch):
    monkeypatch.setattr(outbox_module, 'FRESH_S', -1.0)
    robot = robot_with(20_000.0)
    for _ in range(300):
        robot.make('state', 25)
    for tick in range(1, 600):
        now = tick * 0.1
        if not robot.video.waiting:
            robot.picture(4000)
        robot.outbox.bundle_bytes = 0
        robot.sending.send(robot.wire, now)
        robot.acknowledge(now + 0.01)
    video = robot.counters['video_bytes_sent']
    backlog = robot.counters['bytes_sent']
    assert video + backlog <= 20_000 * 61 + 130_000
    assert video + backlog >= 20_000 * 50
    assert not robot.outbox.idle
    assert 0.7 < video / backlog < 1.4
    assert robot.video.bytes_per_s == pytest.approx(
        0.9 * (20_000 - robot.sending.rate._other_per_s), rel=0.01)


def test_video_learns_what_a_link_leaves_only_while_it_is_pressed():
    rate = LinkRate()
    telemetry = video = 0
    for tick in range(100):
        telemetry += 300
        video += 700
        rate.note(telemetry, video, 5000, tick * 0.1)
    assert rate.bytes_per_s == pytest.approx(10_000, rel=0.01)
    assert rate.left_for_video(None) == pytest.approx(0.9 * 7000, rel=0.02)
    assert rate.left_for_video(5000.0) == pytest.approx(0.9 * 2000, rel=0.05)
    for tick in range(100, 200):
        rate.note(telemetry, video, 0, tick * 0.1)
    assert rate.bytes_per_s is None
    assert rate.left_for_video(None) is None


def test_a_picture_on_its_way_wakes_nobody_unless_something_waits_for_its_end(robot_with):
    robot = robot_with()
    robot.video._gauge._rate = 100_000.0
    robot.picture(10_000)
    robot.sending.send(robot.wire, 10.0)
    assert robot.counters['video_frames_sent'] == 1
    assert robot.sending.deadline(10.0) is None
    robot.picture(10_000)
    robot.sending.send(robot.wire, 10.0)
    assert robot.counters['video_frames_sent'] == 1
    assert 10.05 < robot.sending.deadline(10.0) < 10.3

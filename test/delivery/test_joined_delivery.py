# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Outbox, journal and both sessions together, over a link that cuts anywhere, with kills in between.

Each point ends up stored, discarded by the gateway's word, or counted as lost; what is in no
lane's way leaves in its order.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
import tempfile

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from plexus_bridge import encoding
from plexus_bridge.counters import Counters
from plexus_bridge.delivery import outbox as outbox_module
from plexus_bridge.delivery import queues as queues_module
from plexus_bridge.delivery.durability import Durability
from plexus_bridge.delivery.frames import Lane
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.queues import Turn
from plexus_bridge.protocol import device
from plexus_bridge.protocol import gateway

HELLO = device.Hello('plx_key', 'kiln-7', 'test', '0')
WALL_MS = 1_790_000_000_000
# The gateway is sent whole messages; which of them arrive is what varies.
BAD = 7


class World:
    """A robot that keeps what it makes, and a gateway with a store."""

    def __init__(self, folder: Path, max_bytes: int, bundle_bytes: int):
        self.folder = folder
        self.max_bytes = max_bytes
        self.bundle_bytes = bundle_bytes
        self.counters = Counters()
        self.made = 0
        self.now = 0.0
        self.stored: set[int] = set()
        self.up: deque = deque()
        self.down: deque = deque()
        self.killed_with_memory = 0
        self.session = device.DeviceSession(HELLO)
        self._open()
        self.connect()

    def _open(self) -> None:
        self.journal = Journal(self.folder / 'robot.db', self.max_bytes, self.counters)
        self.lanes = Lanes(self.counters)
        self.outbox = Outbox(self.lanes, self.journal, self.counters, Durability.ALWAYS)
        self.outbox.bundle_bytes = self.bundle_bytes

    def kill(self) -> None:
        """The process dies: what was not on disk is gone, and the connection."""
        self.killed_with_memory += sum(
            part.points for part in self.outbox._queues.in_memory()
            if part.key in self.outbox._memory_only)
        self.outbox.close_backlog()
        self.journal.close()
        self.session = device.DeviceSession(HELLO)
        self._open()

    def connect(self) -> None:
        if not self.session.connected:
            self.up.clear()
            self.down.clear()
            self.gateway = gateway.GatewaySession(self.now)
            self.undecided: deque[gateway.TelemetryReceived] = deque()
            self.session.opened(self.now)

    def make(self, lane: str, count: int) -> None:
        for _ in range(count):
            value = None if self.made % 11 == BAD else self.made
            self.lanes.sinks[lane].add(
                {'class': 'metric', 'metric': lane, 'value': value, 'timestamp': WALL_MS})
            self.made += 1
        self.outbox.flush()

    def exchange(self, count: int) -> None:
        """Send what may be sent; so many messages arrive in each direction."""
        self._take()
        self.up.extend(self.session.messages_to_send())
        for _ in range(min(count, len(self.up))):
            for event in self.gateway.receive(self.up.popleft(), self.now, WALL_MS):
                if isinstance(event, gateway.HelloReceived):
                    self.gateway.accept(WALL_MS)
                elif isinstance(event, gateway.TelemetryReceived):
                    self.undecided.append(event)
        self.down.extend(self.gateway.messages_to_send())
        for _ in range(min(count, len(self.down))):
            self.note(self.session.receive(self.down.popleft(), self.now))

    def _take(self) -> None:
        taken: list[Turn] = []
        while True:
            for turn in Turn:
                frame = self.outbox.take(turn, self.session.room_points())
                if frame is not None:
                    taken.append(turn)
                    self.session.send_telemetry(
                        frame.key, frame.points_json, frame.points, self.now)
                    break
            else:
                break
        assert taken == sorted(taken), 'a lane went before one that is served first'

    def commit(self, count: int) -> None:
        for _ in range(min(count, len(self.undecided))):
            frame = self.undecided.popleft()
            if not self.gateway.closed:
                self.stored.update(int(point.value) for point in frame.points)
                self.gateway.stored(frame.ticket)

    def note(self, events: list[device.DeviceEvent]) -> None:
        for event in events:
            if isinstance(event, device.FramesStored):
                self.outbox.settle(event.keys)
            elif isinstance(event, device.FramesReturned):
                self.outbox.give_back(event.keys)
            elif isinstance(event, device.FramesDiscarded):
                for key in event.keys:
                    if not self.outbox.split(key):
                        self.outbox.lose([key], 'refused')

    def close(self) -> None:
        self.outbox.close_backlog()
        self.journal.close()


STEPS = st.lists(st.one_of(
    st.tuples(st.just('make'), st.tuples(
        st.sampled_from([lane.name.lower() for lane in Lane]), st.integers(1, 8))),
    st.tuples(st.just('exchange'), st.integers(0, 40)),
    st.tuples(st.just('commit'), st.integers(1, 40)),
    st.tuples(st.just('cut'), st.none()),
    st.tuples(st.just('kill'), st.none()),
    st.tuples(st.just('fail_storage'), st.none()),
    st.tuples(st.just('flush'), st.none()),
), max_size=50)


def act(world: World, action: str, amount) -> None:
    if action == 'make':
        world.make(*amount)
    elif action == 'exchange':
        world.exchange(amount)
    elif action == 'commit':
        world.commit(amount)
    elif action == 'cut':
        world.note(world.session.lost('cut'))
    elif action == 'kill':
        world.kill()
    elif action == 'fail_storage' and world.gateway.live:
        world.undecided.clear()
        world.gateway.storage_failed('disk full')
    elif action == 'flush':
        world.outbox.flush()
    world.connect()


@given(STEPS, st.sampled_from([500, 3000, 1 << 30]), st.sampled_from([0, 128_000]),
       st.sampled_from([0, 400, 1_000_000]))
@settings(max_examples=250, deadline=None)
def test_every_point_is_stored_or_counted(steps, max_bytes, bundle_bytes, fresh_bytes):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for module in (outbox_module, queues_module):
            patch.setattr(module, 'MAX_FRESH_BYTES', fresh_bytes)
        world = World(Path(folder), max_bytes, bundle_bytes)
        for action, amount in steps:
            act(world, action, amount)
        for _ in range(200):  # a quiet link from here on: everything must come to an end
            world.connect()
            world.exchange(1000)
            world.commit(1000)
            world.exchange(1000)
            world.outbox.flush()
            if world.outbox.idle and not world.journal.points:
                break
        lost = world.counters.dropped()
        bad = {number for number in range(world.made) if number % 11 == BAD}
        assert world.outbox.idle
        assert world.stored.isdisjoint(bad)
        if max_bytes > 3000:
            assert world.stored == set(range(world.made)) - bad
            assert lost == ({'refused': len(bad)} if bad else {})
        else:
            # What was given up may have been stored before; nothing is missing uncounted.
            missing = world.made - len(world.stored)
            assert missing <= sum(lost.values()) + world.killed_with_memory
            assert set(lost) <= {'journal_full', 'refused'}
        world.close()


def test_the_property_would_notice_a_frame_that_is_forgotten(tmp_path):
    world = World(tmp_path, 1 << 30, 0)
    world.make('state', 3)
    world.exchange(10)
    world.exchange(10)
    world.outbox.settle(list(world.outbox._queues._taken))
    for _ in range(5):
        world.exchange(10)
    assert world.outbox.idle
    assert world.stored != {0, 1, 2}
    world.close()


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(['type', 'seq', 'points', 'code', 'detail', 'server_time_ms', 'acks']),
        inner | st.sampled_from(['telemetry_ack', 'error', 'heartbeat_ack', 'telemetry',
                                 'authenticated', 'device_auth']), max_size=6),
    max_leaves=10).map(lambda value: encoding.dumps(value) if _encodes(value) else b'{}'))
@settings(max_examples=500, deadline=None)
def test_whatever_comes_both_sessions_take_it_or_say_why_not(payload):
    robot = device.DeviceSession(HELLO)
    robot.opened(0.0)
    robot.messages_to_send()
    robot.receive(device.Text(payload), 0.1)
    live = device.DeviceSession(HELLO)
    live.opened(0.0)
    live.receive(device.encode({'type': 'authenticated', 'acks': True}), 0.0)
    live.send_telemetry(1, b'{}', 1, 0.0)
    events = live.receive(device.Text(payload), 0.1)
    settled = [event for event in events
               if isinstance(event, device.FramesStored | device.FramesDiscarded)]
    assert len(settled) <= 1
    other = gateway.GatewaySession(0.0)
    other.receive(device.Text(payload), 0.1, WALL_MS)
    let_in = gateway.GatewaySession(0.0)
    hello = device.DeviceSession(HELLO)
    hello.opened(0.0)
    for message in hello.messages_to_send():
        let_in.receive(message, 0.0, WALL_MS)
    let_in.accept(WALL_MS)
    let_in.receive(device.Text(payload), 0.1, WALL_MS)


def _encodes(value: object) -> bool:
    try:
        encoding.dumps(value)
    except (TypeError, ValueError):
        return False
    return True

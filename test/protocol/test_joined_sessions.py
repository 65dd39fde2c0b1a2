# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Both sessions over a link that cuts at any byte: nothing lost, nothing acknowledged unstored."""

from __future__ import annotations

from collections import deque
import random

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from plexus_bridge import encoding
from plexus_bridge.protocol import device
from plexus_bridge.protocol import gateway
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Close
from plexus_bridge.protocol.messages import Message
from plexus_bridge.protocol.messages import Text

HELLO = device.Hello('plx_key', 'kiln-7', 'test', '0')
WALL_MS = 1_790_000_000_000


class Wire:
    """One direction of a byte stream; messages are framed by kind and length, as RFC 6455 does."""

    def __init__(self):
        self.in_flight = bytearray()
        self.received = bytearray()

    def send(self, message: Message):
        if isinstance(message, Close):
            kind, payload = b'c', encoding.dumps([int(message.code), message.reason])
        else:
            kind, payload = (b't' if isinstance(message, Text) else b'b'), message.payload
        self.in_flight += kind + len(payload).to_bytes(4, 'big') + payload

    def carry(self, count: int) -> list[Message]:
        self.received += self.in_flight[:count]
        del self.in_flight[:count]
        messages: list[Message] = []
        while len(self.received) >= 5:
            end = 5 + int.from_bytes(self.received[1:5], 'big')
            if len(self.received) < end:
                break
            kind, payload = self.received[:1], bytes(self.received[5:end])
            del self.received[:end]
            if kind == b'c':
                messages.append(Close(*encoding.loads(payload)))
            else:
                messages.append(Text(payload) if kind == b't' else Binary(payload))
        return messages


class Robot:
    """Owns a device session, and frames that must not be lost."""

    def __init__(self):
        self.session = device.DeviceSession(HELLO)
        self.waiting: deque[int] = deque()
        self.in_window: set[int] = set()
        self.stored: set[int] = set()
        self.discarded: set[int] = set()
        self.made = 0

    def make_frame(self):
        self.waiting.append(self.made)
        self.made += 1

    def push(self, now: float):
        while self.waiting and self.session.can_send(1):
            key = self.waiting.popleft()
            self.in_window.add(key)
            point = b'{"metric":"frame","value":%d,"timestamp":%d}' % (key, WALL_MS)
            if key % 7 == 3:
                point = b'{"metric":"frame","value":null}'
            self.session.send_telemetry(key, point, 1, now)
        assert len(self.in_window) <= device.WINDOW_FRAMES

    def note(self, events):
        for event in events:
            if isinstance(event, device.FramesStored | device.FramesDiscarded):
                into = self.stored if isinstance(event, device.FramesStored) else self.discarded
                into.update(event.keys)
            elif isinstance(event, device.FramesReturned):
                self.waiting.extendleft(reversed(event.keys))
            else:
                continue
            assert self.in_window.issuperset(event.keys)
            self.in_window.difference_update(event.keys)


class World:
    """A robot, a gateway with a store, and a link between them that anything can happen to."""

    def __init__(self):
        self.now = 0.0
        self.robot = Robot()
        self.on_disk: set[int] = set()
        self.connect()

    def connect(self):
        if self.robot.session.connected:
            return
        self.up, self.down = Wire(), Wire()
        self.gateway = gateway.GatewaySession(self.now)
        self.undecided: deque[gateway.TelemetryReceived] = deque()
        self.robot.session.opened(self.now)
        self.exchange()

    def exchange(self):
        self.robot.push(self.now)
        for message in self.robot.session.messages_to_send():
            self.up.send(message)
        for message in self.gateway.messages_to_send():
            self.down.send(message)

    def carry(self, count: int):
        for message in self.up.carry(count):
            for event in self.gateway.receive(message, self.now, WALL_MS):
                if isinstance(event, gateway.HelloReceived):
                    self.gateway.accept(WALL_MS)
                elif isinstance(event, gateway.TelemetryReceived):
                    self.undecided.append(event)
        assert len(self.undecided) <= device.WINDOW_FRAMES
        self.exchange()
        for message in self.down.carry(count):
            self.robot.note(self.robot.session.receive(message, self.now))
        self.exchange()

    def commit(self, count: int):
        for _ in range(min(count, len(self.undecided))):
            frame = self.undecided.popleft()
            if not self.gateway.closed:
                self.on_disk.add(frame.points[0].value)
                self.gateway.stored(frame.ticket)
        self.exchange()

    def cut(self, count: int):
        """Some bytes still arrive, the rest never does."""
        self.carry(count)
        self.robot.note(self.robot.session.lost('cut'))

    def fail_storage(self):
        if self.gateway.live:
            self.undecided.clear()
            self.gateway.storage_failed('disk full')
            self.exchange()

    def goodbye(self):
        if self.gateway.live:
            self.gateway.goodbye('restarting')
            self.exchange()

    def pass_time(self, seconds: int):
        self.now += seconds
        self.robot.note(self.robot.session.tick(self.now))
        self.gateway.tick(self.now)
        self.exchange()

    def check(self):
        valid = {key for key in self.robot.stored if key % 7 != 3}
        assert valid <= self.on_disk, 'acknowledged but not stored'
        assert all(key % 7 == 3 for key in self.robot.discarded)


STEPS = st.lists(st.one_of(
    st.tuples(st.just('frames'), st.integers(1, 40)),
    st.tuples(st.just('carry'), st.integers(0, 3000)),
    st.tuples(st.just('commit'), st.integers(1, 40)),
    st.tuples(st.just('cut'), st.integers(0, 3000)),
    st.tuples(st.just('fail_storage'), st.none()),
    st.tuples(st.just('goodbye'), st.none()),
    st.tuples(st.just('time'), st.integers(1, 120)),
), max_size=60)


def run(steps):
    world = World()
    for action, amount in steps:
        if action == 'frames':
            for _ in range(amount):
                world.robot.make_frame()
            world.exchange()
        elif action == 'carry':
            world.carry(amount)
        elif action == 'commit':
            world.commit(amount)
        elif action == 'cut':
            world.cut(amount)
        elif action == 'fail_storage':
            world.fail_storage()
        elif action == 'goodbye':
            world.goodbye()
        else:
            world.pass_time(amount)
        world.check()
        world.connect()
    return world


@given(STEPS)
@settings(max_examples=300, deadline=None)
def test_nothing_is_lost_and_nothing_is_acknowledged_that_was_not_stored(steps):
    world = run(steps)
    world.cut(0)
    for _ in range(2 + world.robot.made):  # a quiet link from here on: everything must arrive
        world.connect()
        world.carry(1_000_000)
        world.commit(1000)
        world.carry(1_000_000)
        world.check()
        if not world.robot.waiting and not world.robot.in_window:
            break
    assert not world.robot.waiting
    assert not world.robot.in_window
    assert world.robot.stored | world.robot.discarded == set(range(world.robot.made))
    assert world.on_disk == {key for key in range(world.robot.made) if key % 7 != 3}


def test_the_property_would_notice_a_gateway_that_acknowledges_too_early():
    world = World()
    world.carry(10_000)
    world.robot.make_frame()
    world.exchange()
    world.carry(10_000)
    world.gateway.stored(world.undecided.popleft().ticket)  # never written to on_disk
    world.carry(10_000)
    try:
        world.check()
    except AssertionError:
        return
    raise AssertionError('an early acknowledgement went unnoticed')


def test_bytes_that_nobody_expects_give_errors_and_never_exceptions():
    chance = random.Random(7)
    world = World()
    world.carry(10_000)
    for _ in range(2000):
        kind = chance.choice(['telemetry_ack', 'error', 'command_run', 'x', None])
        body = {'type': kind, 'seq': chance.choice([-1, 0, 1, 2.5, '1', True, None, 10 ** 20])}
        payload = encoding.dumps(body) if chance.random() < 0.8 and body['seq'] != 10 ** 20 \
            else bytes(chance.randrange(256) for _ in range(chance.randrange(40)))
        world.robot.note(world.robot.session.receive(Text(payload), world.now))
        world.check()
    assert world.robot.stored == set()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The link against gateways that behave badly, on real sockets: nothing hangs, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import json
import logging
from pathlib import Path
import socket
import threading
import time
from typing import Any

import pytest
from scripted_gateway import ScriptedIngest
from scripted_gateway import ScriptedSocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from plexus_bridge.client import connector
from plexus_bridge.client.device_socket import DeviceSocket
from plexus_bridge.client.device_socket import socket_url
from plexus_bridge.client.gateway_clock import ClockEstimate
from plexus_bridge.client.link import Link
from plexus_bridge.client.link_status import LinkStatus
from plexus_bridge.client.link_status import Transport
from plexus_bridge.client.verdicts import MOST_REASONS
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import JournalError
from plexus_bridge.errors import LinkError
from plexus_bridge.protocol import backoff
from plexus_bridge.protocol.backoff import Backoff
from plexus_bridge.protocol.device import Hello
from plexus_bridge.protocol.messages import Binary


class Robot:
    """Lanes, journal, outbox and link, as the bridge has them."""

    def __init__(self, url: str, folder: Path, **planes: Any):
        self.counters = Counters()
        self.lanes = Lanes(self.counters)
        self.journal = Journal(folder / 'robot.db', 1 << 30, self.counters)
        self.outbox = Outbox(self.lanes, self.journal, self.counters)
        self.link = Link(url, Hello('plx_key', 'kiln-7', 'test', '0'), self.outbox,
                         self.counters, user_agent='test/0', **planes)
        self.link.start()

    def send(self, *values: int) -> None:
        for value in values:
            self.lanes.sinks['state'].add(
                {'class': 'metric', 'metric': 'm', 'value': value, 'timestamp': 1_790_000_000_000})
            self.outbox.flush()

    def until(self, condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f'still not so: {what}; {self.link.status}'
            time.sleep(0.005)

    def close(self) -> None:
        self.link.stop(0.5)
        self.outbox.flush()
        self.journal.close()


@pytest.fixture
def robot_at(tmp_path, monkeypatch) -> Iterator[Callable[[str], Robot]]:
    robots: list[Robot] = []
    # The delays' shape is tested elsewhere; here they need not be waited for.
    monkeypatch.setattr(Backoff, 'next_delay', lambda *_, **__: 0.05)
    monkeypatch.setattr(backoff, 'REFUSED_DELAY_S', 0.05)

    def make(url: str, **planes: Any) -> Robot:
        robots.append(Robot(url, tmp_path, **planes))
        return robots[-1]

    yield make
    for robot in robots:
        robot.close()


class Store:
    """What a good gateway keeps, and a script that lets a device in and acknowledges."""

    def __init__(self) -> None:
        self.values: list[int] = []

    def serve(self, connection: ServerConnection) -> None:
        json.loads(connection.recv())
        connection.send(json.dumps(
            {'type': 'authenticated', 'server_time_ms': time.time() * 1000 + 5000, 'acks': True}))
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.take(connection, json.loads(connection.recv()))

    def take(self, connection: ServerConnection, frame: dict) -> None:
        if frame['type'] == 'telemetry':
            self.values += [point['value'] for point in frame['points']]
            connection.send(json.dumps({'type': 'telemetry_ack', 'seq': frame['seq']}))


class Choosy(Store):
    """Finds messages with some points too long, and hangs up on them."""

    def __init__(self, too_long: Callable[[list[dict[str, Any]]], bool]):
        super().__init__()
        self._too_long = too_long

    def take(self, connection: ServerConnection, frame: dict) -> None:
        if frame['type'] == 'telemetry' and self._too_long(frame['points']):
            connection.close(1009, 'message too big')
        else:
            super().take(connection, frame)


def test_data_goes_over_the_socket_and_is_forgotten_once_acknowledged(robot_at):
    store = Store()
    with ScriptedSocket(store.serve) as gateway:
        robot = robot_at(gateway.url)
        robot.send(*range(20))
        robot.until(lambda: robot.counters['points_acknowledged'] == 20, 'acknowledged')
        robot.outbox.flush()
        assert robot.journal.points == 0
        status = robot.link.status
        assert (status.transport, status.connections) == (Transport.SOCKET, 1)
        assert 4900 < status.clock_offset_ms < 5100
        robot.close()
    assert store.values == list(range(20))


@pytest.mark.parametrize(('offset', 'error', 'correction'), [
    (30.0, 50.0, 0), (-5000.0, 50.0, -5000), (12_000.0, 30.0, 12_000)])
def test_an_offset_that_may_be_mere_delay_corrects_nothing(offset, error, correction):
    clock = ClockEstimate(time.time() * 1000 + offset, error, time.monotonic())
    assert abs(LinkStatus(clock=clock).correction_ms - correction) <= 10
    assert LinkStatus().correction_ms == 0


def test_a_step_of_the_system_clock_is_taken_out_of_what_is_stamped(monkeypatch):
    status = LinkStatus(clock=ClockEstimate(time.time() * 1000, 5.0, time.monotonic()))
    wall = time.time
    monkeypatch.setattr(time, 'time', lambda: wall() - 3600)
    assert abs(status.correction_ms - 3_600_000) <= 10


@pytest.mark.parametrize('misbehaviour', [
    'hang up at once', 'garbage first', 'garbage later', 'binary', 'close 1001', 'close 1013',
    'reset', 'acknowledge what was never sent'])
def test_whatever_a_gateway_does_nothing_is_lost(robot_at, misbehaviour):
    store = Store()
    bad_turns = 2

    def script(connection: ServerConnection) -> None:
        nonlocal bad_turns
        if not bad_turns:
            return store.serve(connection)
        bad_turns -= 1
        with contextlib.suppress(ConnectionClosed):
            behave_badly(connection, misbehaviour)
        return None

    with ScriptedSocket(script) as gateway:
        robot = robot_at(gateway.url)
        robot.send(*range(50))
        robot.until(lambda: robot.counters['points_acknowledged'] >= 50, misbehaviour)
        robot.close()
    assert sorted(set(store.values)) == list(range(50))
    assert robot.counters.dropped() == {}


def behave_badly(connection: ServerConnection, misbehaviour: str) -> None:
    connection.recv()
    if misbehaviour == 'hang up at once':
        return
    if misbehaviour == 'garbage first':
        connection.send('<html>')
        connection.recv(1.0)
    connection.send('{"type":"authenticated","acks":true}')
    connection.recv()
    if misbehaviour == 'garbage later':
        connection.send('{{{')
        connection.send('{"type":"telemetry_ack","seq":"1"}')
    elif misbehaviour == 'binary':
        connection.send(b'\0\1\2')
    elif misbehaviour == 'close 1001':
        connection.close(1001, 'restarting')
    elif misbehaviour == 'close 1013':
        connection.send('{"type":"error","code":"REDIS_UNAVAILABLE"}')
        connection.close(1013)
    elif misbehaviour == 'reset':
        connection.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
        connection.socket.close()
    else:
        connection.send('{"type":"telemetry_ack","seq":999999}')


def test_a_port_that_speaks_something_else_is_told_once_and_tried_on(robot_at, caplog):
    listener = socket.create_server(('127.0.0.1', 0))
    port = listener.getsockname()[1]
    answered = threading.Event()

    def greet() -> None:
        for _ in range(3):
            with listener.accept()[0] as peer:
                peer.recv(100)
                peer.sendall(b'220 mail.example.com ESMTP\r\n')
        answered.set()

    thread = threading.Thread(target=greet)
    thread.start()
    with caplog.at_level(logging.WARNING, 'plexus_bridge'):
        robot = robot_at(f'http://127.0.0.1:{port}')
        robot.send(1)
        assert answered.wait(10)
    thread.join()
    listener.close()
    assert robot.journal.points == 1


def test_while_nobody_listens_data_waits_and_then_arrives(robot_at, caplog):
    with socket.create_server(('127.0.0.1', 0)) as probe:
        port = probe.getsockname()[1]
    with caplog.at_level(logging.WARNING, 'plexus_bridge'):
        robot = robot_at(f'http://127.0.0.1:{port}')
        robot.send(*range(5))
        robot.until(lambda: robot.counters['frames_sent_http'] >= 3, 'several tries')
    told = [record.getMessage() for record in caplog.records]
    assert any('nobody listens there' in text for text in told)
    assert len(told) <= 4, told
    assert robot.journal.points == 5


def refuse(connection: ServerConnection) -> None:
    connection.recv()
    connection.send('{"type":"error","message":"Invalid API key","detail":"Invalid API key"}')
    connection.close(1008)


def test_a_refused_key_is_told_with_what_to_do_and_nothing_is_lost(robot_at, caplog):
    with ScriptedSocket(refuse) as gateway, caplog.at_level(logging.ERROR, 'plexus_bridge'):
        robot = robot_at(gateway.url)
        robot.send(1)
        robot.until(lambda: robot.link.status.refused, 'refused')
        robot.until(lambda: gateway.connections >= 2, 'tried again')
    text = caplog.records[0].getMessage()
    assert 'Invalid API key' in text
    assert 'PLEXUS_API_KEY' in text
    assert 'plx_key' not in caplog.text
    assert robot.journal.points == 1


def test_without_a_socket_data_goes_by_http(robot_at):
    def answer(body):
        return 200, {'success': True, 'count': len(body['points'])}, {}

    with ScriptedIngest(answer) as gateway:
        robot = robot_at(gateway.url)
        robot.send(*range(30))
        robot.until(lambda: robot.counters['points_acknowledged'] == 30, 'stored')
        robot.until(lambda: robot.link.status.transport is Transport.HTTP, 'told so')
        robot.close()
    assert sorted(point['value'] for body in gateway.bodies for point in body['points']) \
        == list(range(30))
    assert {body['source_id'] for body in gateway.bodies} == {'kiln-7'}
    assert gateway.headers[0]['x-api-key'] == 'plx_key'
    assert gateway.headers[0]['User-Agent'] == 'test/0'


@pytest.mark.parametrize(('status', 'content', 'headers'), [
    (500, {'error': 'x'}, {}), (503, b'', {}), (429, {'error': 'slow'}, {'Retry-After': '0.05'}),
    (401, {'error': 'key'}, {}), (403, {'error': 'scope'}, {}), (302, b'', {'Location': '/x'}),
    (307, b'', {'Location': '/x'}), (200, b'<html>hello</html>', {}), (200, {'ok': 1}, {}),
    (404, b'not here', {})])
def test_an_answer_that_is_no_success_keeps_the_data(robot_at, status, content, headers):
    turns = iter([(status, content, headers)] * 2)

    def answer(body):
        return next(turns, (200, {'success': True, 'count': len(body['points'])}, {}))

    with ScriptedIngest(answer) as gateway:
        robot = robot_at(gateway.url)
        robot.send(1, 2, 3)
        robot.until(lambda: robot.counters['points_acknowledged'] == 3, 'stored in the end')
        robot.close()
    assert robot.counters.dropped() == {}
    assert len(gateway.bodies) >= 3


BAD = {13, 14, 37}


def flush_until(robot: Robot, condition: Callable[[], object], what: str) -> None:
    def flushed() -> object:
        robot.outbox.flush()
        return condition()
    robot.until(flushed, what)


def send_together(robot: Robot, values: Sequence[int]) -> None:
    for value in values:
        robot.lanes.sinks['state'].add(
            {'class': 'metric', 'metric': 'm', 'value': value, 'timestamp': 1_790_000_000_000})
    robot.outbox.flush()


@pytest.mark.parametrize('status', [400, 413, 422])
def test_over_http_one_bad_point_costs_one_point(robot_at, caplog, status):
    stored: list[int] = []

    def answer(body):
        values = [point['value'] for point in body['points']]
        if BAD & set(values):
            return status, {'error': 'points[3] is bad'}, {}
        stored.extend(values)
        return 200, {'success': True, 'count': len(values)}, {}

    with ScriptedIngest(answer) as gateway, caplog.at_level(logging.WARNING, 'plexus_bridge'):
        robot = robot_at(gateway.url)
        send_together(robot, range(50))
        flush_until(robot, lambda: robot.outbox.idle and not robot.journal.points, 'all told')
        robot.close()
    assert sorted(stored) == sorted(set(range(50)) - BAD)
    assert robot.counters.dropped() == {'gateway_refused': 3}
    told = [text for text in caplog.messages if 'points[3] is bad' in text]
    assert len(told) == 1, caplog.messages


def test_over_the_socket_one_bad_point_costs_one_point(robot_at, caplog):
    store = Store()

    def take(connection, frame):
        if frame['type'] == 'telemetry' and BAD & {p['value'] for p in frame['points']}:
            connection.send(json.dumps({
                'type': 'error', 'code': 'INVALID_MESSAGE', 'detail': 'points[3] is bad',
                'seq': frame['seq']}))
        else:
            Store.take(store, connection, frame)

    store.take = take
    with ScriptedSocket(store.serve) as gateway, caplog.at_level(
            logging.WARNING, 'plexus_bridge'):
        robot = robot_at(gateway.url)
        send_together(robot, range(50))
        flush_until(robot, lambda: robot.outbox.idle and not robot.journal.points, 'all told')
        robot.close()
    assert sorted(set(store.values)) == sorted(set(range(50)) - BAD)
    assert robot.counters.dropped() == {'gateway_invalid_message': 3}
    assert len([text for text in caplog.messages if 'points[3] is bad' in text]) == 1


@pytest.mark.parametrize('status', [404, 405, 415])
def test_a_frame_that_never_passes_does_not_hold_up_others(robot_at, status):
    def answer(body):
        if body['points'][0]['value'] == 0:
            return status, b'no', {}
        return 200, {'success': True, 'count': len(body['points'])}, {}

    with ScriptedIngest(answer) as gateway:
        robot = robot_at(gateway.url)
        robot.send(*range(5))
        robot.until(lambda: robot.counters['points_acknowledged'] == 4, 'the others stored')
        robot.outbox.flush()
        assert robot.journal.points == 1
        assert robot.counters.dropped() == {}
        robot.close()


@pytest.mark.parametrize('status', [401, 403])
def test_a_key_refused_at_the_upgrade_is_told_once_as_a_refusal(robot_at, caplog, status):
    with ScriptedIngest(lambda body: (503, b'', {}), upgrade_status=status) as gateway, \
            caplog.at_level(logging.WARNING, 'plexus_bridge'):
        robot = robot_at(gateway.url)
        robot.until(lambda: gateway.upgrades >= 3, 'tried again')
        assert robot.link.status.refused
        robot.close()
    told = [text for text in caplog.messages if 'PLEXUS_API_KEY' in text]
    assert len(told) == 1, caplog.messages
    assert f'status {status}' in told[0]


def test_an_unexpected_error_is_told_once_and_does_not_keep_the_link_busy(
        tmp_path, caplog, monkeypatch):
    def fail(_):
        raise RuntimeError('a bug')

    monkeypatch.setattr(Outbox, 'take', fail)
    monkeypatch.setattr(Backoff, 'next_delay', lambda *_, **__: 0.2)
    with socket.create_server(('127.0.0.1', 0)) as probe:
        port = probe.getsockname()[1]
    with caplog.at_level(logging.ERROR, 'plexus_bridge'):
        robot = Robot(f'http://127.0.0.1:{port}', tmp_path)
        robot.until(lambda: robot.counters['link_errors'] >= 3, 'it goes on')
        started, before = time.monotonic(), robot.counters['link_errors']
        robot.until(lambda: robot.counters['link_errors'] >= before + 3, 'it goes on')
        assert time.monotonic() - started > 0.3
        robot.link.stop(0.1)
        robot.journal.close()
    assert len(caplog.records) == 1
    assert 'unexpected error' in caplog.messages[0]


def test_a_gateway_that_never_stops_talking_gets_telemetry_and_lets_us_stop(robot_at):
    store = Store()

    def serve(connection: ServerConnection) -> None:
        over = threading.Event()

        def talk() -> None:
            with contextlib.suppress(ConnectionClosed, OSError):
                while not over.is_set():
                    connection.send('{"type":"news"}')

        talker = threading.Thread(target=talk)
        first = connection.recv()
        connection.send('{"type":"authenticated","acks":true}')
        assert json.loads(first)['type'] == 'device_auth'
        talker.start()
        try:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    store.take(connection, json.loads(connection.recv()))
        finally:
            over.set()
            talker.join()

    with ScriptedSocket(serve) as gateway:
        robot = robot_at(gateway.url)
        robot.send(*range(10))
        robot.until(lambda: robot.counters['points_acknowledged'] == 10, 'acknowledged')
        started = time.monotonic()
        robot.close()
        assert time.monotonic() - started < 2
    assert sorted(set(store.values)) == list(range(10))


def test_points_that_a_gateway_drops_are_counted(robot_at):
    with ScriptedIngest(lambda body: (200, {'success': True, 'count': 0}, {})) as gateway:
        robot = robot_at(gateway.url)
        robot.send(1)
        robot.until(lambda: robot.counters.dropped() == {'gateway_dropped': 1}, 'counted')


def test_a_gateway_without_acknowledgements_gets_telemetry_by_http_only(robot_at):
    seen: list[str] = []

    def script(connection: ServerConnection) -> None:
        connection.recv()
        connection.send('{"type":"authenticated"}')
        with contextlib.suppress(ConnectionClosed):
            while True:
                seen.append(json.loads(connection.recv())['type'])

    with ScriptedSocket(script) as gateway:
        robot = robot_at(gateway.url)
        robot.until(lambda: robot.link.status.transport is Transport.HTTP, 'told so')
        robot.send(1)
        robot.until(lambda: robot.counters['frames_sent_http'] >= 1, 'posted')
        robot.close()
    assert 'telemetry' not in seen


@pytest.mark.parametrize(('url', 'expected'), [
    ('http://127.0.0.1:8787', 'ws://127.0.0.1:8787/ws/device'),
    ('https://gateway.example.com/', 'wss://gateway.example.com/ws/device'),
    ('https://example.com/plexus', 'wss://example.com/plexus/ws/device'),
    ('ws://a:1/ws/device', 'ws://a:1/ws/device')])
def test_the_sockets_address_follows_from_the_gateways(url, expected):
    assert socket_url(url) == expected


class Echo:
    """A control plane that answers every "ask" with an "answer"."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.outgoing: list[dict[str, Any]] = []

    def hello(self) -> dict[str, Any]:
        return {'commands': [{'name': 'dock'}]}

    def opened(self, answer: Mapping[str, Any], now: float) -> None:
        self.calls.append(f'opened {answer["type"]}')

    def receive(self, message: Mapping[str, Any], now: float) -> bool:
        self.calls.append(str(message['type']))
        self.outgoing.append({'type': 'answer', 'number': message['number']})
        return True

    def lost(self, now: float) -> None:
        self.calls.append('lost')

    def messages_to_send(self, now: float) -> list[dict[str, Any]]:
        outgoing, self.outgoing = self.outgoing, []
        return outgoing

    def deadline(self) -> float | None:
        return None


def test_the_control_plane_says_and_hears_its_own(robot_at):
    heard: list[dict[str, Any]] = []

    def script(connection: ServerConnection) -> None:
        heard.append(json.loads(connection.recv()))
        connection.send(json.dumps({'type': 'authenticated', 'acks': True}))
        connection.send(json.dumps({'type': 'ask', 'number': 7}))
        with contextlib.suppress(ConnectionClosed):
            while True:
                heard.append(json.loads(connection.recv()))

    control = Echo()
    with ScriptedSocket(script) as gateway:
        robot = robot_at(gateway.url, control=control)
        robot.until(lambda: len(heard) > 1, 'answered')
        robot.close()
    assert heard[0]['commands'] == [{'name': 'dock'}]
    assert heard[1] == {'type': 'answer', 'number': 7}
    assert control.calls == ['opened authenticated', 'ask', 'lost']


def test_control_hears_of_the_end_before_a_disk_that_fails_is_asked(robot_at, monkeypatch):
    """A robot that is driven is stopped by it, whatever becomes of frames on their way."""
    gone = threading.Event()

    def script(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(json.dumps({'type': 'authenticated', 'acks': True}))
        if not gone.is_set():
            connection.recv()  # a frame that is never acknowledged
            gone.set()
            return
        with contextlib.suppress(ConnectionClosed):
            while True:
                connection.recv()

    control = Echo()
    with ScriptedSocket(script) as gateway:
        robot = robot_at(gateway.url, control=control)

        def broken(_keys: object) -> int:
            assert control.calls[-1] == 'lost'
            control.calls.append('disk')
            raise JournalError('no disk')

        robot.until(lambda: robot.link.status.connections == 1, 'connected')
        with monkeypatch.context() as failing:
            failing.setattr(robot.outbox, 'give_back', broken)
            robot.send(1)
            robot.until(lambda: 'disk' in control.calls, 'the disk was asked')
        robot.close()
    assert control.calls[:3] == ['opened authenticated', 'lost', 'disk']


def test_what_control_has_to_say_at_the_very_end_is_still_said(robot_at):
    heard: list[dict[str, Any]] = []

    def script(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(json.dumps({'type': 'authenticated', 'acks': True}))
        with contextlib.suppress(ConnectionClosed):
            while True:
                heard.append(json.loads(connection.recv()))

    control = Echo()
    with ScriptedSocket(script) as gateway:
        robot = robot_at(gateway.url, control=control)
        robot.until(lambda: robot.link.status.connections, 'connected')
        # Longer than what a socket takes at once: the end waits for the rest.
        control.outgoing.append({'type': 'answer', 'number': 1, 'result': 'x' * 900_000})
        robot.close()
        robot.until(lambda: heard, 'heard')
    assert heard[0]['number'] == 1


def test_a_handshake_that_hangs_keeps_neither_http_nor_the_end_waiting(
        robot_at, wait_until, monkeypatch):
    hanging, release = threading.Event(), threading.Event()
    attempts: list[str] = []

    def attempt(url: str) -> DeviceSocket:
        attempts.append(url)
        if len(attempts) > 1:
            hanging.set()
            release.wait(10)
        raise LinkError('no answer')

    monkeypatch.setattr(connector, 'DeviceSocket', attempt)
    with ScriptedIngest(lambda body: (200, {'count': len(body['points'])}, {})) as gateway:
        robot = robot_at(gateway.url)
        assert hanging.wait(5)
        robot.send(1, 2, 3)
        robot.until(lambda: robot.counters['points_acknowledged'] == 3, 'posted')
        started = time.monotonic()
        robot.close()
        assert not robot.link._thread.is_alive()
        assert time.monotonic() - started < 3
    release.set()
    wait_until(lambda: not any(
        thread.name == 'plexus-connect' for thread in threading.enumerate()), 'let go')


def test_pictures_go_when_there_is_a_connection_and_are_dropped_when_there_is_none(robot_at):
    pictures: list[bytes] = []
    video = VideoFrames()
    let_in = threading.Event()

    def script(connection: ServerConnection) -> None:
        connection.recv()
        let_in.wait()
        connection.send(json.dumps({'type': 'authenticated', 'acks': True}))
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = connection.recv()
                if isinstance(message, bytes):
                    pictures.append(message)

    with ScriptedSocket(script) as gateway:
        robot = robot_at(gateway.url, video=video)
        video.put(VideoFrame('front', Binary(b'early'), 0.0))
        robot.until(lambda: robot.counters.dropped().get('video_offline'), 'dropped')
        let_in.set()
        robot.until(lambda: robot.link.status.connections, 'connected')
        video.put(VideoFrame('front', Binary(b'picture'), 0.0))
        robot.until(lambda: pictures, 'picture sent')
        robot.close()
    assert pictures == [b'picture']


def test_a_link_that_is_asked_to_comes_back_at_once_and_says_anew_what_it_can_do(robot_at):
    heard: list[dict[str, Any]] = []
    store = Store()

    def script(connection: ServerConnection) -> None:
        heard.append(json.loads(connection.recv()))
        connection.send(json.dumps({'type': 'authenticated', 'acks': True}))
        with contextlib.suppress(ConnectionClosed):
            while True:
                store.take(connection, json.loads(connection.recv()))

    control = Echo()
    with ScriptedSocket(script) as gateway:
        robot = robot_at(gateway.url, control=control)
        robot.until(lambda: robot.link.status.connections == 1, 'connected')
        control.hello = lambda: {'commands': [{'name': 'dock'}, {'name': 'undock'}]}
        robot.link.reconnect()
        robot.send(*range(5))
        robot.until(lambda: robot.link.status.connections == 2, 'connected again')
        robot.until(lambda: robot.counters['points_acknowledged'] == 5, 'acknowledged')
        robot.close()
    assert [len(hello['commands']) for hello in heard] == [1, 2]
    assert control.calls.count('lost') == 2
    assert sorted(set(store.values)) == list(range(5))


def test_a_gateway_that_finds_a_message_too_long_gets_its_halves(robot_at):
    store = Choosy(lambda points: len(points) > 4)
    with ScriptedSocket(store.serve) as gateway:
        robot = robot_at(gateway.url)
        send_together(robot, range(40))
        flush_until(robot, lambda: robot.outbox.idle and not robot.journal.points, 'all told')
        robot.close()
    assert sorted(set(store.values)) == list(range(40))
    assert robot.counters.dropped() == {}


def test_a_single_message_that_is_too_long_is_given_up_and_counted(robot_at):
    store = Choosy(lambda points: any(point['value'] == 7 for point in points))
    with ScriptedSocket(store.serve) as gateway:
        robot = robot_at(gateway.url)
        send_together(robot, range(16))
        flush_until(robot, lambda: robot.outbox.idle and not robot.journal.points, 'all told')
        robot.close()
    assert sorted(set(store.values)) == sorted(set(range(16)) - {7})
    assert robot.counters.dropped() == {'gateway_message_too_big': 1}


def test_a_frame_that_breaks_every_connection_does_not_hold_up_others(robot_at):
    store = Store()

    def take(connection: ServerConnection, frame: dict[str, Any]) -> None:
        if frame['type'] == 'telemetry' and {0} & {p['value'] for p in frame['points']}:
            connection.socket.shutdown(socket.SHUT_RDWR)
        else:
            Store.take(store, connection, frame)

    store.take = take
    with ScriptedSocket(store.serve) as gateway:
        robot = robot_at(gateway.url)
        robot.outbox.bundle_bytes = 0
        robot.send(0)
        robot.until(lambda: robot.counters['frames_resent'] >= 1, 'it broke a connection')
        robot.send(*range(1, 6))
        flush_until(robot, lambda: {1, 2, 3, 4, 5} <= set(store.values), 'the others are stored')
        assert robot.counters['frames_suspected'] >= 1
        assert robot.counters.dropped() == {}
        robot.close()
    assert robot.journal.points >= 0


@pytest.mark.parametrize('code', ['RATE_LIMITED', 'SOURCE_LIMIT', 'DEVICE_LIMIT'])
def test_frames_that_exceed_a_limit_are_counted_by_code_and_not_sent_again(robot_at, code):
    store = Store()
    refused: list[int] = []

    def take(connection: ServerConnection, frame: dict[str, Any]) -> None:
        if frame['type'] == 'telemetry' and not refused:
            refused.extend(point['value'] for point in frame['points'])
            connection.send(json.dumps({'type': 'error', 'code': code, 'seq': frame['seq']}))
        else:
            Store.take(store, connection, frame)

    store.take = take
    with ScriptedSocket(store.serve) as gateway:
        robot = robot_at(gateway.url)
        robot.send(1, 2)
        robot.until(lambda: refused, 'refused')
        robot.send(3, 4)
        flush_until(robot, lambda: robot.outbox.idle and not robot.journal.points, 'all told')
        robot.close()
    assert set(store.values) | set(refused) == {1, 2, 3, 4}
    assert not set(store.values) & set(refused)
    assert robot.counters.dropped() == {f'gateway_{code.lower()}': len(refused)}


def test_a_gateway_that_makes_up_codes_makes_up_no_end_of_counters(robot_at):
    codes = iter(range(10_000))

    def script(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(json.dumps({'type': 'authenticated', 'acks': True}))
        with contextlib.suppress(ConnectionClosed):
            while True:
                frame = json.loads(connection.recv())
                if frame['type'] == 'telemetry':
                    number = next(codes)
                    code = 'x' * 5000 if number % 2 else 'code' + '_' * (number // 2)
                    connection.send(json.dumps(
                        {'type': 'error', 'code': code, 'seq': frame['seq']}))

    with ScriptedSocket(script) as gateway:
        robot = robot_at(gateway.url)
        robot.until(lambda: robot.link.status.connections, 'connected')
        for number in range(100):
            robot.send(number)
            robot.until(lambda number=number: sum(
                robot.counters.dropped().values()) > number, 'thrown away')
        robot.close()
    reasons = robot.counters.dropped()
    assert sum(reasons.values()) == 100
    assert len(reasons) <= MOST_REASONS + 1
    assert max(map(len, reasons)) <= 50


def test_the_plan_that_has_no_socket_leaves_http_for_good(robot_at):
    def script(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(json.dumps({'type': 'error', 'code': 'streaming_requires_plan'}))
        connection.close(1008)

    with ScriptedSocket(script) as gateway:
        robot = robot_at(gateway.url)
        robot.until(lambda: robot.link.status.without_socket, 'told so')
        robot.send(1)
        robot.until(lambda: robot.counters['frames_sent_http'] >= 1, 'posted')
        robot.close()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The robot's side of the device socket, message by message."""

from __future__ import annotations

import json
from random import Random

import pytest

from plexus_bridge.errors import LocalProtocolError
from plexus_bridge.protocol.backoff import Backoff
from plexus_bridge.protocol.device import ACK_TIMEOUT_S
from plexus_bridge.protocol.device import AUTH_TIMEOUT_S
from plexus_bridge.protocol.device import Authenticated
from plexus_bridge.protocol.device import ClockRead
from plexus_bridge.protocol.device import DeviceSession
from plexus_bridge.protocol.device import Disconnected
from plexus_bridge.protocol.device import FramesDiscarded
from plexus_bridge.protocol.device import FramesReturned
from plexus_bridge.protocol.device import FramesStored
from plexus_bridge.protocol.device import HEARTBEAT_S
from plexus_bridge.protocol.device import Hello
from plexus_bridge.protocol.device import MessageReceived
from plexus_bridge.protocol.device import Refused
from plexus_bridge.protocol.device import Trouble
from plexus_bridge.protocol.device import WINDOW_FRAMES
from plexus_bridge.protocol.device import WINDOW_POINTS
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Close
from plexus_bridge.protocol.messages import Text


def text(**body) -> Text:
    return Text(json.dumps(body).encode())


def sent(session: DeviceSession) -> list:
    return [json.loads(message.payload) if isinstance(message, Text) else message
            for message in session.messages_to_send()]


@pytest.fixture
def session() -> DeviceSession:
    return DeviceSession(Hello('plx_key', 'kiln-7', 'plexus-ros2', '0.1.0'))


@pytest.fixture
def live(session) -> DeviceSession:
    session.opened(0.0)
    session.receive(text(type='authenticated', acks=True), 0.0)
    session.messages_to_send()
    return session


def send(session: DeviceSession, *keys: int, now: float = 0.0) -> None:
    for key in keys:
        session.send_telemetry(key, b'{"metric":"m","value":%d}' % key, 1, now)


def test_the_first_message_is_device_auth(session):
    session.opened(0.0)
    assert sent(session) == [{
        'type': 'device_auth', 'api_key': 'plx_key', 'source_id': 'kiln-7',
        'platform': 'plexus-ros2', 'agent_version': '0.1.0', 'protocol': 1,
        'hears_goodbye': True, 'acks': True}]
    assert not session.live
    assert not session.can_send(1)


@pytest.mark.parametrize(('server_time', 'expected'), [
    (1_790_000_000_000, 1_790_000_000_000), (0, None), (-1, None), ('1', None), (True, None),
    (None, None)])
def test_authenticated_brings_the_gateways_clock(session, server_time, expected):
    session.opened(5.0)
    answer = {'type': 'authenticated', 'acks': True, 'server_time_ms': server_time}
    assert session.receive(text(**answer), 5.25) == [
        Authenticated(acks=True, server_time_ms=expected, round_trip_s=0.25, answer=answer)]


def test_the_control_plane_adds_to_the_hello_but_changes_nothing_of_it(session):
    session.opened(0.0, {'commands': [], 'source_id': 'another'})
    hello, = sent(session)
    assert hello['commands'] == []
    assert hello['source_id'] == 'kiln-7'


def test_messages_and_video_are_for_those_who_are_let_in(session):
    session.opened(0.0)
    for send_early in (lambda: session.send({'type': 'pong'}),
                       lambda: session.send_video(Binary(b'\1'))):
        with pytest.raises(LocalProtocolError, match='waiting for authenticated'):
            send_early()


@pytest.mark.parametrize('acks', [1, 'true', False, None])
def test_only_the_literal_true_promises_acknowledgements(session, acks):
    session.opened(0.0)
    session.receive(text(type='authenticated', acks=acks), 0.0)
    assert session.live
    assert not session.can_send(1)


def test_telemetry_is_numbered_from_one_on_every_connection(live):
    send(live, 70, 71)
    assert [(frame['seq'], frame['points'][0]['value']) for frame in sent(live)] == [
        (1, 70), (2, 71)]
    assert live.lost('cut') == [FramesReturned([70, 71]), Disconnected('cut', goodbye=False)]
    live.opened(1.0)
    live.receive(text(type='authenticated', acks=True), 1.0)
    live.messages_to_send()
    send(live, 70)
    assert [frame['seq'] for frame in sent(live)] == [1]


def test_acknowledgements_are_cumulative(live):
    send(live, 7, 8, 9)
    assert live.receive(text(type='telemetry_ack', seq=2), 0.1) == [FramesStored([7, 8])]
    assert live.receive(text(type='telemetry_ack', seq=1), 0.1) == []
    assert live.receive(text(type='telemetry_ack', seq=3), 0.1) == [FramesStored([9])]


@pytest.mark.parametrize('seq', [0, -1, 4, 1 << 60, 2.0, '2', True, None])
def test_a_number_that_was_never_sent_acknowledges_nothing(live, seq):
    send(live, 7, 8, 9)
    assert live.receive(text(type='telemetry_ack', seq=seq), 0.1) == []
    assert live.lost('x')[0] == FramesReturned([7, 8, 9])


def test_an_error_with_a_number_discards_and_one_without_does_not(live):
    send(live, 7, 8)
    assert live.receive(text(type='error', code='RATE_LIMITED', detail='slow', seq=1), 0.1) == [
        FramesDiscarded([7], 'RATE_LIMITED', 'slow')]
    assert live.receive(text(type='error', code='REDIS_UNAVAILABLE', detail='down'), 0.1) == [
        Trouble('REDIS_UNAVAILABLE', 'down')]
    assert live.receive(Close(1013, 'later'), 0.1) == [
        FramesReturned([8]),
        Disconnected('the gateway closed with 1013 later', goodbye=True, code=1013)]


def test_an_error_refuses_its_own_frame_and_leaves_those_before_it_undecided(live):
    send(live, 7, 8, 9, 10)
    assert live.receive(
        text(type='error', code='INVALID_MESSAGE', detail='points[3]', seq=3), 0.1) == [
            FramesReturned([7, 8]), FramesDiscarded([9], 'INVALID_MESSAGE', 'points[3]')]
    assert live.receive(text(type='telemetry_ack', seq=4), 0.2) == [FramesStored([10])]


def test_on_a_slow_link_each_answer_gives_the_next_frame_its_time(live):
    send(live, 7, 8, 9)
    nearly = ACK_TIMEOUT_S - 1
    live.receive(text(type='telemetry_ack', seq=1), nearly)
    live.receive(text(type='telemetry_ack', seq=2), 2 * nearly)
    assert live.tick(3 * nearly) == []
    assert live.tick(2 * nearly + ACK_TIMEOUT_S)[0] == FramesReturned([9])


def test_the_window_is_bounded_in_frames(live):
    send(live, *range(WINDOW_FRAMES))
    assert not live.can_send(1)
    with pytest.raises(LocalProtocolError):
        send(live, 99)
    live.receive(text(type='telemetry_ack', seq=1), 0.1)
    assert live.can_send(1)


def test_the_window_is_bounded_in_points_but_one_frame_always_goes(live):
    assert live.can_send(WINDOW_POINTS * 2)
    live.send_telemetry(1, b'', WINDOW_POINTS - 5, 0.0)
    assert live.can_send(5)
    assert not live.can_send(6)


def test_silence_after_sending_ends_the_connection(live):
    send(live, 7, now=10.0)
    assert live.deadline() == min(10.0 + ACK_TIMEOUT_S, HEARTBEAT_S)
    assert live.tick(10.0 + ACK_TIMEOUT_S - 0.1) == []
    assert live.tick(10.0 + ACK_TIMEOUT_S) == [
        FramesReturned([7]),
        Disconnected('no acknowledgement within 30 s', goodbye=False)]


def test_heartbeats_go_every_thirty_seconds_from_authentication_on(live):
    assert live.tick(HEARTBEAT_S - 0.01) == []
    assert sent(live) == []
    live.tick(HEARTBEAT_S)
    assert sent(live) == [
        {'type': 'heartbeat', 'source_id': 'kiln-7', 'agent_version': '0.1.0',
         'wants_time': True}]
    assert live.deadline() == 2 * HEARTBEAT_S


def test_an_answer_to_a_heartbeat_tells_the_gateways_time_once(live):
    answer = text(type='heartbeat_ack', server_time_ms=1_790_000_000_000)
    assert live.receive(answer, 1.0) == []
    live.tick(HEARTBEAT_S)
    assert live.receive(answer, HEARTBEAT_S + 0.25) == [ClockRead(1_790_000_000_000, 0.25)]
    assert live.receive(answer, HEARTBEAT_S + 0.3) == []


@pytest.mark.parametrize('value', [None, True, 'x', 0, -5, 12_000, 1e300, [1]])
def test_a_time_that_cannot_be_is_not_taken(live, value):
    live.tick(HEARTBEAT_S)
    assert live.receive(text(type='heartbeat_ack', server_time_ms=value), HEARTBEAT_S + 1) == []


def test_some_of_the_window_can_be_left_free(live):
    assert live.room_points(4, 2000) is None
    send(live, 1)
    assert live.room_points(4, 2000) == WINDOW_POINTS - 2000 - 1
    for key in range(2, WINDOW_FRAMES - 3):
        send(live, key)
    assert live.room_points(4) == 0
    assert live.room_points() > 0


def test_no_answer_to_device_auth_ends_the_connection(session):
    session.opened(1.0)
    assert session.deadline() == 1.0 + AUTH_TIMEOUT_S
    assert session.tick(1.0 + AUTH_TIMEOUT_S) == [
        Disconnected('no answer to device_auth within 10 s', goodbye=False)]


@pytest.mark.parametrize('payload', [b'', b'hello', b'[]', b'{"type":7}', b'{"type":"welcome"}',
                                     b'\xff\xfe', b'{"type":"' + b'x' * 99 + b'"}'])
def test_a_peer_that_speaks_garbage_is_left(session, payload):
    session.opened(0.0)
    events = session.receive(Text(payload), 0.1)
    assert [type(event) for event in events] == [Disconnected]
    assert not session.connected


@pytest.mark.parametrize(('body', 'expected'), [
    ({'code': 'streaming_requires_plan', 'detail': 'free'},
     Refused('streaming_requires_plan', 'free')),
    ({'message': 'Invalid API key'}, Refused('', 'Invalid API key')),
    ({}, Refused('', 'no reason given'))])
def test_a_refusal_is_told_with_its_reason(session, body, expected):
    session.opened(0.0)
    events = session.receive(text(type='error', **body), 0.1)
    assert events[0] == expected
    assert isinstance(events[1], Disconnected)


def test_after_a_goodbye_nothing_but_the_answer_is_sent(live):
    send(live, 7)
    live.receive(Close(1001, 'restarting'), 0.1)
    assert live.messages_to_send() == [Close(1000)]
    assert live.receive(text(type='telemetry_ack', seq=1), 0.2) == []


def test_garbage_on_a_live_connection_is_told_and_survived(live):
    send(live, 7)
    assert isinstance(live.receive(Text(b'{'), 0.1)[0], Trouble)
    assert isinstance(live.receive(Binary(b'x'), 0.1)[0], Trouble)
    assert live.receive(text(type='telemetry_ack', seq=1), 0.1) == [FramesStored([7])]


def test_other_messages_are_handed_on(live):
    assert live.receive(text(type='command_run', run_id='r'), 0.1) == [
        MessageReceived('command_run', {'type': 'command_run', 'run_id': 'r'})]


def test_closing_returns_what_was_not_acknowledged(live):
    send(live, 7)
    live.messages_to_send()
    assert live.close() == [FramesReturned([7]), Disconnected('closed by us', goodbye=False)]
    assert live.messages_to_send() == [Close(1000)]
    assert live.close() == []


def test_delays_double_up_to_a_minute_with_jitter():
    backoff = Backoff(Random(1))
    delays = [backoff.next_delay() for _ in range(12)]
    for attempt, delay in enumerate(delays):
        nominal = min(2 ** attempt, 60)
        assert 0.75 * nominal <= delay <= 1.25 * nominal
    assert backoff.failures == 12
    backoff.succeeded()
    assert 0.75 <= backoff.next_delay() <= 1.25


def test_a_goodbye_is_followed_by_a_quick_return():
    backoff = Backoff(Random(1))
    assert all(0.1 <= backoff.next_delay(goodbye=True) <= 0.5 for _ in range(50))


def test_a_complaint_that_somebody_can_do_something_about_says_what():
    assert '--receive-commands' in Trouble('commands_not_permitted', '').remedy
    assert Trouble('REDIS_UNAVAILABLE', 'down').remedy == ''

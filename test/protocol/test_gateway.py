# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the gateway's side answers, in which order, and when it closes (protocol section 6)."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from plexus_bridge import encoding
from plexus_bridge.errors import LocalProtocolError
from plexus_bridge.points import MAX_MESSAGE_BYTES
from plexus_bridge.protocol.gateway import AUTH_TIMEOUT_S
from plexus_bridge.protocol.gateway import GatewaySession
from plexus_bridge.protocol.gateway import MAX_UNDECIDED_FRAMES
from plexus_bridge.protocol.gateway import MAX_UNDECIDED_POINTS
from plexus_bridge.protocol.gateway import MAX_UNSENT_MESSAGES
from plexus_bridge.protocol.gateway import SILENCE_TIMEOUT_S
from plexus_bridge.protocol.gateway_events import DeviceLeft
from plexus_bridge.protocol.gateway_events import GatewayEvent
from plexus_bridge.protocol.gateway_events import HeartbeatReceived
from plexus_bridge.protocol.gateway_events import HelloReceived
from plexus_bridge.protocol.gateway_events import InvalidReceived
from plexus_bridge.protocol.gateway_events import MessageReceived
from plexus_bridge.protocol.gateway_events import TelemetryReceived
from plexus_bridge.protocol.gateway_events import VideoReceived
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Close
from plexus_bridge.protocol.messages import CloseCode
from plexus_bridge.protocol.messages import Message
from plexus_bridge.protocol.messages import Text
from plexus_bridge.protocol.video import Picture

WALL_MS = 1_790_000_000_000
HELLO = {'type': 'device_auth', 'api_key': 'plx_key', 'source_id': 'kiln-7', 'acks': True,
         'hears_goodbye': True, 'platform': 'python-sdk', 'agent_version': '0.16.0'}


BINARY_FRAME = bytes.fromhex(
    '01 05 7269672E31 05 66726F6E74 00000000 00000000 0000018BCFE56800 FFD8FFE000000000FFD9')


def receive(session: GatewaySession, body: object, now: float = 0.0) -> list[GatewayEvent]:
    payload = body if isinstance(body, bytes) else encoding.dumps(body)
    return session.receive(Text(payload), now, WALL_MS)


def sent(session: GatewaySession) -> list[Any]:
    """What the session wants to send: JSON objects, and close frames as they are."""
    return [message if isinstance(message, Close) else encoding.loads(message.payload)
            for message in session.messages_to_send()]


def live_session(**hello: object) -> GatewaySession:
    session = GatewaySession(0.0)
    receive(session, {**HELLO, **hello})
    session.accept(WALL_MS)
    session.messages_to_send()
    return session


def telemetry(seq: object, *values: float) -> dict[str, object]:
    return {'type': 'telemetry', 'seq': seq, 'points': [
        {'metric': 'zone1.temp_c', 'value': value} for value in values or (1.5,)]}


def ticket(session: GatewaySession, seq: object, *values: float) -> int:
    [event] = receive(session, telemetry(seq, *values))
    assert isinstance(event, TelemetryReceived)
    return event.ticket


def ack(seq: int) -> dict[str, object]:
    return {'type': 'telemetry_ack', 'seq': seq}


class TestDeviceAuth:

    def test_the_first_message_back_is_authenticated(self):
        session = GatewaySession(0.0)
        [event] = receive(session, HELLO)
        assert isinstance(event, HelloReceived)
        assert (event.hello.api_key, event.hello.source_id) == ('plx_key', 'kiln-7')
        assert event.hello.platform == 'python-sdk'
        assert sent(session) == []
        session.accept(WALL_MS)
        assert sent(session) == [{
            'type': 'authenticated', 'source_id': 'kiln-7', 'server_time_ms': WALL_MS,
            'protocol': 1, 'max_frame_bytes': 1_048_576, 'acks': True}]
        assert session.live

    @pytest.mark.parametrize('offer', [None, False, 1, 'true'])
    def test_acknowledgements_are_offered_only_to_who_asked_for_them(self, offer: object):
        session = GatewaySession(0.0)
        receive(session, {**HELLO, 'acks': offer})
        session.accept(WALL_MS)
        [answer] = sent(session)
        assert 'acks' not in answer

    @pytest.mark.parametrize(('first', 'seen'), [
        (b'not json', 'not JSON'),
        (b'[1]', 'list'),
        ({'type': 'telemetry', 'points': []}, "'telemetry'"),
        ({'type': 'device_auth', 'api_key': 'k'}, 'source_id'),
        ({'type': 'device_auth', 'api_key': 'k', 'source_id': 'Not A Slug'}, 'Not A Slug'),
    ])
    def test_anything_else_first_is_told_and_closed(self, first: object, seen: str):
        session = GatewaySession(0.0)
        [event] = receive(session, first)
        assert isinstance(event, InvalidReceived)
        error, close = sent(session)
        assert error['type'] == 'error'
        assert seen in error['detail']
        assert error['message'] == error['detail'], 'agents of old read "message"'
        assert close.code == CloseCode.UNAUTHORISED
        assert session.closed

    def test_a_video_frame_first_is_refused(self):
        session = GatewaySession(0.0)
        session.receive(Binary(b'\xff\xd8'), 0.0, WALL_MS)
        error, close = sent(session)
        assert 'binary' in error['detail']
        assert close.code == 1008

    def test_a_refusal_is_told_before_the_close(self):
        session = GatewaySession(0.0)
        receive(session, HELLO)
        session.refuse('streaming_requires_plan', 'not on this plan')
        error, close = sent(session)
        assert (error['code'], error['detail']) == ('streaming_requires_plan', 'not on this plan')
        assert close == Close(1008, 'not on this plan')
        assert receive(session, telemetry(1)) == []

    def test_reading_on_before_the_answer_is_a_bug_of_the_owner(self):
        session = GatewaySession(0.0)
        receive(session, HELLO)
        with pytest.raises(LocalProtocolError):
            receive(session, telemetry(1))

    @pytest.mark.parametrize('answer', ['accept', 'refuse'])
    def test_nobody_is_answered_who_did_not_ask(self, answer: str):
        session = GatewaySession(0.0)
        with pytest.raises(LocalProtocolError, match='waiting for device_auth'):
            session.accept(WALL_MS) if answer == 'accept' else session.refuse('', 'no')


class TestOldAgents:

    def test_the_oldest_bring_their_key_in_headers(self):
        session = GatewaySession(0.0, {'x-api-key': 'plx_key', 'x-device-id': 'pi-1',
                                       'x-platform': 'Linux', 'host': 'x'})
        [event] = receive(session, {'type': 'handshake', 'capabilities': []})
        assert isinstance(event, HelloReceived)
        assert (event.hello.api_key, event.hello.source_id, event.hello.platform) == (
            'plx_key', 'pi-1', 'Linux')

    def test_a_device_token_and_the_inventory(self):
        session = GatewaySession(0.0)
        sensor = {'name': 'MPU6050', 'metrics': ['accel_x'], 'sample_rate': 100}
        [event] = receive(session, {
            'type': 'device_auth', 'device_token': 'plxd_t', 'source_id': 'pi-1',
            'sensors': [sensor], 'hostname': 'pi', 'cameras': None})
        assert isinstance(event, HelloReceived)
        assert (event.hello.device_token, event.hello.api_key) == ('plxd_t', '')
        assert event.hello.inventory() == {'sensors': [sensor], 'hostname': 'pi'}

    def test_the_session_of_a_frame_is_a_tag_of_its_points(self):
        session = live_session(acks=False)
        [event] = receive(session, {'type': 'telemetry', 'session_id': 's1', 'points': [
            {'metric': 'a', 'value': 1, 'tags': {'session_id': 's0'}},
            {'metric': 'b', 'value': 1, 'session_id': 's2', 'tags': {'x': 'y'}},
            {'metric': 'c', 'value': 1}]})
        assert isinstance(event, TelemetryReceived)
        assert event.session_id == 's1'
        assert [point.tags for point in event.points] == [
            {'session_id': 's0'}, {'session_id': 's2', 'x': 'y'}, {'session_id': 's1'}]

    @pytest.mark.parametrize('wrong', [7, 's' * 257])
    def test_a_session_that_is_none_is_told(self, wrong: object):
        session = live_session()
        receive(session, {**telemetry(1), 'session_id': wrong})
        [error] = sent(session)
        assert (error['code'], error['seq']) == ('INVALID_MESSAGE', 1)


class TestDeclaredCommands:

    DECLARATION = {'name': 'tare', 'params': {}, 'danger': 'normal', 'idempotent': True,
                   'expires_in_s': 30.0, 'concurrency': 'accept'}

    def let_in(self, receives: bool = True, **hello: object) -> GatewaySession:
        session = GatewaySession(0.0)
        receive(session, {**HELLO, **hello})
        session.accept(WALL_MS, receives_commands=receives)
        return session

    def test_they_are_read(self):
        session = self.let_in(protocol=1, commands=[self.DECLARATION])
        assert list(session.declared.commands) == ['tare']
        assert len(sent(session)) == 1

    def test_each_bad_one_is_told_after_authenticated_and_the_others_stay(self):
        session = self.let_in(protocol=1, commands=[
            self.DECLARATION, {'name': 'Bad'}, {'name': 'old', 'params': []}])
        first, *errors = sent(session)
        assert first['type'] == 'authenticated'
        assert [error['code'] for error in errors] == ['invalid_command'] * 2
        assert errors[0]['detail'].startswith('commands[1]: name')
        assert errors[1]['detail'].startswith('commands[2]: old: params')
        assert list(session.declared.commands) == ['tare']

    def test_a_key_that_may_not_receive_commands(self):
        session = self.let_in(False, protocol=1, commands=[self.DECLARATION])
        _, error = sent(session)
        assert error['code'] == 'commands_not_permitted'
        assert session.declared.commands == {}
        assert len(sent(self.let_in(False))) == 1, 'who declares none hears nothing'

    def test_the_names_that_old_sdks_tell_are_kept(self):
        session = self.let_in(commands=[{'name': 'tare', 'params': ['cell']}, 7])
        assert len(sent(session)) == 1
        assert session.declared.legacy == ({'name': 'tare', 'params': ['cell']},)

    def test_results_may_be_declined(self):
        session = GatewaySession(0.0)
        receive(session, HELLO)
        session.accept(WALL_MS, store_results=False)
        assert sent(session)[0]['store_results'] is False


class TestTime:

    def test_device_auth_must_come_in_time(self):
        session = GatewaySession(100.0)
        assert session.deadline() == 100.0 + AUTH_TIMEOUT_S
        session.tick(109.9)
        assert not session.closed
        session.tick(110.0)
        error, close = sent(session)
        assert 'device_auth' in error['detail']
        assert close.code == 1008
        assert session.deadline() is None

    def test_a_ping_answered_before_device_auth_buys_no_time(self):
        session = GatewaySession(0.0)
        session.heard(9.0)
        assert session.deadline() == AUTH_TIMEOUT_S

    @pytest.mark.parametrize('sign', [
        lambda session, now: receive(session, {'type': 'heartbeat'}, now),
        lambda session, now: receive(session, b'rubbish', now),
        lambda session, now: session.heard(now),
    ])
    def test_any_sign_of_life_keeps_the_connection(self, sign: Any):
        session = live_session()
        sign(session, 50.0)
        assert session.deadline() == 50.0 + SILENCE_TIMEOUT_S
        session.tick(139.9)
        assert not session.closed
        session.messages_to_send()
        session.tick(140.0)
        [close] = sent(session)
        assert close.code == CloseCode.GOING_AWAY


    def test_a_heartbeat_that_asks_for_the_time_is_answered_and_no_other(self):
        session = live_session()
        session.messages_to_send()
        receive(session, {'type': 'heartbeat', 'source_id': 'kiln-7'})
        assert sent(session) == []
        receive(session, {'type': 'heartbeat', 'source_id': 'kiln-7', 'wants_time': True})
        assert sent(session) == [{'type': 'heartbeat_ack', 'server_time_ms': WALL_MS}]


class TestVerdicts:

    def test_a_frame_is_acknowledged_once_it_is_stored(self):
        session = live_session()
        first = ticket(session, 1)
        assert sent(session) == []
        session.stored(first)
        assert sent(session) == [ack(1)]

    def test_a_later_frame_waits_for_the_one_before(self):
        session = live_session()
        first, second = ticket(session, 1), ticket(session, 2)
        session.stored(second)
        assert sent(session) == []
        session.stored(first)
        assert sent(session) == [ack(2)]

    def test_acks_that_were_not_sent_yet_become_one(self):
        session = live_session()
        for seq in (1, 2, 3):
            session.stored(ticket(session, seq))
        assert sent(session) == [ack(3)]
        session.stored(ticket(session, 4))
        assert sent(session) == [ack(4)]

    def test_an_ack_is_not_moved_past_another_message(self):
        session = live_session()
        session.stored(ticket(session, 1))
        session.send({'type': 'command_run'})
        session.stored(ticket(session, 2))
        assert sent(session) == [ack(1), {'type': 'command_run'}, ack(2)]

    def test_errors_keep_their_place_between_acks(self):
        session = live_session()
        tickets = [ticket(session, seq) for seq in (1, 2, 3)]
        session.stored(tickets[2])
        session.discarded(tickets[1], 'RATE_LIMITED', 'too many')
        session.stored(tickets[0])
        first, error, third = sent(session)
        assert (first, third) == (ack(1), ack(3))
        assert (error['code'], error['detail'], error['seq']) == ('RATE_LIMITED', 'too many', 2)

    def test_an_invalid_frame_is_answered_after_the_frames_before_it(self):
        session = live_session()
        first = ticket(session, 1)
        [event] = receive(session, telemetry(2) | {
            'points': [{'metric': 'a', 'value': 1}, {'metric': 'b', 'value': 'text',
                                                     'class': 'metric'}]})
        assert isinstance(event, InvalidReceived)
        assert sent(session) == []
        session.stored(first)
        acked, error = sent(session)
        assert acked == ack(1)
        assert (error['code'], error['seq']) == ('INVALID_MESSAGE', 2)
        assert error['detail'].startswith('points[1].')

    @pytest.mark.parametrize('verdict', ['stored', 'discarded'])
    def test_a_verdict_is_given_once(self, verdict: str):
        session = live_session()
        frame = ticket(session, 1)
        ticket(session, 2)
        session.stored(frame)
        with pytest.raises(LocalProtocolError):
            session.stored(frame) if verdict == 'stored' else session.discarded(frame, 'X', '')

    def test_without_acks_only_errors_are_told_and_without_a_number(self):
        session = live_session(acks=False)
        session.stored(ticket(session, None))
        assert sent(session) == []
        session.discarded(ticket(session, 7), 'SOURCE_LIMIT', 'too much')
        [error] = sent(session)
        assert error['code'] == 'SOURCE_LIMIT'
        assert 'seq' not in error

    @settings(deadline=None)
    @given(st.permutations(range(6)), st.lists(st.booleans(), min_size=6, max_size=6))
    def test_whatever_the_order_of_verdicts_answers_come_in_order(
            self, order: list[int], kept: list[bool]):
        session = live_session()
        tickets = [ticket(session, seq) for seq in range(1, 7)]
        answers: list[Any] = []
        decided: set[int] = set()
        for index in order:
            if kept[index]:
                session.stored(tickets[index])
            else:
                session.discarded(tickets[index], 'X', '')
            decided.add(index)
            answers += sent(session)
            settled = next(i for i in range(7) if i not in decided)
            assert (answers[-1]['seq'] if answers else 0) == settled
        assert [answer['seq'] for answer in answers] == sorted(a['seq'] for a in answers)
        refused = [answer['seq'] for answer in answers if answer['type'] == 'error']
        assert refused == [seq for seq in range(1, 7) if not kept[seq - 1]]


class TestStorageFailure:

    def test_nothing_is_released_and_the_device_is_sent_away_for_a_while(self):
        session = live_session()
        first, second = ticket(session, 1), ticket(session, 2)
        session.stored(second)
        session.storage_failed('disk full')
        error, close = sent(session)
        assert (error['code'], error['detail']) == ('REDIS_UNAVAILABLE', 'disk full')
        assert 'seq' not in error
        assert close.code == CloseCode.TRY_AGAIN_LATER
        session.stored(first)
        session.storage_failed('again')
        assert sent(session) == []


class TestMessages:

    def test_points_are_those_of_the_message(self):
        session = live_session()
        [event] = receive(session, {
            'type': 'telemetry', 'seq': 1, 'session_id': 'test-001',
            'points': [{'metric': 'a', 'value': 1, 'timestamp': 1_789_000_000_000},
                       {'metric': 'door', 'value': 'open'}]})
        assert isinstance(event, TelemetryReceived)
        assert event.session_id == 'test-001'
        assert [(point.point_class, point.timestamp_ms) for point in event.points] == [
            ('metric', 1_789_000_000_000), ('event', WALL_MS)]

    @pytest.mark.parametrize('seq', [None, 0, -1, True, '1', 1.5])
    def test_a_frame_without_a_number_is_refused_where_acks_are_on(self, seq: object):
        session = live_session()
        [event] = receive(session, telemetry(seq))
        assert isinstance(event, InvalidReceived)
        [error] = sent(session)
        assert error['code'] == 'INVALID_MESSAGE'
        assert 'seq' not in error

    def test_broken_json_is_answered_with_the_number_that_its_text_tells(self):
        session = live_session()
        first = ticket(session, 1)
        receive(session, b'{"type":"telemetry","seq":2,"points":[{"metric":')
        assert sent(session) == []
        session.stored(first)
        acked, error = sent(session)
        assert acked == ack(1)
        assert (error['code'], error['seq']) == ('INVALID_JSON', 2)
        session.stored(ticket(session, 3))
        assert sent(session) == [ack(3)]

    @pytest.mark.parametrize('broken', [
        b'{"type":"telemetry","points":[{"metric":"a"',
        b'{"type":"command_status","run_id":"r-1","seq":900,',
        b'{"type":"telemetry","seq":1,',
        b'{"type":"telemetry","seq":12345678901234567890123,',
    ])
    def test_a_number_that_is_not_the_next_one_is_not_believed(self, broken: bytes):
        session = live_session()
        session.stored(ticket(session, 1))
        session.messages_to_send()
        receive(session, broken)
        [error] = sent(session)
        assert error['code'] == 'INVALID_JSON'
        assert 'seq' not in error

    @pytest.mark.parametrize('kind', ['command_status', 'pong', 'output', 'device_error'])
    def test_other_messages_of_devices_are_handed_on(self, kind: str):
        session = live_session()
        body = {'type': kind, 'extra': [1, {'a': None}]}
        assert receive(session, body) == [MessageReceived(kind, body)]
        assert sent(session) == []

    def test_video_and_heartbeats_are_handed_on(self):
        session = live_session()
        [binary] = session.receive(Binary(BINARY_FRAME), 1.0, WALL_MS)
        assert binary == VideoReceived(
            Picture('rig.1', 'front', 0, 0, 1_700_000_000_000, BINARY_FRAME[29:]))
        [text] = receive(session, {
            'type': 'video_frame', 'source_id': 'other', 'camera_id': 'rear', 'frame': '/9j/2Q==',
            'width': 8, 'height': 6, 'timestamp': 5, 'v': 1, 'trace_id': 'x'})
        assert text == VideoReceived(Picture('other', 'rear', 8, 6, 5, b'\xff\xd8\xff\xd9'))
        assert receive(session, {'type': 'heartbeat'}) == [HeartbeatReceived()]
        assert receive(session, {'type': 'heartbeat', 'uptime_s': 7.5}) == [HeartbeatReceived(7.5)]
        assert sent(session) == []

    def test_a_binary_frame_that_cannot_be_read_is_dropped_in_silence(self):
        session = live_session()
        for frame in (b'', b'\x02' + BINARY_FRAME[1:], BINARY_FRAME[:20], BINARY_FRAME[:29]):
            [event] = session.receive(Binary(frame), 1.0, WALL_MS)
            assert isinstance(event, InvalidReceived)
        assert sent(session) == []

    @pytest.mark.parametrize(('message', 'code'), [
        (b'{"type":"video_frame","camera_id":"a"}', 'INVALID_MESSAGE'),
        (b'{"type":"video_frame","camera_id":"a","frame":"!"}', 'INVALID_MESSAGE'),
        (b'{"type":"video_frame","camera_id":"\xff","frame":""}', 'INVALID_FRAME_ENCODING'),
        (b'{"type":"video_frame","camera_id":"a"', 'INVALID_JSON'),
        (b'{"type":"heartbeat","x":"\xff"}', 'INVALID_JSON')])
    def test_a_text_frame_that_cannot_be_read_is_told(self, message: bytes, code: str):
        session = live_session()
        receive(session, message)
        [error] = sent(session)
        assert error['code'] == code
        assert session.live

    def test_an_unknown_type_is_told(self):
        session = live_session()
        receive(session, {'type': 'telemetrie'})
        [error] = sent(session)
        assert error['code'] == 'INVALID_MESSAGE'
        assert 'telemetrie' in error['detail']
        assert session.live

    def test_an_oversized_message_closes(self):
        session = live_session()
        session.receive(Text(b' ' * MAX_MESSAGE_BYTES), 0.0, WALL_MS)
        assert session.live
        session.messages_to_send()
        session.receive(Text(b' ' * (MAX_MESSAGE_BYTES + 1)), 0.0, WALL_MS)
        [close] = sent(session)
        assert close.code == CloseCode.TOO_BIG

    @settings(deadline=None)
    @given(st.one_of(st.binary(max_size=200), st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8)
        | st.sampled_from(['telemetry', 'points', 'seq', 'type', 'metric', 'value', 'tags']),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
            st.sampled_from(['type', 'seq', 'points', 'metric', 'value', 'timestamp', 'tags']),
            inner, max_size=5), max_leaves=12)))
    def test_rubbish_is_answered_and_never_raises(self, rubbish: object):
        session = live_session()
        body = rubbish if isinstance(rubbish, bytes) else encoding.standard_dumps(
            rubbish) if _is_json(rubbish) else b'{"type":"telemetry","seq":NaN}'
        [event] = session.receive(Text(body), 1.0, WALL_MS)
        assert session.live
        assert isinstance(event, InvalidReceived) == bool(sent(session))


def _is_json(value: object) -> bool:
    try:
        encoding.standard_dumps(value)
    except (ValueError, TypeError):
        return False
    return True


class TestCongestion:

    def test_frames_without_a_verdict(self):
        session = live_session()
        tickets = [ticket(session, seq) for seq in range(1, MAX_UNDECIDED_FRAMES + 1)]
        assert session.congested
        session.stored(tickets[0])
        assert not session.congested

    def test_points_without_a_verdict(self):
        session = live_session()
        half = [float(index) for index in range(MAX_UNDECIDED_POINTS // 2)]
        first = ticket(session, 1, *half)
        assert not session.congested
        second = ticket(session, 2, *half)
        assert session.congested
        session.discarded(second, 'X', '')
        assert session.congested, 'its points are still held behind the first frame'
        session.stored(first)
        assert not session.congested

    def test_answers_that_nobody_reads(self):
        session = live_session()
        for _ in range(MAX_UNSENT_MESSAGES):
            assert not session.congested
            receive(session, b'rubbish')
        assert session.congested
        session.messages_to_send()
        assert not session.congested


class TestTheEnd:

    def test_the_device_closes(self):
        session = live_session()
        message: Message = Close(1000, 'bye')
        assert session.receive(message, 1.0, WALL_MS) == [DeviceLeft(1000)]
        assert [close.code for close in sent(session)] == [1000]
        assert session.deadline() is None

    def test_goodbye_is_said_to_who_hears_it(self):
        session = live_session()
        frame = ticket(session, 1)
        session.stored(frame)
        session.goodbye('restarting')
        assert sent(session) == [ack(1), Close(1001, 'restarting')]
        session.goodbye('again')
        assert sent(session) == []

    def test_goodbye_is_not_said_to_who_would_go_on_writing(self):
        session = live_session(hears_goodbye=False)
        session.goodbye('restarting')
        assert sent(session) == []
        assert session.closed

    def test_goodbye_before_device_auth(self):
        session = GatewaySession(0.0)
        session.goodbye('restarting')
        assert sent(session) == [Close(1001, 'restarting')]

    def test_a_close_reason_fits_its_frame(self):
        session = live_session()
        session.goodbye('ä' * 100)
        [close] = sent(session)
        assert len(close.reason.encode()) <= 123

    def test_verdicts_after_the_end_are_ignored(self):
        session = live_session()
        frame = ticket(session, 1)
        session.goodbye('restarting')
        session.messages_to_send()
        session.stored(frame)
        session.send({'type': 'command_run'})
        assert sent(session) == []

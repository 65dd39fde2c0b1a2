# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The device socket of a server on a thread, met by websocket-client, as the official SDK does."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import json
import sqlite3
import time
from typing import Any

from commanded_device import HELLO
import pytest
import websocket

from plexus_bridge.gateway import device_socket
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.protocol.gateway import MAX_UNDECIDED_FRAMES

NOW_MS = 1_790_000_000_000


def first_answer(client: Any, **hello: object) -> dict[str, Any]:
    """Return what a device hears whose introduction has these fields; the socket is closed."""
    with contextlib.closing(client.stranger()) as socket:
        socket.send({'type': 'device_auth', 'api_key': client.key, 'source_id': 'kiln-7', **hello})
        answer: dict[str, Any] = socket.receive()
        assert socket.receive() == {'close': 1008}
    return answer


class TestOpening:

    def test_authenticated_comes_first(self, device: Callable[..., Any]):
        before = wall_ms()
        answer = device('kiln-7').authenticated
        assert before <= answer.pop('server_time_ms') <= wall_ms()
        assert answer == {'type': 'authenticated', 'source_id': 'kiln-7', 'protocol': 1,
                          'max_frame_bytes': 1_048_576, 'acks': True}

    @pytest.mark.parametrize(('hello', 'text'), [
        ({'api_key': 'plx_' + 'a' * 32}, 'Invalid API key'), ({'api_key': ''}, 'Invalid API key'),
        ({'api_key': None}, 'Invalid API key'), ({'source_id': 'No Slug'}, 'No Slug'),
        ({'type': 'telemetry'}, 'device_auth')])
    def test_who_may_not_in_is_told_why(self, client: Any, hello: Any, text: str):
        answer = first_answer(client, **hello)
        assert answer['type'] == 'error'
        assert text in answer['detail']
        assert client.get('/v1/sources') == {'devices': []}

    def test_a_key_without_the_scope(self, client: Any, gateway: Gateway):
        gateway.store._connection.execute("UPDATE api_key SET scopes = 'read'")
        gateway.keys = type(gateway.keys)(gateway.store._connection)
        assert 'write scope' in first_answer(client)['detail']

    def test_no_compression_and_no_subprotocol_whatever_is_offered(self, client: Any):
        socket = websocket.create_connection(
            f'ws://127.0.0.1:{client.port}/ws/device', origin='https://example.org',
            header={'Sec-WebSocket-Extensions': 'permessage-deflate'})
        assert 'sec-websocket-extensions' not in socket.getheaders()
        assert 'sec-websocket-protocol' not in socket.getheaders()
        socket.shutdown()

    def test_refused_before_the_upgrade_when_nothing_can_be_stored(
            self, client: Any, gateway: Gateway):
        gateway.store._writer.failure = 'disk full'
        with pytest.raises(websocket.WebSocketBadStatusException) as error:
            client.device()
        assert error.value.status_code == 503
        assert 'disk full' in str(error.value.resp_body)

    def test_of_more_strangers_than_there_is_memory_for_the_oldest_goes_and_robots_are_let_in(
            self, client: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch,
            wait_until: Callable[..., None]):
        monkeypatch.setattr(device_socket, 'MAX_STRANGERS', 2)
        robots = [client.device()]  # let in, and so no stranger
        strangers = []
        for count in (1, 2):
            strangers.append(client.stranger())
            wait_until(lambda count=count: len(gateway.strangers) == count, f'{count} wait')
        robots.append(client.device('kiln-8'))
        assert strangers[0].ends()
        assert gateway.store.counters['sockets_turned_away'] == 1
        robots.append(client.device('kiln-9'))
        assert len(gateway.strangers) == 1  # the second has as long as anybody
        for socket in (strangers[1], *robots):
            socket.close()
        wait_until(lambda: not gateway.strangers, 'all are forgotten')


class TestTelemetry:

    def test_acknowledged_frames_can_be_read(self, client: Any, device: Callable[..., Any]):
        kiln = device('kiln-7')
        for seq in range(1, 20):
            kiln.telemetry(seq, ('zone1.temp_c', seq + 0.5, NOW_MS + seq))
            assert kiln.receive() == {'type': 'telemetry_ack', 'seq': seq}
            assert client.samples('kiln-7', 'zone1.temp_c')[-1] == (NOW_MS + seq, seq + 0.5)

    def test_answers_come_in_order(self, device: Callable[..., Any]):
        kiln = device('kiln-7')
        for seq in range(1, 101):
            kiln.telemetry(seq, ('t', 'text' if seq % 10 == 0 else seq, NOW_MS + seq))
            if seq % 10 == 0:
                kiln.send({'type': 'heartbeat'})
        # A text of class metric is refused; above its class is inferred, so it is an event.
        kiln.send({'type': 'telemetry', 'seq': 101, 'points': [
            {'class': 'metric', 'metric': 't', 'value': 'text'}]})
        kiln.send('{"type":"telemetry","seq":102,"points":[')
        kiln.telemetry(103, ('t', 1, NOW_MS))
        answers: list[tuple[str, int]] = []
        while not answers or answers[-1][1] < 103:
            answer = kiln.receive()
            answers.append((answer.get('code', answer['type']), answer['seq']))
        assert [seq for _, seq in answers] == sorted(seq for _, seq in answers)
        assert answers[-4:] == [('telemetry_ack', 100), ('INVALID_MESSAGE', 101),
                                ('INVALID_JSON', 102), ('telemetry_ack', 103)]

    def test_a_name_that_is_no_text_is_refused_and_the_rest_stored(
            self, client: Any, device: Callable[..., Any]):
        kiln = device('kiln-7')
        kiln.send('{"type":"telemetry","seq":1,"points":[{"metric":"a\\ud800","value":1}]}')
        kiln.telemetry(2, ('t', 1, NOW_MS))
        error, ack = kiln.receive(), kiln.receive()
        assert (error['type'], error['seq']) == ('error', 1)
        assert ack == {'type': 'telemetry_ack', 'seq': 2}
        assert client.get('/v1/sources/kiln-7/metrics') == ['t']

    def test_without_acks_frames_are_stored_all_the_same(
            self, client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
        agent = device('agent-1', acks=False)
        assert 'acks' not in agent.authenticated
        agent.telemetry(None, ('accel_x', 0.12, NOW_MS))
        wait_for(lambda: client.get('/v1/sources/agent-1/metrics') == ['accel_x'], 'it is stored')

    def test_the_slug_of_device_auth_counts(self, client: Any, device: Callable[..., Any]):
        kiln = device('kiln-7')
        kiln.send({'type': 'telemetry', 'seq': 1, 'source_id': 'other', 'points': [
            {'metric': 't', 'value': 1, 'source_id': 'other'}]})
        assert kiln.receive() == {'type': 'telemetry_ack', 'seq': 1}
        assert [each['source_id'] for each in client.get('/v1/sources')['devices']] == ['kiln-7']

    def test_the_longest_message_is_taken_and_a_longer_one_closes(
            self, device: Callable[..., Any]):
        kiln = device('kiln-7')
        points = [{'metric': 't', 'value': 1}]
        frame = json.dumps({'type': 'telemetry', 'seq': 1, 'points': points})
        kiln.send(frame.ljust(1024 * 1024))
        assert kiln.receive() == {'type': 'telemetry_ack', 'seq': 1}
        kiln.send(frame.ljust(1024 * 1024 + 1))
        assert kiln.receive() == {'close': 1009}

    def test_a_message_far_too_long_is_not_read_to_its_end(self, device: Callable[..., Any]):
        kiln = device('kiln-7')
        # Announces 200 MiB, and sends as much of them as is taken.
        kiln.socket.sock.sendall(b'\x81\xff' + (200 * 1024 * 1024).to_bytes(8, 'big') + b'mask')
        assert kiln.receive() == {'close': 1009}
        assert device('kiln-7').authenticated

    def test_video_and_unknown_messages(self, device: Callable[..., Any]):
        kiln = device('kiln-7')
        kiln.socket.send_binary(b'\xff\xd8\xff\xd9')
        kiln.send({'type': 'telemetrie'})
        assert kiln.receive()['code'] == 'INVALID_MESSAGE'

    def test_several_devices_at_once(self, client: Any, device: Callable[..., Any]):
        kilns = [device(f'kiln-{index}') for index in range(8)]
        for seq in range(1, 11):
            for kiln in kilns:
                kiln.telemetry(seq, ('t', seq, NOW_MS + seq))
        for index, kiln in enumerate(kilns):
            while kiln.receive()['seq'] < 10:
                pass
            assert len(client.samples(f'kiln-{index}', 't')) == 10
        counters = client.get('/v1/gateway')['counters']
        assert (counters['socket_frames'], counters['socket_points']) == (80, 80)


class TestBackPressure:

    def test_a_device_that_does_not_wait_is_not_read_any_more(
            self, client: Any, gateway: Gateway, device: Callable[..., Any],
            wait_for: Callable[..., None], tmp_path: Any):
        kiln = device('kiln-7')
        blocker = sqlite3.connect(tmp_path / 'gateway.db', isolation_level=None)
        blocker.execute('BEGIN IMMEDIATE')  # the writer waits: nothing is decided
        for seq in range(1, 301):
            kiln.telemetry(seq, ('t', seq, NOW_MS + seq))
        wait_for(lambda: gateway.store.counters['socket_frames'] >= MAX_UNDECIDED_FRAMES,
                 'as much has been read as may be')
        for _ in range(30):
            client.get('/health')  # the server's loop has turned many times since
        assert gateway.store.counters['socket_frames'] == MAX_UNDECIDED_FRAMES
        blocker.execute('COMMIT')
        blocker.close()
        while kiln.receive()['seq'] < 300:
            pass
        assert len(client.samples('kiln-7', 't')) == 300


class TestTheEnd:

    def test_the_newer_socket_of_a_source_wins(
            self, client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
        older, other = device('kiln-7'), device('kiln-8')
        newer = device('kiln-7')
        assert older.ends(), 'dropped without a close frame'
        newer.telemetry(1, ('t', 1, NOW_MS))
        other.telemetry(1, ('t', 1, NOW_MS))
        assert newer.receive() == other.receive() == {'type': 'telemetry_ack', 'seq': 1}
        older.close()
        assert client.get('/v1/sources/kiln-7')['online']
        newer.close()
        wait_for(lambda: not client.get('/v1/sources/kiln-7')['online'], 'the device is gone')

    def test_a_close_is_answered_at_once(self, device: Callable[..., Any]):
        kiln = device('kiln-7')
        kiln.socket.send_close(1000, b'bye')
        begin = time.monotonic()
        assert kiln.receive() == {'close': 1000}
        assert time.monotonic() - begin < 1

    def test_a_storage_failure_releases_nothing(
            self, client: Any, gateway: Gateway, device: Callable[..., Any],
            wait_for: Callable[..., None]):
        kiln = device('kiln-7')
        kiln.telemetry(1, ('t', 1, NOW_MS))
        assert kiln.receive() == {'type': 'telemetry_ack', 'seq': 1}
        connection = gateway.store._connection
        [pages] = connection.execute('PRAGMA page_count').fetchone()
        connection.execute(f'PRAGMA max_page_count = {pages}')
        points = [('u', index, NOW_MS + index) for index in range(5_000)]
        for seq in (2, 3):
            kiln.telemetry(seq, *points)
        error = kiln.receive()
        assert error['code'] == 'REDIS_UNAVAILABLE'
        assert 'seq' not in error
        assert kiln.receive() == {'close': 1013}
        # What was not acknowledged is sent again once the store works again.
        connection.execute('PRAGMA max_page_count = 1000000')
        wait_for(lambda: gateway.store.failure is None, 'the store works again')
        again = device('kiln-7')
        for seq in (1, 2):
            again.telemetry(seq, *points)
        while again.receive()['seq'] < 2:
            pass
        assert len(client.samples('kiln-7', 'u')) == 5_000

    def test_a_device_that_vanishes(
            self, client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
        kiln = device('kiln-7')
        kiln.telemetry(1, ('t', 1, NOW_MS))
        kiln.close()
        gone = {'source_id': 'kiln-7', 'online': False, 'last_seen_ms': NOW_MS}
        wait_for(lambda: client.get('/v1/sources') == {'devices': [gone]}, 'the device is gone')
        assert client.samples('kiln-7', 't') == [(NOW_MS, 1)]

    def test_the_last_words_of_a_device_are_heard(
            self, client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
        """It says how its runs ended and closes, while answers to it are still on their way."""
        for _ in range(20):
            kiln = device('kiln-7', **HELLO)
            run = client.post('/v1/sources/kiln-7/command-runs', {'command': 'once'}).json()['run']
            kiln.receive()
            words = [{'type': 'command_status', 'run_id': run['run_id'], 'seq': seq,
                      'state': 'failed' if seq == 40 else 'progress'} for seq in range(1, 41)]
            frames = [websocket.ABNF.create_frame(json.dumps(word), websocket.ABNF.OPCODE_TEXT)
                      for word in words]
            frames.append(websocket.ABNF.create_frame(b'\x03\xe8', websocket.ABNF.OPCODE_CLOSE))
            kiln.socket.sock.sendall(b''.join(frame.format() for frame in frames))
            path = f'/v1/sources/kiln-7/command-runs/{run["run_id"]}'
            wait_for(lambda path=path: client.get(path)['run']['state'] == 'failed',
                     'the last word has come', 5.0)


def test_two_devices_of_one_name_are_told_of_once(
        client: Any, device: Callable[..., Any], caplog: pytest.LogCaptureFixture):
    for _ in range(4):
        device('kiln-7')
    assert caplog.text.count('push each other out') == 1
    assert client.get('/v1/gateway')['counters']['devices_displaced'] == 3


@pytest.mark.parametrize('path', [
    '/ws/device', '/v1/sources/kiln-7/metrics/stream', '/v1/sources/kiln-7/operate'])
def test_a_stranger_cannot_fill_the_memory(client: Any, path: str):
    stranger = client.stranger(path)
    # Announces a first message of 600 kB; a device that was let in may send as much.
    stranger.socket.sock.sendall(b'\x81\xff' + (600_000).to_bytes(8, 'big') + b'mask')
    assert stranger.receive() == {'close': 1009}
    stranger.close()


def test_a_device_may_introduce_itself_at_length(device: Callable[..., Any]):
    kiln = device('kiln-7', sensors=['x' * 400_000])
    assert kiln.authenticated['type'] == 'authenticated'

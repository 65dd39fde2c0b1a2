# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever comes over the sockets: answered, refused or closed, never an exception."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import json
import logging
import random
from typing import Any

from commanded_device import HELLO
import pytest
import websocket

# Every name that means something in some message of a device, an operator or an agent.
KEYS = ('type', 'seq', 'points', 'session_id', 'session_name', 'run_id', 'state', 'progress',
        'message', 'result', 'error_code', 'error_message', 'runs', 'id', 'event', 'command',
        'params', 'error', 'source', 'severity', 'timestamp', 'camera_id', 'frame', 'width',
        'video_type', 'temps', 'sensor_width', 'uptime_s', 'source_id', 'metric', 'value', 'tags',
        'class', 'confirm', 'ttl_ms', 'on', 't', 'api_key', 'commands', 'lease', 'data', 'code')
KINDS = ('telemetry', 'heartbeat', 'video_frame', 'command_status', 'command_sync',
         'command_result', 'device_error', 'pong', 'output', 'session_started',
         'session_stopped', 'command_ack', 'device_auth', 'handshake', 'command', 'on_close',
         'watch', 'ping', 'auth', 'nonsense')
ODD = (None, True, False, 0, -1, 1, 2**63, 2**70, -2**64, 1e308, -0.0, '', 'a', 'x' * 300,
       'ä' * 90, '\ud800', '\x00', 'drive', 'release', 'succeeded', 'progress', '/9j/2Q==', [],
       {}, [[]], [{}])
STATES = ('acknowledged', 'running', 'progress', 'failed', 'ack', 'result')
RAW = ('{"type":"telemetry","seq":1,"points":[', '{"type":"telemetry","points":[{"value":NaN}]}',
       '[' * 2_000, '{"a":' * 2_000, '', 'null', '"text"', '7', '{"type":7}',
       '{"type":"' + 'x' * 99)
ROUNDS = 400


def odd_value(dice: random.Random, depth: int = 0) -> Any:
    if depth < 3 and dice.random() < 0.3:
        if dice.random() < 0.5:
            return [odd_value(dice, depth + 1) for _ in range(dice.randrange(3))]
        return {dice.choice(KEYS): odd_value(dice, depth + 1) for _ in range(dice.randrange(4))}
    return dice.choice(ODD)


def odd_message(dice: random.Random, run_ids: Sequence[str] = ()) -> str | bytes:
    """Return something to send: mostly objects that are nearly right."""
    chance = dice.random()
    if chance < 0.1:
        return dice.choice(RAW)
    if chance < 0.2:
        return dice.randbytes(dice.randrange(60))
    body = {dice.choice(KEYS): odd_value(dice) for _ in range(dice.randrange(6))}
    if dice.random() < 0.9:
        body['type'] = dice.choice(KINDS)
    if run_ids and dice.random() < 0.5:
        # About something that is there, with numbers and states that are mostly right.
        body |= {'run_id': dice.choice(run_ids), 'id': dice.choice(run_ids),
                 'seq': dice.randrange(9), 'state': dice.choice(STATES),
                 'event': dice.choice(STATES)}
        body[dice.choice(KEYS)] = odd_value(dice)
    return json.dumps(body)


def send(socket: Any, message: str | bytes, dice: random.Random) -> None:
    if isinstance(message, bytes):
        # Bytes also go as text, which they mostly are not.
        opcode = websocket.ABNF.OPCODE_TEXT if dice.random() < 0.5 else (
            websocket.ABNF.OPCODE_BINARY)
        socket.send(message, opcode)
    else:
        socket.send(message.encode(errors='surrogatepass'), websocket.ABNF.OPCODE_TEXT)


def drain(socket: Any) -> None:
    """Read what has been answered, so that nobody stops sending."""
    socket.settimeout(0.001)
    try:
        while True:
            opcode, _ = socket.recv_data()
            assert opcode != websocket.ABNF.OPCODE_CLOSE
    except websocket.WebSocketTimeoutException:
        socket.settimeout(20)


@pytest.mark.parametrize('seed', range(3))
def test_nothing_that_a_device_sends_raises(
        client: Any, device: Callable[..., Any], seed: int, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    dice = random.Random(seed)
    kiln = device('kiln-7', **HELLO)
    run_ids = [client.post(f'/v1/sources/kiln-7/{path}', {'command': 'once'}).json()
               for path in ('command-runs', 'command-runs', 'commands', 'commands')]
    run_ids = [told.get('run', told)['run_id'] for told in run_ids]
    for number in range(ROUNDS):
        send(kiln.socket, odd_message(dice, run_ids), dice)
        if number % 50 == 0:
            drain(kiln.socket)
    # The connection still lives, and so does everything behind it.
    kiln.send({'type': 'telemetry', 'seq': 10_000, 'points': [{'metric': 'alive', 'value': 1}]})
    while (answer := kiln.receive()).get('seq') != 10_000:
        assert 'close' not in answer
    assert answer == {'type': 'telemetry_ack', 'seq': 10_000}
    assert client.get('/v1/sources/kiln-7/metrics/latest')['metrics']['alive'] == 1
    for path in ('commands', 'device', 'events', *(f'command-runs/{each}' for each in run_ids)):
        client.get(f'/v1/sources/kiln-7/{path}')
    runs = client.get('/v1/sources/kiln-7/command-runs')['runs']
    assert {run['run_id'] for run in runs} == set(run_ids)
    assert any(run['state'] != 'sent' for run in runs), 'some of it was taken seriously'
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize('seed', range(2))
def test_nothing_that_an_operator_sends_raises(
        client: Any, device: Callable[..., Any], stream: Callable[..., Any], seed: int,
        caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    dice = random.Random(seed)
    device('kiln-7', **HELLO)
    person = stream('/v1/sources/kiln-7/operate')
    for number in range(ROUNDS):
        send(person.socket, odd_message(dice), dice)
        if number % 50 == 0:
            drain(person.socket)
    person.send({'type': 'ping', 't': 'the end'})
    while person.receive() != {'type': 'pong', 't': 'the end'}:
        pass
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize('path', ['/ws/device', '/party/x', '/v1/sources/kiln-7/operate',
                                  '/v1/sources/kiln-7/metrics/stream'])
def test_no_first_message_raises(
        client: Any, path: str, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    dice = random.Random(path)
    for _ in range(60):
        stranger = client.stranger(path)
        send(stranger.socket, odd_message(dice), dice)
        answer = stranger.receive()
        if 'close' not in answer:
            assert answer['type'] == 'error'
            answer = stranger.receive()
        assert answer['close'] in (1008, 4401)
        stranger.close()
    assert [record.getMessage() for record in caplog.records] == []

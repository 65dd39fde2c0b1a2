# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The operator's socket: commands at a joystick's rate, and what is released when it ends."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from commanded_device import finish
from commanded_device import HELLO
from commanded_device import status
import pytest

from plexus_bridge.gateway.access.keys import read_entries
from plexus_bridge.gateway.commands import runs

OPERATE = '/v1/sources/kiln-7/operate'


@pytest.fixture
def robot(device: Callable[..., Any]) -> Any:
    return device('kiln-7', **HELLO)


@pytest.fixture
def operator(client: Any, stream: Callable[..., Any]) -> Callable[..., Any]:
    """Open an operator's socket that was let in."""

    def open_operator(**auth: object) -> Any:
        socket = stream(OPERATE, auth={'type': 'auth', 'api_key': client.key, **auth})
        socket.ready = socket.receive()
        assert socket.ready['type'] == 'ready'
        return socket

    return open_operator


def drive(operator: Any, robot: Any, number: int, **params: object) -> dict[str, Any]:
    """Send one drive command and return what the robot is sent."""
    operator.send({'type': 'command', 'id': number, 'command': 'drive',
                   'params': {'linear_x': 0.5, **params}, 'ttl_ms': 300})
    accepted = operator.receive()
    assert (accepted['type'], accepted['id']) == ('accepted', number), accepted
    run: dict[str, Any] = robot.receive()
    assert run['run_id'] == accepted['run_id']
    return run


def told(operator: Any, state: str) -> dict[str, Any]:
    """Return the next status of this state."""
    while (message := operator.receive()).get('state') != state:
        assert message['type'] == 'command_status', message
    answer: dict[str, Any] = message
    return answer


class TestOpening:

    def test_the_operator_hears_what_the_device_can_do(
            self, robot: Any, operator: Callable[..., Any]):
        ready = operator().ready
        assert (ready['online'], [each['name'] for each in ready['commands']]) == (
            True, [each['name'] for each in HELLO['commands']])

    @pytest.mark.parametrize('auth', [
        {'type': 'auth', 'api_key': 'plx_wrong'}, {'type': 'auth'}, {'type': 'command'}, [],
        'rubbish'])
    def test_who_is_not_let_in(self, stream: Callable[..., Any], auth: object):
        assert stream(OPERATE, auth=auth).receive() == {'close': 4401}

    def test_a_key_that_may_not_write(self, client: Any, gateway: Any, stream: Any):
        connection = gateway.store._connection
        connection.execute("UPDATE api_key SET scopes = 'read'")
        gateway.keys.renew(read_entries(connection), 0)
        assert stream(OPERATE).receive() == {'close': 4401}

    def test_coming_and_going_of_the_device_is_told(
            self, operator: Callable[..., Any], device: Callable[..., Any]):
        person = operator()
        assert person.ready['online'] is False
        robot = device('kiln-7', **HELLO)
        assert person.receive()['online'] is True
        robot.close()
        assert person.receive() == {'type': 'device', 'source_id': 'kiln-7', 'online': False}


class TestCommands:

    def test_statuses_come_with_the_id_of_the_request(
            self, robot: Any, operator: Callable[..., Any]):
        person = operator(operator='Ada')
        run = drive(person, robot, 7)
        assert run['params'] == {'linear_x': 0.5, 'operator': 'Ada'}
        assert 0 < run['ttl_ms'] <= 300
        finish(robot, run, speed=0.5)
        last = told(person, 'succeeded')
        assert (last['id'], last['run_id'], last['result']) == (7, run['run_id'], {'speed': 0.5})

    def test_a_long_name_is_cut_to_what_the_device_takes(
            self, robot: Any, operator: Callable[..., Any]):
        run = drive(operator(operator='Ada ' * 40), robot, 1)
        assert run['params']['operator'] == 'Ada ' * 16

    def test_other_peoples_runs_are_told_to_those_who_watch(
            self, client: Any, robot: Any, operator: Callable[..., Any]):
        busy, watching = operator(), operator()
        watching.send({'type': 'watch', 'on': True})
        watching.send({'type': 'ping', 't': 1})
        assert watching.receive() == {'type': 'pong', 't': 1}
        run = drive(busy, robot, 1)
        seen = told(watching, 'sent')
        assert (seen['run_id'], 'id' in seen) == (run['run_id'], False)

    @pytest.mark.parametrize(('message', 'code'), [
        ({'type': 'command', 'id': 1, 'command': 'fly'}, 'unknown_command'),
        ({'type': 'command', 'id': 1}, 'unknown_command'),
        ({'type': 'command', 'id': 1, 'command': 'drive'}, 'bad_params'),
        ({'type': 'command', 'id': 1, 'command': 'drive', 'params': [1]}, 'bad_params'),
        ({'type': 'command', 'id': 1, 'command': 'heat'}, 'confirmation_required'),
        ({'type': 'dance'}, 'bad_message'), ({}, 'bad_message'), ([], 'bad_message'),
        ('rubbish', 'bad_message'), ('"' + 'x' * 200_000 + '"', 'bad_message')])
    def test_what_cannot_be_done_is_told_and_the_socket_stays(
            self, robot: Any, operator: Callable[..., Any], message: object, code: str):
        person = operator()
        person.send(message)
        answer = person.receive()
        assert (answer['type'], answer['code']) == ('refused', code)
        drive(person, robot, 2)

    def test_a_device_that_is_away(self, operator: Callable[..., Any]):
        person = operator()
        person.send({'type': 'command', 'id': 1, 'command': 'drive'})
        assert person.receive()['code'] == 'not_connected'

    def test_a_flood_is_refused(
            self, client: Any, gateway: Any, robot: Any, operator: Callable[..., Any]):
        person = operator()
        for number in range(runs.MAX_PER_S + 50):
            person.send({'type': 'command', 'id': number, 'command': 'once'})
        refused = 0
        while not refused:
            answer = person.receive()
            refused += answer.get('code') == 'busy'
        robot.telemetry(1, ('t', 1, 1_790_000_000_000))
        while (answer := robot.receive())['type'] != 'telemetry_ack':
            assert answer['type'] == 'command_run'

    def test_a_flood_of_one_operator_is_no_obstacle_to_the_stop_of_another(
            self, robot: Any, operator: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(runs, 'MAX_PER_S', 2)
        monkeypatch.setattr(runs, 'MAX_UNDER_WAY', 4)
        busy, careful = operator(operator='Ada'), operator(operator='Bob')
        answer: dict[str, Any] = {}
        while answer.get('code') != 'busy':
            busy.send({'type': 'command', 'id': 1, 'command': 'once'})
            answer = busy.receive()
        careful.send({'type': 'command', 'id': 1, 'command': 'once'})
        assert careful.receive()['type'] == 'accepted'

    @pytest.mark.parametrize('asked', ['x' * 129, ['x'], {'x': 1}, True])
    def test_an_id_that_cannot_be_remembered(self, operator: Callable[..., Any], asked: object):
        person = operator()
        person.send({'type': 'command', 'id': asked, 'command': 'once'})
        refused = person.receive()
        assert (refused['code'], 'id' in refused) == ('bad_message', False)

    def test_a_joystick_at_fifty_hertz_is_not_held_up(
            self, robot: Any, operator: Callable[..., Any]):
        """A burst of orders goes through in their order; each is answered on its own."""
        person = operator()
        begin = time.monotonic()
        for number in range(50):
            run = drive(person, robot, number)
            status(robot, run, 1, 'succeeded', result={})
            assert robot.receive()['type'] == 'command_status_ack'
            assert told(person, 'succeeded')['id'] == number
        assert time.monotonic() - begin < 10, 'fifty orders and their answers, one after another'


class TestWhenTheOperatorIsGone:

    def test_the_leases_that_were_granted_are_released(
            self, robot: Any, operator: Callable[..., Any]):
        person = operator(operator='Ada')
        for number, lease in enumerate(('first', 'second')):
            finish(robot, drive(person, robot, number), lease=lease)
            told(person, 'succeeded')
        person.send({'type': 'command', 'id': 9, 'command': 'release',
                     'params': {'lease': 'first'}})
        assert person.receive()['type'] == 'accepted'
        finish(robot, robot.receive())
        told(person, 'succeeded')
        person.close()  # no close frame: the operator's machine is gone
        run = robot.receive()
        assert (run['command'], run['params']) == ('release', {'lease': 'second'})

    def test_the_command_left_for_this_case_is_run(
            self, robot: Any, operator: Callable[..., Any]):
        person = operator()
        person.send({'type': 'on_close', 'command': 'reset', 'confirm': 'kiln-7'})
        person.send({'type': 'ping'})
        person.receive()
        person.socket.send_close(1000)
        assert robot.receive()['command'] == 'reset'

    def test_it_can_be_taken_back(self, client: Any, robot: Any, operator: Callable[..., Any]):
        person = operator()
        person.send({'type': 'on_close', 'command': 'once'})
        person.send({'type': 'on_close', 'command': None})
        person.send({'type': 'ping'})
        person.receive()
        person.close()
        answer = client.post('/v1/sources/kiln-7/command-runs', {'command': 'heat',
                                                                 'confirm': True})
        assert answer.status_code == 202
        assert robot.receive()['command'] == 'heat'

    def test_a_revoked_key_ends_the_socket_and_releases(
            self, client: Any, gateway: Any, server: Any, robot: Any,
            operator: Callable[..., Any]):
        person = operator()
        finish(robot, drive(person, robot, 1), lease='mine')
        told(person, 'succeeded')
        person.send({'type': 'on_close', 'command': 'reset', 'confirm': 'kiln-7'})
        person.send({'type': 'ping'})
        person.receive()
        gateway.store._connection.execute('UPDATE api_key SET revoked_ms = 1')

        async def renew() -> None:
            # Only the operator's: the device's socket has to hear what comes of it.
            held = gateway.keys._held
            for token in list(held)[:1]:
                held.pop(token)
            gateway.keys.renew(read_entries(gateway.store._connection), 0)

        server[0].call(renew())
        assert robot.receive()['command'] == 'release'
        while (message := person.receive()) != {'close': 4401}:
            assert message['type'] == 'command_status'
        robot.telemetry(1, ('t', 1, 1_790_000_000_000))
        assert robot.receive() == {'type': 'telemetry_ack', 'seq': 1}, 'and nothing dangerous'

    def test_a_gateway_that_stops_does_not_wait_for_those_who_listen(
            self, processes: Callable[..., Any]):
        gateway = processes().start()
        client = gateway.client()
        robot = client.device('kiln-7', **HELLO)
        person = client.stream(OPERATE)
        assert person.receive()['type'] == 'ready'
        events = client.request('GET', '/v1/sources/kiln-7/commands/stream', stream=True)
        lines = events.iter_lines(chunk_size=1)
        assert next(lines) == b': listening'
        finish(robot, drive(person, robot, 1), lease='mine')
        begin = time.monotonic()
        assert gateway.end() == 0
        assert time.monotonic() - begin < 5, 'ten seconds are the patience of the server'
        while (message := person.receive()).get('close') is None:
            assert message['type'] in ('command_status', 'device')
        assert message == {'close': 1001}
        assert 'Traceback' not in gateway.output
        for socket in (robot, person):
            socket.close()
        events.close()
        client.close()

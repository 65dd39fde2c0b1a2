# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands that a program declares, run by a gateway that does as the test says."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from typing import Any

import pytest
from scripted_gateway import ScriptedSocket

from plexus_bridge import CommandDeclarationError
from plexus_bridge import CommandParamError


class Desk:
    """A gateway's side of commands: `ask` sends, `said` has what came back."""

    def __init__(self) -> None:
        self.hellos: list[dict[str, Any]] = []
        self.said: queue.Queue[dict[str, Any]] = queue.Queue()
        self._connection: Any = None
        self.connected = threading.Event()

    def __call__(self, connection: Any) -> None:
        with contextlib.suppress(Exception):
            self.hellos.append(json.loads(connection.recv()))
            connection.send(json.dumps({
                'type': 'authenticated', 'acks': True, 'protocol': 1,
                'server_time_ms': time.time() * 1000}))
            self._connection = connection
            self.connected.set()
            while True:
                message = json.loads(connection.recv())
                if message['type'] in ('command_status', 'command_result'):
                    self.said.put(message)
                elif message['type'] == 'telemetry':
                    self.ask(type='telemetry_ack', seq=message['seq'])

    def ask(self, **message: Any) -> None:
        self._connection.send(json.dumps(message))

    def run(self, command: str, run_id: str, **params: Any) -> None:
        self.ask(type='command_run', command=command, run_id=run_id, params=params, ttl_ms=30_000)

    def states(self, run_id: str) -> list[dict[str, Any]]:
        """Return a run's statuses up to its end."""
        found: list[dict[str, Any]] = []
        while not found or found[-1]['state'] not in ('succeeded', 'failed'):
            status = self.said.get(timeout=20)
            if status['run_id'] == run_id:
                found.append(status)
        return found


@pytest.fixture
def desk(connect):
    """A gateway, and a client with two commands that is connected to it."""
    desk = Desk()
    with ScriptedSocket(desk) as gateway:
        px = connect(gateway.url)
        desk.px = px  # type: ignore[attr-defined]

        @px.command('set_zone', params={
            'zone': {'type': 'integer', 'minimum': 1, 'maximum': 4},
            'mode': {'type': 'string', 'enum': ['ramp', 'hold'], 'default': 'ramp'}})
        def set_zone(run, zone, mode):
            run.progress(100, 'done')
            return {'zone': zone, 'mode': mode, 'id': run.id, 'command': run.command,
                    'attempt': run.attempt, 'params': run.params,
                    'remaining': 0 < run.time_remaining <= 30, 'cancel': run.cancel_requested}

        @px.command('fail')
        def fail(run):
            raise KeyError('load cell')

        @px.command('give_up')
        def give_up(run):
            raise run.Cancelled

        @px.command('refuse')
        def refuse(run):
            raise CommandParamError('not while it is hot')

        px.send('m', 1)
        assert desk.connected.wait(20)
        yield desk
        px.close()


def test_commands_are_declared_and_the_handler_gets_checked_parameters(desk):
    declared = {entry['name']: entry for entry in desk.hellos[0]['commands']}
    assert set(declared) == {'set_zone', 'fail', 'give_up', 'refuse'}
    assert declared['set_zone']['concurrency'] == 'accept'
    assert declared['set_zone']['params']['zone']['required'] is True

    desk.run('set_zone', 'r1', zone='3')
    states = desk.states('r1')
    assert [status['state'] for status in states] == [
        'acknowledged', 'running', 'progress', 'succeeded']
    assert states[-1]['result'] == {
        'zone': 3, 'mode': 'ramp', 'id': 'r1', 'command': 'set_zone', 'attempt': 1,
        'params': {'zone': 3, 'mode': 'ramp'}, 'remaining': True, 'cancel': False}


@pytest.mark.parametrize(('command', 'params', 'code', 'words'), [
    ('set_zone', {'zone': 5}, 'bad_params', 'zone'), ('set_zone', {}, 'bad_params', 'zone'),
    ('nothing', {}, 'unknown_command', 'nothing'), ('fail', {}, 'handler_error', 'KeyError'),
    ('give_up', {}, 'cancelled', ''), ('refuse', {}, 'bad_params', 'not while it is hot')])
def test_what_goes_wrong_is_reported_with_its_code(desk, command, params, code, words):
    desk.run(command, 'r2', **params)
    end = desk.states('r2')[-1]
    assert (end['state'], end['error_code']) == ('failed', code)
    assert words in end['error_message']


def test_commands_that_are_declared_later_are_announced_together_and_quietly(
        desk, wait_until, capfd):
    for name in ('late_1', 'late_2', 'late_3'):
        desk.px.command(name)(lambda run: 7)
    wait_until(lambda: len(desk.hellos) >= 2, 'it introduces itself again')
    assert {'late_1', 'late_2', 'late_3'} <= {
        entry['name'] for entry in desk.hellos[1]['commands']}
    desk.px.flush_buffer()
    assert len(desk.hellos) == 2
    assert 'not connected' not in capfd.readouterr().err


def test_a_program_that_only_declares_is_connected_too(connect):
    desk = Desk()
    with ScriptedSocket(desk) as gateway:
        px = connect(gateway.url)
        px.command('dock')(lambda run: {'docked': True})
        px.command('undock')(lambda run: None)
        assert desk.connected.wait(20)
        assert [entry['name'] for entry in desk.hellos[0]['commands']] == ['dock', 'undock']
        desk.run('dock', 'r1')
        assert desk.states('r1')[-1]['result'] == {'docked': True}
        px.close()
        assert len(desk.hellos) == 1


def test_the_old_kind_is_answered_and_not_declared(desk):
    with pytest.warns(DeprecationWarning, match='on_command'):
        desk.px.on_command('tare', lambda name, params: {'name': name, **params},
                           description='tare it', params=[{'name': 'cell'}])
    desk.ask(type='typed_command', id='c-9', command='tare', params={'cell': 2})
    answers = [desk.said.get(timeout=20) for _ in range(2)]
    assert [answer['event'] for answer in answers] == ['ack', 'result']
    assert answers[1]['result'] == {'name': 'tare', 'cell': 2}


@pytest.mark.parametrize(('name', 'more'), [
    ('Bad Name', {}), ('ok', {'danger': 'lethal'}), ('ok', {'expires_in': 4}),
    ('ok', {'params': {'a': {'type': 'list'}}}), ('ok', {'concurrency': 'maybe'})])
def test_what_cannot_be_declared_is_told_when_it_is_declared(connect, name, more):
    px = connect('http://127.0.0.1:9', timeout=0.2)
    with pytest.raises(CommandDeclarationError) as caught:
        px.command(name, **more)
    assert isinstance(caught.value, ValueError)
    with pytest.warns(DeprecationWarning, match='on_command'), \
            pytest.raises(ValueError, match='concurrency'):
        px.on_command('tare', print, concurrency='maybe')


def test_a_run_that_is_in_progress_at_the_end_is_told_to_have_failed(desk):
    begun, release = threading.Event(), threading.Event()

    @desk.px.command('wait')
    def wait(run):
        begun.set()
        release.wait(10)

    desk.run('wait', 'w1')
    assert begun.wait(20)
    desk.px.close()
    release.set()
    states = desk.states('w1')
    assert [one['state'] for one in states] == ['acknowledged', 'running', 'failed']
    assert states[-1]['error_message'] == 'the program has ended'


def test_a_run_does_not_happen_again_after_a_restart(connect):
    desk, calls = Desk(), []
    with ScriptedSocket(desk) as gateway:
        for _ in range(2):
            desk.connected.clear()
            px = connect(gateway.url)

            @px.command('tip')
            def tip(run):
                calls.append(run.id)
                return {'tipped': True}

            px.send('m', 1)
            assert desk.connected.wait(20)
            desk.run('tip', 't1')
            assert desk.states('t1')[-1]['result'] == {'tipped': True}
            px.close()
    assert calls == ['t1']

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands from a person's request to the device and back, over the routes (sections 8 and 9)."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import sqlite3
import threading
from typing import Any

from commanded_device import DECLARATIONS
from commanded_device import finish
from commanded_device import HELLO
from commanded_device import status
import pytest

from plexus_bridge.gateway.access.keys import read_entries
from plexus_bridge.gateway.commands import runs

RUNS = '/v1/sources/kiln-7/command-runs'
NOW_MS = 1_790_000_000_000


@pytest.fixture
def robot(device: Callable[..., Any]) -> Any:
    return device('kiln-7', **HELLO)


def ask(client: Any, command: str, expected: int = 202, **more: object) -> dict[str, Any]:
    """Request a run; return it, or what is said of the refusal."""
    answer = client.post(RUNS, {'command': command, **more})
    assert answer.status_code == expected, answer.text
    body: dict[str, Any] = answer.json()
    return body['run'] if 'run' in body else body['detail']


def shown(client: Any, run: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f'{RUNS}/{run["run_id"]}')['run']
    return found


class TestDeclaredCommands:

    def test_a_command_that_asks_for_its_operator_gets_the_name(self, client: Any, robot: Any):
        ask(client, 'drive', params={'linear_x': 0.5})
        assert robot.receive()['params'] == {'linear_x': 0.5, 'operator': 'first key'}
        ask(client, 'drive', params={'linear_x': 0, 'operator': 'Ada'})
        assert robot.receive()['params'] == {'linear_x': 0, 'operator': 'Ada'}

    def test_a_run_from_request_to_result(self, client: Any, robot: Any):
        run = ask(client, 'tare', params={'cell': 2})
        assert (run['state'], run['attempt'], run['operator']) == ('sent', 1, 'first key')
        message = robot.receive()
        ttl_ms = message.pop('ttl_ms')
        assert 29_000 < ttl_ms <= 30_000
        assert message == {'type': 'command_run', 'run_id': run['run_id'], 'command': 'tare',
                           'params': {'cell': 2}, 'attempt': 1}
        status(robot, run, 1, 'acknowledged')
        assert robot.receive() == {
            'type': 'command_status_ack', 'run_id': run['run_id'], 'seq': 1}
        status(robot, run, 2, 'running')
        status(robot, run, 4, 'progress', progress=41.5, message='halfway')
        assert [robot.receive()['seq'] for _ in range(2)] == [2, 4]
        found = shown(client, run)
        assert (found['state'], found['progress'], found['message']) == (
            'running', 41.5, 'halfway')
        status(robot, run, 5, 'succeeded', result={'offset': 0.25})
        assert robot.receive()['seq'] == 5
        found = shown(client, run)
        assert (found['state'], found['result'], found['seq']) == (
            'succeeded', {'offset': 0.25}, 5)
        assert [(each['seq'], each['state']) for each in found['statuses']] == [
            (1, 'acknowledged'), (2, 'running'), (4, 'progress'), (5, 'succeeded')]
        [listed] = client.get(RUNS, state='succeeded', command='tare')['runs']
        assert listed == {name: found[name] for name in listed}
        assert client.get(RUNS, state='failed')['runs'] == []

    def test_a_failure_is_kept_with_its_code(self, client: Any, robot: Any):
        run = ask(client, 'once')
        robot.receive()
        status(robot, run, 1, 'failed', error_code='busy', error_message='one is running')
        robot.receive()
        found = shown(client, run)
        assert (found['state'], found['error_code'], found['error_message']) == (
            'failed', 'busy', 'one is running')

    def test_an_answer_can_wait_for_the_end(self, client: Any, robot: Any):
        answered: list[Any] = []
        waiting = threading.Thread(target=lambda: answered.append(
            ask(client, 'tare', 200, params={'cell': 1}, wait_s=20)))
        waiting.start()
        finish(robot, robot.receive(), done=True)
        waiting.join(20)
        assert (answered[0]['state'], answered[0]['result']) == ('succeeded', {'done': True})

    def test_waiting_ends_with_its_time(self, client: Any, robot: Any):
        assert ask(client, 'once', 202, wait_s=0.05)['state'] == 'sent'

    def test_commands_are_listed_also_while_the_device_is_away(
            self, client: Any, robot: Any, wait_for: Callable[..., None]):
        listed = client.get('/v1/sources/kiln-7/commands')
        assert (listed['online'], listed['commands']) == (True, DECLARATIONS)
        robot.close()
        wait_for(lambda: not client.get('/v1/sources/kiln-7/commands')['online'], 'it is gone')
        assert client.get('/v1/sources/kiln-7/commands')['commands'] == DECLARATIONS

    def test_a_slow_disk_hides_no_device_that_has_left(
            self, client: Any, gateway: Any, device: Callable[..., Any], tmp_path: Path,
            wait_for: Callable[..., None]):
        blocker = sqlite3.connect(
            tmp_path / 'gateway.db', isolation_level=None, check_same_thread=False)
        blocker.execute('BEGIN IMMEDIATE')  # the writer waits
        device('kiln-7', **HELLO).close()
        wait_for(lambda: 'kiln-7' not in gateway.devices, 'it is gone')
        release = threading.Timer(0.2, blocker.execute, ('COMMIT',))
        release.start()
        assert client.get('/v1/sources/kiln-7/commands')['commands'] == DECLARATIONS
        assert client.get('/v1/sources/kiln-7/device')['last_heard_ms'] > 0
        release.join()
        blocker.close()

    @pytest.mark.parametrize(('asked', 'code', 'refusal'), [
        ({'command': 'fly'}, 404, 'unknown_command'),
        ({'command': 'tare', 'params': {'cell': 5}}, 400, 'bad_params'),
        ({'command': 'tare', 'params': [1]}, 400, 'bad_params'),
        ({'command': 'tare', 'params': {'cell': 1, 'x': 'y' * 70_000}}, 400, 'bad_params'),
        ({'command': 'heat'}, 428, 'confirmation_required'),
        ({'command': 'heat', 'confirm': 'true'}, 428, 'confirmation_required'),
        ({'command': 'heat', 'confirm': 1}, 428, 'confirmation_required'),
        ({'command': 'reset', 'confirm': True}, 428, 'confirmation_required'),
        ({'command': 'reset', 'confirm': 'kiln-8'}, 428, 'confirmation_required')])
    def test_what_is_refused_never_reaches_the_device(
            self, client: Any, robot: Any, asked: dict[str, Any], code: int, refusal: str):
        answer = client.post(RUNS, asked)
        assert (answer.status_code, answer.json()['detail']['error']) == (code, refusal)
        assert client.get(RUNS) == {'runs': []}
        ask(client, 'once')
        assert robot.receive()['command'] == 'once'

    def test_dangerous_commands_run_once_they_are_confirmed(self, client: Any, robot: Any):
        ask(client, 'heat', confirm=True)
        ask(client, 'reset', confirm='kiln-7')
        assert [robot.receive()['command'] for _ in range(2)] == ['heat', 'reset']

    @pytest.mark.parametrize('body', [
        {}, {'command': 7}, {'command': ''}, {'command': 'tare', 'wait_s': -1},
        {'command': 'tare', 'ttl_ms': 'soon'}, [], b'rubbish'])
    def test_requests_that_are_none(self, client: Any, robot: Any, body: Any):
        assert client.post(RUNS, body).status_code == 400

    def test_a_device_that_is_away(self, client: Any):
        assert ask(client, 'tare', 409)['error'] == 'not_connected'

    def test_a_run_that_nobody_knows(self, client: Any, robot: Any):
        run = ask(client, 'once')
        for path in (f'{RUNS}/run-none', f'/v1/sources/kiln-8/command-runs/{run["run_id"]}'):
            assert client.request('GET', path).status_code == 404
        assert client.request('GET', '/v1/sources/No%20Slug/command-runs').status_code == 400

    def test_too_many_at_once_are_refused_and_telemetry_goes_on(
            self, client: Any, robot: Any, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(runs, 'MAX_UNDER_WAY', 2)
        for _ in range(2):
            ask(client, 'once')
        assert ask(client, 'once', 429)['error'] == 'busy'
        for _ in range(2):
            robot.receive()
        robot.telemetry(1, ('t', 1, NOW_MS))
        assert robot.receive() == {'type': 'telemetry_ack', 'seq': 1}

    def test_a_run_can_be_asked_to_end_early(self, client: Any, robot: Any):
        run = ask(client, 'once')
        robot.receive()
        path = f'{RUNS}/{run["run_id"]}/cancel'
        answer = client.post(path, {})
        assert (answer.status_code, answer.json()['queued']) == (202, True)
        assert robot.receive() == {
            'type': 'cancel', 'source_id': 'kiln-7', 'run_id': run['run_id']}
        status(robot, run, 1, 'failed', error_code='cancelled', error_message='as asked')
        robot.receive()
        answer = client.post(path, {})
        assert (answer.status_code, answer.json()['queued']) == (200, False)
        assert answer.json()['run']['error_code'] == 'cancelled'
        assert client.post(f'{RUNS}/run-none/cancel', {}).status_code == 404
        other = f'/v1/sources/kiln-8/command-runs/{run["run_id"]}/cancel'
        assert client.post(other, {}).status_code == 404

    def test_results_beyond_the_limit_are_dropped_and_the_state_kept(
            self, client: Any, robot: Any):
        run = ask(client, 'once')
        robot.receive()
        status(robot, run, 1, 'succeeded', result={'log': 'x' * 65_536})
        robot.receive()
        found = shown(client, run)
        assert found['state'] == 'succeeded'
        assert 'result' not in found


def change_key(gateway: Any, column: str, value: object) -> None:
    """Change what the only key allows."""
    connection = gateway.store._connection
    connection.execute(f'UPDATE api_key SET {column} = ?', (value,))
    gateway.keys.renew(read_entries(connection), 0)


class TestWhoMay:

    @pytest.mark.parametrize('path', ['command-runs', 'commands', 'agent-messages'])
    @pytest.mark.parametrize(('column', 'value'), [('scopes', 'read'), ('source_id', 'kiln-8')])
    def test_a_key_that_may_not_command_this_device(
            self, client: Any, gateway: Any, path: str, column: str, value: str):
        change_key(gateway, column, value)
        answer = client.post(f'/v1/sources/kiln-7/{path}', {'command': 'tare'})
        assert answer.status_code == 403

    @pytest.mark.parametrize(('method', 'path'), [
        ('POST', 'command-runs'), ('POST', 'commands'), ('POST', 'agent-messages'),
        ('GET', 'command-runs'), ('GET', 'commands'), ('GET', 'commands/stream'),
        ('GET', 'device'), ('GET', 'command-runs/x')])
    def test_nobody_comes_without_a_key(self, client: Any, method: str, path: str):
        answer = client.request(method, f'/v1/sources/kiln-7/{path}', headers={'x-api-key': ''})
        assert answer.status_code == 401

    def test_a_device_whose_key_may_not_receive_commands(
            self, client: Any, gateway: Any, device: Callable[..., Any]):
        change_key(gateway, 'receive_commands', 0)
        kiln = device('kiln-7', **HELLO)
        assert kiln.receive()['code'] == 'commands_not_permitted'
        assert ask(client, 'tare', 404)['error'] == 'unknown_command'


class TestLostConnections:

    def test_an_idempotent_run_is_sent_again_under_its_own_id(
            self, client: Any, robot: Any, device: Callable[..., Any]):
        run = ask(client, 'tare', params={'cell': 1})
        first = robot.receive()
        status(robot, run, 1, 'acknowledged')
        robot.receive()
        robot.close()
        again = device('kiln-7', **HELLO)
        second = again.receive()
        assert (second['run_id'], second['attempt']) == (run['run_id'], 2)
        assert second['ttl_ms'] <= first['ttl_ms']
        # The device was restarted: its numbers begin at 1 again.
        finish(again, run, ok=True)
        found = shown(client, run)
        assert (found['state'], found['attempt'], found['result']) == (
            'succeeded', 2, {'ok': True})
        assert len(found['statuses']) == 4

    def test_another_run_is_only_listened_for(
            self, client: Any, robot: Any, device: Callable[..., Any]):
        run, lost = ask(client, 'once'), ask(client, 'once')
        for each in (run, lost):
            robot.receive()
            status(robot, each, 1, 'acknowledged')
            robot.receive()
        robot.close()
        again = device('kiln-7', **HELLO)
        again.send({'type': 'command_sync', 'runs': [
            {'run_id': run['run_id'], 'state': 'succeeded', 'seq': 2}, 'rubbish']})
        status(again, run, 2, 'succeeded', result={})
        assert again.receive() == {
            'type': 'command_status_ack', 'run_id': run['run_id'], 'seq': 2}
        assert shown(client, run)['state'] == 'succeeded'
        assert (shown(client, lost)['state'], shown(client, lost)['error_code']) == (
            'failed', 'lost')

    def test_a_run_of_which_the_device_does_not_speak_is_lost(
            self, client: Any, robot: Any, device: Callable[..., Any],
            wait_for: Callable[..., None], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(runs, 'RECONCILE_S', 0.05)
        run = ask(client, 'once')
        robot.receive()
        robot.close()
        device('kiln-7', **HELLO)
        wait_for(lambda: shown(client, run).get('error_code') == 'lost', 'it is given up')

    def test_what_nobody_acknowledges_expires_and_a_late_word_still_counts(
            self, client: Any, robot: Any, wait_for: Callable[..., None]):
        run = ask(client, 'once', ttl_ms=50)
        assert robot.receive()['ttl_ms'] <= 50
        wait_for(lambda: shown(client, run).get('error_code') == 'expired', 'it has expired')
        status(robot, run, 1, 'acknowledged')
        status(robot, run, 2, 'succeeded', result={'late': True})
        for _ in range(2):
            robot.receive()
        found = shown(client, run)
        assert (found['state'], found['result']) == ('succeeded', {'late': True})
        assert 'error_code' not in found

    def test_repeated_and_foreign_statuses_are_acknowledged_and_change_nothing(
            self, client: Any, robot: Any, device: Callable[..., Any]):
        run = ask(client, 'once')
        robot.receive()
        finish(robot, run, first=True)
        status(robot, run, 3, 'succeeded', result={'second': True})
        status(robot, run, 9, 'failed', error_code='handler_error')
        robot.send({'type': 'command_status', 'run_id': 'run-unknown', 'seq': 4,
                    'state': 'running'})
        assert [robot.receive()['seq'] for _ in range(3)] == [3, 9, 4]
        other = device('kiln-8', **HELLO)
        status(other, run, 10, 'failed')
        assert other.receive()['seq'] == 10
        assert shown(client, run)['result'] == {'first': True}

    def test_another_device_cannot_speak_of_a_run(
            self, client: Any, gateway: Any, robot: Any, device: Callable[..., Any]):
        run = ask(client, 'once')
        robot.receive()
        own = gateway.commands._under_way[run['run_id']].connection
        other = device('kiln-8', **HELLO)
        status(other, run, 1, 'running')
        other.receive()
        other.send({'type': 'command_sync', 'runs': [{'run_id': run['run_id']}]})
        finish(robot, run, done=True)
        assert gateway.commands.find(run['run_id']).state == 'succeeded'
        assert own is gateway.devices.find('kiln-7')

    def test_a_flood_for_one_device_does_not_stop_another(
            self, client: Any, robot: Any, device: Callable[..., Any],
            monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(runs, 'MAX_PER_S', 2)
        device('kiln-8', **HELLO)
        while client.post(RUNS, {'command': 'once'}).status_code != 429:
            pass
        path = '/v1/sources/kiln-8/command-runs'
        assert client.post(path, {'command': 'once'}).status_code == 202

    def test_runs_outlive_a_restart_of_the_gateway(self, processes: Callable[..., Any]):
        gateway = processes().start()
        client = gateway.client()
        robot = client.device('kiln-7', **HELLO)
        run, once = ask(client, 'tare', params={'cell': 3}), ask(client, 'once')
        for each in (run, once):
            robot.receive()
            status(robot, each, 1, 'acknowledged')
            robot.receive()
        gateway.process.kill()
        gateway.process.wait()
        robot.close()
        client.close()
        client = gateway.start().client()
        robot = client.device('kiln-7', **HELLO)
        message = robot.receive()
        assert (message['run_id'], message['attempt']) == (run['run_id'], 2)
        robot.send({'type': 'command_sync', 'runs': [
            {'run_id': each['run_id'], 'state': 'acknowledged', 'seq': 1}
            for each in (run, once)]})
        for each in (run, once):
            status(robot, each, 2, 'succeeded', result={})
            assert robot.receive()['seq'] == 2
            assert shown(client, each)['state'] == 'succeeded'
        robot.close()
        client.close()


class TestLegacyCommands:

    def test_queued_is_told_and_the_result_kept(
            self, client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
        kiln = device('kiln-7', acks=False, commands=[{'name': 'tare', 'params': ['cell']}])
        answer = client.post('/v1/sources/kiln-7/commands',
                             {'command': 'tare', 'params': {'cell': 2}})
        assert (answer.status_code, answer.json()['queued']) == (200, True)
        message = kiln.receive()
        run = {'run_id': message.pop('id')}
        assert message == {'type': 'typed_command', 'command': 'tare', 'params': {'cell': 2}}
        for event in ({'event': 'ack'}, {'event': 'result', 'result': {'ok': True}}):
            kiln.send({'type': 'command_result', 'id': run['run_id'], 'command': 'tare', **event})
        wait_for(lambda: shown(client, run)['state'] == 'succeeded', 'the result has come')
        assert shown(client, run)['result'] == {'ok': True}
        assert client.get('/v1/sources/kiln-7/commands')['legacy'] == [
            {'name': 'tare', 'params': ['cell']}]

    def test_an_error_and_a_lost_connection(
            self, client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
        kiln = device('kiln-7')
        asked = [client.post('/v1/sources/kiln-7/commands', {'command': 'x'}).json()
                 for _ in range(2)]
        for _ in range(2):
            kiln.receive()
        kiln.send({'type': 'command_result', 'id': asked[0]['run_id'], 'event': 'error',
                   'error': 'load cell offline'})
        wait_for(lambda: shown(client, asked[0])['state'] == 'failed', 'it has failed')
        assert shown(client, asked[0])['error_message'] == 'load cell offline'
        kiln.close()
        wait_for(lambda: shown(client, asked[1]).get('error_code') == 'lost', 'it is lost')

    def test_a_device_that_is_away(self, client: Any):
        answer = client.post('/v1/sources/kiln-7/commands', {'command': 'tare'})
        assert (answer.status_code, answer.json()) == (200, {'queued': False})


class TestAgentMessages:

    def test_a_message_is_rebuilt_and_sent(self, client: Any, device: Callable[..., Any]):
        pi = device('pi-1', acks=False)
        answer = client.post('/v1/sources/pi-1/agent-messages', {
            'type': 'start_stream', 'metrics': ['accel_x'], 'id': 's1'}).json()
        assert answer['queued']
        assert pi.receive() == answer['message'] == {
            'type': 'start_stream', 'source_id': 'pi-1', 'metrics': ['accel_x'],
            'interval_ms': 100, 'id': 's1'}

    def test_it_can_take_the_form_of_a_command(self, client: Any, device: Callable[..., Any]):
        kiln = device('kiln-7')
        client.post('/v1/sources/kiln-7/agent-messages', {
            'type': 'configure', 'sensor': 'MPU6050', 'config': {'sample_rate': 50},
            'as_typed_command': True})
        message = kiln.receive()
        assert (message['type'], message['command'], message['params']) == (
            'typed_command', 'configure', {'source_id': 'kiln-7', 'sensor': 'MPU6050',
                                           'config': {'sample_rate': 50}})

    def test_what_has_no_such_field_is_refused(self, client: Any, device: Callable[..., Any]):
        device('pi-1')
        for body in ({}, {'type': 'reboot'}, {'type': 'execute'}, {'type': 'ping', 'x': 1}):
            assert client.post('/v1/sources/pi-1/agent-messages', body).status_code == 400
        assert client.post('/v1/sources/pi-2/agent-messages', {'type': 'ping'}).json() == {
            'queued': False, 'message': {'type': 'ping', 'source_id': 'pi-2'}}

    def test_answers_are_told_as_server_sent_events(
            self, client: Any, device: Callable[..., Any]):
        pi = device('pi-1')
        answer = client.request('GET', '/v1/sources/pi-1/commands/stream', stream=True)
        assert answer.headers['content-type'].startswith('text/event-stream')
        lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        assert next(lines) == ': listening'
        pi.send({'type': 'output', 'id': 'cmd-1', 'event': 'data', 'data': 'Linux\n'})
        pi.send({'type': 'pong'})
        pi.send({'type': 'session_started', 'session_id': 's1', 'session_name': 'Glaze 4'})
        told = []
        while len(told) < 3:
            line = next(lines)
            if line.startswith('data: '):
                told.append(json.loads(line[6:]))
        assert told[0] == {'type': 'output', 'id': 'cmd-1', 'event': 'data', 'data': 'Linux\n',
                           'source_id': 'pi-1'}
        assert [each['type'] for each in told] == ['output', 'pong', 'session_started']
        answer.close()


class TestShownDevices:

    def test_what_an_agent_told_is_shown_without_its_key(
            self, client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
        sensor = {'name': 'MPU6050', 'metrics': ['accel_x'], 'sample_rate': 100, 'prefix': '',
                  'available': True}
        pi = device('pi-1', platform='Linux', agent_version='0.1.0', sensors=[sensor],
                    hostname='pi')
        pi.send({'type': 'heartbeat', 'source_id': 'pi-1', 'uptime_s': 12.5})
        path = '/v1/sources/pi-1/device'
        wait_for(lambda: client.get(path)['uptime_s'] == 12.5, 'the heartbeat has come')
        told = client.get(path)
        assert (told['online'], told['platform'], told['sensors']) == (True, 'Linux', [sensor])
        assert client.key not in json.dumps(told)
        pi.close()
        wait_for(lambda: not client.get(path)['online'], 'it is gone')
        assert client.get(path)['sensors'] == [sensor]
        wait_for(lambda: client.get('/v1/sources')['devices'] != [], 'it stays in the list')
        assert client.request('GET', '/v1/sources/pi-9/device').status_code == 404

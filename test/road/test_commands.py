# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""From a request at the gateway to the robot and back, with real processes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
import json
from pathlib import Path
import signal
import time
from typing import Any

from gateway_client import free_port
from gateway_client import GatewayClient
import pytest
import requests
from scripted_gateway import ScriptedSocket
from websockets.exceptions import ConnectionClosed

SOURCE = 'robot-1'
MAP = '''version: 1
source_id: robot-1
gateway: {{url: "{url}"}}
metrics:
  - {{topic: /odom, fields: [{{path: pose.pose.position.x, metric: x}}]}}
commands:
  - name: lights
    service:
      name: /simulated_robot/lights
      type: std_srvs/SetBool
      request: {{data: "{{state}}"}}
    params: {{state: {{type: boolean}}}}
  - name: set_speed
    parameter: {{node: /simulated_robot, set: {{max_speed: "{{speed}}"}}}}
    params: {{speed: {{type: number, minimum: 0, maximum: 2, unit: m/s}}}}
  - name: patrol
    idempotent: true
    concurrency: accept
    steps: [{{pause_s: 60}}]
'''


class Operator:
    """Asks the gateway for runs."""

    def __init__(self, gateway: GatewayClient):
        self._gateway = gateway

    def ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(
            method, f'{self._gateway.url}/v1/sources/{SOURCE}/{path}', json=body,
            headers={'x-api-key': self._gateway.key}, timeout=70)

    def commands(self) -> list[str]:
        return [command['name'] for command in self.ask('GET', 'commands').json()['commands']]

    def run(self, command: str, wait_s: float = 20.0, **params: Any) -> dict[str, Any]:
        answer = self.ask('POST', 'command-runs', {
            'command': command, 'params': params, 'wait_s': wait_s})
        assert answer.status_code in (200, 202), answer.text
        run: dict[str, Any] = answer.json()['run']
        return run

    def show(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.ask('GET', f'command-runs/{run_id}').json()['run']
        return run


@pytest.fixture
def start_bridge(start, tmp_path) -> Callable[..., Any]:
    def begin(url: str, **environment: str) -> Any:
        file = tmp_path / 'robot.yaml'
        file.write_text(MAP.format(url=url))
        return start('plexus_bridge.cli', 'run', str(file), **environment)
    return begin


@pytest.mark.road
def test_the_dashboard_commands_the_robot_and_a_killed_bridge_runs_nothing_twice(
        start, start_bridge, ros_environment, wait_until):
    port = free_port()
    gateway = GatewayClient(port, Path(ros_environment['PLEXUS_HOME']))
    start('plexus_bridge.gateway.serve', '--port', str(port))
    wait_until(gateway.is_up, 'the gateway answers')
    start('plexus_bridge.nodes.simulated_robot')
    bridge = start_bridge(gateway.url)
    operator = Operator(gateway)
    wait_until(lambda: gateway.knows(SOURCE) and operator.commands() == [
        'lights', 'set_speed', 'patrol'], f'the commands are declared; {bridge.output}')

    run = operator.run('lights', state='true')
    assert (run['state'], run['result']) == ('succeeded', {
        'success': True, 'message': 'lights: yes'})
    assert operator.run('set_speed', speed=1.5)['result'] == {'max_speed': 1.5}

    run_id = operator.run('patrol', wait_s=0)['run_id']
    wait_until(lambda: operator.show(run_id)['state'] == 'running', 'it is in progress')
    assert bridge.stop(signal.SIGKILL) == -signal.SIGKILL
    bridge = start_bridge(gateway.url)
    wait_until(lambda: operator.show(run_id)['state'] == 'failed', f'it failed; {bridge.output}')
    run = operator.show(run_id)
    assert run['error_code'] == 'handler_error'
    assert 'the program ended while this command was in progress' in run['error_message']
    states = [status['state'] for status in run['statuses']]
    assert states.count('running') == 1, 'it did not run a second time'

    unwanted = operator.run('patrol', wait_s=0)['run_id']
    assert operator.ask('POST', f'command-runs/{unwanted}/cancel', {}).json()['queued']
    wait_until(lambda: operator.show(unwanted).get('error_code') == 'cancelled', 'it was ended')

    run_id = operator.run('patrol', wait_s=0)['run_id']
    wait_until(lambda: operator.show(run_id)['state'] == 'running', 'another is in progress')
    assert bridge.stop() == 0
    wait_until(lambda: operator.show(run_id).get('error_code') == 'cancelled',
               'a bridge that is stopped says that it ended its runs')


@pytest.mark.road
def test_a_flood_of_commands_is_refused_and_telemetry_goes_on(start, start_bridge, wait_until):
    """1,000 command_run a second for two seconds, on the socket that carries the telemetry."""
    stamps: list[float] = []
    ends: dict[str, str] = {}
    flood: list[float] = []

    def script(connection: Any) -> None:
        connection.recv()
        connection.send(json.dumps({'type': 'authenticated', 'acks': True, 'protocol': 1}))
        sent, begun = 0, 0.0
        try:
            while True:
                if len(stamps) == 20 and not flood:
                    begun = time.monotonic()
                    flood.append(begun)
                due = min(2000, int((time.monotonic() - begun) * 1000)) if flood else 0
                for number in range(sent, due):
                    connection.send(json.dumps({
                        'type': 'command_run', 'run_id': f'r{number}', 'command': 'patrol',
                        'ttl_ms': 5000}))
                sent = max(sent, due)
                try:
                    message = json.loads(connection.recv(timeout=0.001))
                except TimeoutError:
                    continue
                if message['type'] == 'telemetry':
                    stamps.append(time.monotonic())
                    connection.send(json.dumps({'type': 'telemetry_ack', 'seq': message['seq']}))
                elif message['type'] == 'command_status' and message['state'] == 'failed':
                    ends[message['run_id']] = message['error_code']
        except ConnectionClosed:
            return

    with ScriptedSocket(script) as gateway:
        start('plexus_bridge.nodes.simulated_robot')
        bridge = start_bridge(gateway.url, PLEXUS_API_KEY='plx_test')
        wait_until(lambda: flood and time.monotonic() > flood[0] + 2.5, 'the flood is over', 40.0)
        bridge.stop(signal.SIGTERM)
    assert set(ends.values()) <= {'busy', 'cancelled'}
    assert list(ends.values()).count('busy') > 1600
    during = [stamp for stamp in stamps if flood[0] < stamp < flood[0] + 2.0]
    gaps = [after - before for before, after in pairwise(during)]
    assert len(during) > 13, 'ten frames a second go on'
    assert max(gaps) < 0.6, gaps

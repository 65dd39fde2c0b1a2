# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the robot's nodes and the dashboard ask of one bridge: each hears of the other's."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
from pathlib import Path
import signal
import sys
import time
from typing import Any

from bridged_robot import BridgedRobot
from diagnostic_msgs.msg import KeyValue
from gateway_client import free_port
from gateway_client import GatewayClient
import pytest
from rcl_interfaces.msg import SetParametersResult
import requests
from sensor_msgs.msg import Temperature

from plexus_msgs.action import RunCommand
from plexus_msgs.msg import BridgeStatus
from plexus_msgs.msg import Event
from plexus_msgs.msg import Value
from plexus_msgs.srv import Configure
from plexus_msgs.srv import EndRun
from plexus_msgs.srv import StartRun
from plexus_msgs.srv import StartSession
from plexus_msgs.srv import StartStream
from plexus_msgs.srv import StopSession

MAP = '''version: 1
source_id: robot-1
gateway: {{url: "{url}"}}
metrics:
  - topic: /t
    type: sensor_msgs/msg/Temperature
    prefix: kiln
    sampling: {{mode: latest, rate_hz: 2}}
commands:
  - {{name: wait, steps: [{{pause_s: 60}}]}}
execute: {{allow: ['{python} *']}}
configurable_nodes: [/test]
delivery: {{own_metrics: false}}
'''
SESSIONS = '/api/sessions'


@pytest.fixture
def robot(graph, start, tmp_path, ros_environment, wait_until) -> BridgedRobot:
    port = free_port()
    gateway = GatewayClient(port, Path(ros_environment['PLEXUS_HOME']))
    start('plexus_bridge.gateway.serve', '--port', str(port))
    wait_until(gateway.is_up, 'the gateway answers')
    file = tmp_path / 'robot.yaml'
    file.write_text(MAP.format(url=gateway.url, python=sys.executable))
    robot = BridgedRobot(graph, gateway, start('plexus_bridge.cli', 'run', str(file)))
    wait_until(lambda: is_online(robot), f'the bridge is connected; {robot.bridge.output}')
    return robot


def is_online(robot: BridgedRobot) -> bool:
    answer = ask(robot, 'GET', 'device')
    return answer.ok and answer.json()['online'] is True


def ask(robot: BridgedRobot, method: str, path: str, body: Any = None) -> requests.Response:
    return requests.request(
        method, f'{robot.gateway.url}/v1/sources/robot-1/{path}', json=body,
        headers={'x-api-key': robot.gateway.key}, timeout=20)


def tell(robot: BridgedRobot, **message: Any) -> dict[str, Any]:
    """Have the gateway send an agents' message; return what it sent."""
    answer = ask(robot, 'POST', 'agent-messages', message)
    assert answer.status_code == 200, answer.text
    assert answer.json()['queued'] is True
    sent: dict[str, Any] = answer.json()
    return sent


@contextlib.contextmanager
def heard_of(robot: BridgedRobot) -> Iterator[Iterator[dict[str, Any]]]:
    """What the gateway tells of its device; it fails after 15 s."""
    deadline = time.monotonic() + 15.0

    def updates(stream: requests.Response) -> Iterator[dict[str, Any]]:
        for line in stream.iter_lines(chunk_size=1):
            if time.monotonic() > deadline:
                pytest.fail(f'not heard in time; {robot.bridge.output}')
            if line.startswith(b'data: '):
                update = json.loads(line[6:])
                yield update.get('message', update)

    with requests.get(f'{robot.gateway.url}/v1/sources/robot-1/commands/stream', stream=True,
                      headers={'x-api-key': robot.gateway.key}, timeout=10) as stream:
        yield updates(stream)


def exported(robot: BridgedRobot) -> list[str]:
    answer = requests.get(
        f'{robot.gateway.url}/v1/export', params={'sources': 'robot-1'},
        headers={'x-api-key': robot.gateway.key}, timeout=20)
    return answer.text.splitlines()


def events_of(robot: BridgedRobot, name: str) -> list[dict[str, Any]]:
    if not robot.gateway.knows('robot-1'):
        return []
    found: list[dict[str, Any]] = robot.gateway.get('/v1/sources/robot-1/events', limit=1000)
    return [event for event in found if event['metric'] == name]


def test_the_dashboard_sees_the_rules_as_sensors(robot):
    assert ask(robot, 'GET', 'device').json()['sensors'] == [{
        'name': '/t', 'description': 'sensor_msgs/msg/Temperature',
        'metrics': ['kiln.temperature'], 'sample_rate': 2.0, 'prefix': 'kiln',
        'available': False}]


def test_a_recording_tags_events_and_metrics_and_is_known_to_the_gateway(robot):
    status = robot.graph.collect(BridgeStatus, '/plexus_bridge/status')
    temperature = robot.graph.node.create_publisher(Temperature, '/t', 10)
    events = robot.graph.node.create_publisher(Event, '/plexus_bridge/events', 10)

    def publish(message: str) -> None:
        temperature.publish(Temperature(temperature=20.0))
        events.publish(Event(name='door', value=Value(text=message)))

    started = robot.call(StartSession, 'start_session', session_name='Glaze 4')
    assert started.success, started.message
    robot.graph.spin_until(
        lambda: publish('open') or any(started.session_id in line for line in exported(robot)),
        'the metric is tagged')
    robot.graph.spin_until(
        lambda: any(event['tags'].get('session_id') == started.session_id
                    for event in events_of(robot, 'door')), 'the event is tagged')
    session, = robot.gateway.get(SESSIONS)['sessions']
    assert (session['session_id'], session['name'], session['status']) == (
        started.session_id, 'Glaze 4', 'active')
    robot.graph.spin_until(
        lambda: status and status[-1].session_id == started.session_id, 'the status tells it')
    tell(robot, type='stop_session', session_id=started.session_id)
    robot.graph.spin_until(
        lambda: robot.gateway.get(SESSIONS)['sessions'][0]['status'] == 'completed',
        'the gateway knows of its end')
    assert not robot.call(StopSession, 'stop_session').success
    robot.graph.spin_until(
        lambda: publish('shut') or any(
            event['value'] == 'shut' and 'session_id' not in event['tags']
            for event in events_of(robot, 'door')), 'what comes later is not tagged')


def test_settings_of_a_node_answer_with_what_the_node_says(robot):
    node = robot.graph.node
    node.declare_parameter('accel_range', 2)
    node.add_on_set_parameters_callback(lambda parameters: SetParametersResult(
        successful=parameters[0].value in (2, 4, 8), reason='accel_range is 2, 4 or 8'))
    done = robot.call(Configure, 'configure', sensor='test',
                      settings=[KeyValue(key='accel_range', value='8')])
    assert (done.success, done.message) == (True, '')
    assert node.get_parameter('accel_range').value == 8
    refused = robot.call(Configure, 'configure', sensor='/test',
                         settings_json='{"accel_range": 7}')
    assert (refused.success, refused.message) == (False, 'accel_range is 2, 4 or 8')
    unknown = robot.call(Configure, 'configure', sensor='/motors', settings_json='{"a": 1}')
    assert not unknown.success
    assert 'configurable_nodes' in unknown.message
    tell(robot, type='configure', sensor='test', config={'accel_range': 3})
    robot.graph.spin_until(
        lambda: events_of(robot, 'device.error'), 'the gateway has kept what went wrong')
    error, = events_of(robot, 'device.error')
    assert (error['value'], error['tags']['error_source']) == (
        'accel_range is 2, 4 or 8', 'sensor.test')


def test_a_program_that_the_dashboard_starts_tells_its_output(robot):
    messages: list[dict[str, Any]] = []
    with heard_of(robot) as updates:
        tell(robot, type='execute', id='e1', command=(
            f'{sys.executable} -c "for n in range(5000): print(n, 100 * str(7))"'))
        for update in updates:
            if update.get('id') == 'e1' and 'event' in update:
                messages.append(update)
            if update.get('event') == 'exit':
                break
    assert messages[0]['event'] == 'start'
    assert messages[1]['data'] == f'0 {100 * "7"}\n'
    assert messages[-1]['code'] == 0
    assert len(messages) < 3000
    assert any('lines left out' in message.get('data', '') for message in messages)


def test_a_run_that_is_asked_for_again_runs_once(robot):
    heard: list[Any] = []
    first = robot.goal(RunCommand, 'run_command', heard, command='wait', run_id='dock-7')
    robot.graph.spin_until(lambda: heard and heard[-1].state == 'running', 'it runs')
    second = robot.result(
        robot.goal(RunCommand, 'run_command', [], command='wait', run_id='dock-7'))
    assert (second.run_id, second.error_code) == ('dock-7', 'duplicate')
    busy = robot.result(robot.goal(RunCommand, 'run_command', [], command='wait'))
    assert busy.error_code == 'busy'
    cancelled = first.cancel_goal_async()
    robot.graph.spin_until(cancelled.done, 'cancelling is taken')
    again = robot.goal(RunCommand, 'run_command', [], command='wait', run_id='dock-7')
    for handle in (first, again):
        result = robot.result(handle)
        assert (result.run_id, result.error_code) == ('dock-7', 'cancelled')


def test_a_run_keeps_its_metadata_and_the_status_names_it(robot):
    status = robot.graph.collect(BridgeStatus, '/plexus_bridge/status')
    opened = robot.call(StartRun, 'start_run', name='Glaze', metadata_json='{"batch": 4}')
    robot.graph.spin_until(
        lambda: status and status[-1].run_id == opened.run_id, 'the status names the run')
    ended = robot.call(EndRun, 'end_run', outcome=EndRun.Request.OUTCOME_ABORTED,
                       metadata_json='{"by": "me"}')
    assert (ended.success, ended.verdict) == (True, EndRun.Response.VERDICT_NONE)
    run = robot.gateway.get(f'/api/runs/{opened.run_id}')['run']
    assert (run['status'], run['metadata']) == ('aborted', {'batch': 4, 'by': 'me'})
    again = robot.call(EndRun, 'end_run', run_id=opened.run_id, metadata_json='{"more": 1}')
    assert again.success
    run = robot.gateway.get(f'/api/runs/{opened.run_id}')['run']
    assert run['metadata'] == {'batch': 4, 'by': 'me', 'more': 1}


def test_a_gateway_that_hangs_holds_up_neither_other_services_nor_the_end(
        graph, start, tmp_path, ros_environment, wait_until):
    port = free_port()
    gateway = GatewayClient(port, Path(ros_environment['PLEXUS_HOME']))
    server = start('plexus_bridge.gateway.serve', '--port', str(port))
    wait_until(gateway.is_up, 'the gateway answers')
    file = tmp_path / 'robot.yaml'
    file.write_text(MAP.format(url=gateway.url, python=sys.executable))
    robot = BridgedRobot(graph, gateway, start('plexus_bridge.cli', 'run', str(file)))
    wait_until(lambda: is_online(robot), f'the bridge is connected; {robot.bridge.output}')
    server.process.send_signal(signal.SIGSTOP)
    try:
        client = graph.node.create_client(StartRun, '/plexus_bridge/start_run')
        graph.spin_until(client.service_is_ready, 'the service is there')
        client.call_async(StartRun.Request(name='held up'))
        begun = time.monotonic()
        assert robot.call(StartStream, 'start_stream', stream_id='s').success
        assert time.monotonic() - begun < 3.0
        assert robot.bridge.stop() == 0
        assert time.monotonic() - begun < 9.0
    finally:
        server.process.send_signal(signal.SIGCONT)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the robot's own nodes ask of a running bridge, through its services and actions."""

from __future__ import annotations

import json
from pathlib import Path
import sys
from typing import Any

from bridged_robot import BridgedRobot
from diagnostic_msgs.msg import KeyValue
from gateway_client import free_port
from gateway_client import GatewayClient
import pytest
import requests
from sensor_msgs.msg import Temperature
from std_srvs.srv import Trigger

from plexus_msgs.action import Execute
from plexus_msgs.action import RunCommand
from plexus_msgs.msg import PassCriterion
from plexus_msgs.srv import Configure
from plexus_msgs.srv import DeclareCommand
from plexus_msgs.srv import EndRun
from plexus_msgs.srv import StartRun
from plexus_msgs.srv import StartSession
from plexus_msgs.srv import StartStream
from plexus_msgs.srv import StopSession
from plexus_msgs.srv import StopStream

MAP = '''version: 1
source_id: robot-1
gateway: {{url: "{url}"}}
metrics:
  - topic: /t
    fields: [{{path: temperature, metric: t, sampling: {{mode: latest, rate_hz: 1}}}}]
commands:
  - {{name: wait, steps: [{{pause_s: 60}}]}}
  - {{name: greet, steps: [{{pause_s: 0.01}}], params: {{n: {{type: integer}}}}}}
execute: {{allow: ['{python} -c *', 'sleep *']}}
configurable_nodes: [/test]
'''


@pytest.fixture
def robot(graph, start, tmp_path, ros_environment, wait_until) -> BridgedRobot:
    port = free_port()
    gateway = GatewayClient(port, Path(ros_environment['PLEXUS_HOME']))
    start('plexus_bridge.gateway.serve', '--port', str(port))
    wait_until(gateway.is_up, 'the gateway answers')
    file = tmp_path / 'robot.yaml'
    file.write_text(MAP.format(url=gateway.url, python=sys.executable))
    robot = BridgedRobot(graph, gateway, start('plexus_bridge.cli', 'run', str(file)))

    def is_declared() -> bool:
        answer = requests.get(f'{gateway.url}/v1/sources/robot-1/commands',
                              headers={'x-api-key': gateway.key}, timeout=10)
        return answer.ok and len(answer.json()['commands']) == 2

    wait_until(is_declared, f'the bridge is connected; {robot.bridge.output}')
    return robot


def test_streams_sessions_and_rates(robot):
    publisher = robot.graph.node.create_publisher(Temperature, '/t', 10)
    timer = robot.graph.node.create_timer(
        0.02, lambda: publisher.publish(Temperature(temperature=1.0)))

    def rate() -> float:
        """Points that were stored within the newest second."""
        if not robot.gateway.knows('robot-1'):
            return 0
        end = robot.gateway.get('/v1/sources/robot-1/metrics/query', metrics='t', interval='raw')
        stamps = end['series'].get('t', {'timestamp_ms': []})['timestamp_ms']
        return sum(stamp > stamps[-1] - 1000 for stamp in stamps) if stamps else 0

    robot.graph.spin_until(lambda: 1 <= rate() <= 2, 'one a second, as the map says')
    assert robot.call(StartStream, 'start_stream', stream_id='s', metrics=['t'],
                      interval_ms=50).success
    robot.graph.spin_until(lambda: rate() >= 12, 'twenty a second, as the stream wants')
    assert robot.call(StopStream, 'stop_stream', stream_id='*').stream_ids == ['s']
    refused = robot.call(StopStream, 'stop_stream', stream_id='s')
    assert (refused.success, refused.message) == (False, "stream 's' is not in progress")
    robot.graph.spin_until(lambda: 1 <= rate() <= 2, 'one a second again')

    assert robot.call(Configure, 'configure', sensor='/t', settings=[
        KeyValue(key='sample_rate', value='20')]).success
    robot.graph.spin_until(lambda: rate() >= 12, 'twenty a second, as it was configured')
    assert 'stands both' in robot.call(
        Configure, 'configure', sensor='/t', settings=[KeyValue(key='a', value='1')],
        settings_json='{"a": 1}').message

    robot.graph.node.declare_parameter('range', 2)
    assert robot.call(Configure, 'configure', sensor='test', settings_json='{"range": 8}').success
    robot.graph.spin_until(
        lambda: robot.graph.node.get_parameter('range').value == 8, 'the node is configured')
    assert "sensor: saw 'other'" in robot.call(
        Configure, 'configure', sensor='other', settings_json='{"range": 8}').message

    for impossible in ('{"a": 1}', '18446744073709551616', '[1, "a"]'):
        answer = robot.call(Configure, 'configure', sensor='test',
                            settings_json=f'{{"new": {impossible}}}')
        assert not answer.success
        assert answer.message

    started = robot.call(StartSession, 'start_session', session_name='Test drive')
    assert started.success

    def is_tagged() -> bool:
        export = requests.get(
            f'{robot.gateway.url}/v1/export', params={'sources': 'robot-1'},
            headers={'x-api-key': robot.gateway.key}, timeout=10)
        return started.session_id in export.text

    robot.graph.spin_until(is_tagged, 'points carry the session')
    assert not robot.call(StartSession, 'start_session', session_id='other').success
    assert robot.call(StopSession, 'stop_session').session_id == started.session_id
    assert not robot.call(StopSession, 'stop_session').success
    robot.graph.node.destroy_timer(timer)


def test_the_dashboard_asks_as_it_did_of_agents(robot):
    publisher = robot.graph.node.create_publisher(Temperature, '/t', 10)

    def ask(**message: Any) -> Any:
        return requests.post(
            f'{robot.gateway.url}/v1/sources/robot-1/agent-messages', json=message, timeout=10,
            headers={'x-api-key': robot.gateway.key}).json()

    def is_tagged() -> bool:
        publisher.publish(Temperature(temperature=1.0))
        return 's-9' in requests.get(
            f'{robot.gateway.url}/v1/export', params={'sources': 'robot-1'}, timeout=10,
            headers={'x-api-key': robot.gateway.key}).text

    assert ask(type='start_session', session_id='s-9', session_name='Nine')['queued']
    robot.graph.spin_until(is_tagged, 'points carry the session')
    run_id = ask(type='stop_session', session_id='s-9', as_typed_command=True)['run_id']

    def state() -> dict[str, Any]:
        shown = robot.gateway.get(f'/v1/sources/robot-1/command-runs/{run_id}')
        found: dict[str, Any] = shown['run']
        return found

    robot.graph.spin_until(lambda: state()['state'] == 'succeeded', f'it is stopped; {state()}')
    assert state()['result'] == {'session_id': 's-9'}


def test_runs_are_opened_and_judged(robot):
    publisher = robot.graph.node.create_publisher(Temperature, '/t', 10)
    robot.graph.spin_until(
        lambda: publisher.publish(Temperature(temperature=40.0)) or (
            robot.gateway.knows('robot-1') and robot.gateway.latest('robot-1').get('t') == 40.0),
        'a temperature is stored')
    opened = robot.call(StartRun, 'start_run', name='Warm-up', pass_criteria=[
        PassCriterion(metric='t', comparison='<', value=50.0, label='stays cool')])
    assert opened.success, opened.message
    assert opened.started_at.sec > 0
    publisher.publish(Temperature(temperature=60.0))
    robot.graph.spin_until(
        lambda: publisher.publish(Temperature(temperature=60.0)) or (
            robot.gateway.latest('robot-1').get('t') == 60.0), 'it is too warm now')
    ended = robot.call(EndRun, 'end_run', metadata_json='{"by": "me"}')
    assert ended.success, ended.message
    assert ended.run_id == opened.run_id
    assert ended.verdict == EndRun.Response.VERDICT_FAILED
    result, = ended.results
    assert (result.criterion.metric, result.criterion.label, result.passed) == (
        't', 'stays cool', False)
    assert json.loads(ended.verdict_json)['passed'] is False
    nothing = robot.call(EndRun, 'end_run')
    assert (nothing.success, nothing.message) == (
        False, 'run_id: is missing, and start_run has opened none')
    unknown = robot.call(EndRun, 'end_run', run_id='run-that-never-was')
    assert (unknown.success, unknown.error_code) == (False, 'NOT_FOUND')
    assert not robot.call(StartRun, 'start_run', name='').success
    assert 'is not JSON' in robot.call(
        StartRun, 'start_run', name='x', metadata_json='{').message


def test_a_node_declares_a_command_and_the_dashboard_can_run_it(robot):
    def serve(request: Any, response: Any) -> Any:
        response.success, response.message = True, 'the arm is home'
        return response

    robot.graph.node.create_service(Trigger, '/home_arm', serve)
    declared = robot.call(DeclareCommand, 'declare_command', declaration=(
        '{name: home_arm, service: {name: /home_arm, type: std_srvs/Trigger}}'))
    assert declared.success, declared.message
    robot.graph.spin_until(lambda: 'home_arm' in robot.commands(), 'the gateway has heard of it')
    run = requests.post(
        f'{robot.gateway.url}/v1/sources/robot-1/command-runs', timeout=10,
        headers={'x-api-key': robot.gateway.key}, json={'command': 'home_arm'}).json()['run']

    def state() -> dict[str, Any]:
        shown = robot.gateway.get(f'/v1/sources/robot-1/command-runs/{run["run_id"]}')
        found: dict[str, Any] = shown['run']
        return found

    robot.graph.spin_until(lambda: state()['state'] == 'succeeded', f'it has run; {state()}')
    assert state()['result'] == {'success': True, 'message': 'the arm is home'}
    for declaration, told in (
            ('{name: greet, pause_s: 1}', 'greet is a command of the map; choose another name'),
            ('{name: x, service: {name: /x, type: std_srvs/Triger}}', 'Triger'),
            ('{name: x, sevice: {name: /x}}', "did you mean 'service'?"),
            ('[1, 2]', "expected an entry of the map's commands"), ('{', 'is not YAML')):
        refused = robot.call(DeclareCommand, 'declare_command', declaration=declaration)
        assert not refused.success
        assert told in refused.message
    assert robot.call(DeclareCommand, 'declare_command', declaration='{name: home_arm}',
                      withdraw=True).success
    robot.graph.spin_until(lambda: 'home_arm' not in robot.commands(), 'it is offered no more')


def test_commands_are_run_by_an_action(robot):
    feedback: list[Any] = []
    handle = robot.goal(RunCommand, 'run_command', feedback, command='greet', params=[
        KeyValue(key='n', value='7')], run_id='mine')
    result = robot.result(handle)
    assert (result.state, result.run_id, result.result_json) == ('succeeded', 'mine', '{}')
    assert [one.state for one in feedback] == ['acknowledged', 'running']
    again = robot.result(robot.goal(
        RunCommand, 'run_command', [], command='greet', params_json='{"n": 7}', run_id='mine'))
    assert (again.state, again.run_id) == ('succeeded', 'mine')
    refused = robot.result(robot.goal(RunCommand, 'run_command', [], command='greet'))
    assert (refused.state, refused.error_code) == ('failed', 'bad_params')
    handle = robot.goal(RunCommand, 'run_command', feedback, command='wait')
    robot.graph.spin_until(lambda: feedback[-1].state == 'running' and len(feedback) == 4,
                           'it waits')
    cancelled = handle.cancel_goal_async()
    robot.graph.spin_until(cancelled.done, 'cancelling is taken')
    assert robot.result(handle).error_code == 'cancelled'


def test_programs_are_executed_by_an_action(robot):
    lines: list[Any] = []
    handle = robot.goal(Execute, 'execute', lines,
                        command=f'{sys.executable} -c "print(1); print(2); exit(3)"')
    result = robot.result(handle)
    assert (result.outcome, result.exit_code) == (Execute.Result.OUTCOME_EXITED, 3)
    assert [line for one in lines for line in one.lines] == ['1\n', '2\n']
    rejected = robot.result(robot.goal(Execute, 'execute', [], command='rm -rf /'))
    assert rejected.outcome == Execute.Result.OUTCOME_REJECTED
    assert 'denied' in rejected.message
    late = robot.result(robot.goal(Execute, 'execute', [], command='sleep 60', timeout_s=0.2))
    assert late.outcome == Execute.Result.OUTCOME_TIMED_OUT
    handle = robot.goal(Execute, 'execute', [], command='sleep 60')
    cancelled = handle.cancel_goal_async()
    robot.graph.spin_until(cancelled.done, 'cancelling is taken')
    result = robot.result(handle)
    assert (result.outcome, result.exit_code) == (Execute.Result.OUTCOME_CANCELLED, -15)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands of a map, carried out on a real graph with real servers."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
import rclpy
from rclpy.action import ActionServer
from rclpy.action import CancelResponse
from rclpy.action import GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException
from rclpy.executors import MultiThreadedExecutor
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger
from test_msgs.action import Fibonacci
from test_msgs.srv import Arrays
from test_msgs.srv import BasicTypes

from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.config.map import load_map
from plexus_bridge.counters import Counters
from plexus_bridge.ros.chores import Chores
from plexus_bridge.ros.targets.map_target import MapTarget


class Robot:
    """The robot's own nodes, served on threads of their own."""

    def __init__(self, context: rclpy.Context):
        self.node = Node('robot', context=context)
        self.executor = MultiThreadedExecutor(4, context=context)
        self.executor.add_node(self.node)
        self.released = threading.Event()
        self.called: list[Any] = []
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self.executor.spin()

    def close(self) -> None:
        self.released.set()
        self.executor.shutdown()
        self._thread.join()
        self.node.destroy_node()

    def service(self, kind: Any, name: str, answer: Callable[[Any, Any], None]) -> Any:
        def serve(request: Any, response: Any) -> Any:
            self.called.append(request)
            answer(request, response)
            return response
        return self.node.create_service(
            kind, name, serve, callback_group=ReentrantCallbackGroup())

    def action(self, **handlers: Any) -> ActionServer:
        """Serve /count: feedback for each number, then wait to be released or cancelled."""
        def execute(goal: Any) -> Any:
            self.called.append(goal.request)
            result = Fibonacci.Result(sequence=[0, 1])
            for number in range(goal.request.order):
                goal.publish_feedback(Fibonacci.Feedback(sequence=[number]))
            while not self.released.wait(0.02):
                if goal.is_cancel_requested:
                    goal.canceled()
                    return result
            if goal.request.order == 13:
                goal.abort()
            else:
                goal.succeed()
            return result
        return ActionServer(
            self.node, Fibonacci, '/count', handlers.pop('execute', execute),
            cancel_callback=handlers.pop('cancel_callback', lambda _: CancelResponse.ACCEPT),
            **handlers)


class Bridge:
    """A dispatcher with the commands of a map, on a node and executor as the bridge has them."""

    def __init__(self, context: rclpy.Context, folder: Any):
        self.node = Node('plexus_bridge', context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.chores = Chores(self.node, self.executor)
        self.dispatcher = Dispatcher(Counters())
        self.dispatcher.opened({}, time.monotonic())
        self.said: list[dict[str, Any]] = []
        self._folder = folder
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self.executor.spin()

    def close(self) -> None:
        self.executor.shutdown()
        self._thread.join()
        self.node.destroy_node()

    def offer(self, commands: str) -> None:
        file = self._folder / 'robot.yaml'
        file.write_text(f'version: 1\ncommands:\n{commands}')
        for rule in load_map(file).commands:
            self.dispatcher.add(rule.declaration, MapTarget(self.node, rule, self.chores))

    def run(self, run_id: str, command: str, **params: Any) -> None:
        self.dispatcher.receive({'type': 'command_run', 'run_id': run_id, 'command': command,
                                 'params': params}, time.monotonic())
        self.hear()

    def hear(self) -> list[dict[str, Any]]:
        self.said += [dict(message) for message in
                      self.dispatcher.messages_to_send(time.monotonic())]
        return self.said

    def states(self, run_id: str) -> list[str]:
        return [said['state'] for said in self.hear() if said['run_id'] == run_id]

    def end(self, run_id: str, seconds: float = 10.0) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for said in self.hear():
                if said['run_id'] == run_id and said['state'] in ('succeeded', 'failed'):
                    return said
            time.sleep(0.005)
        pytest.fail(f'{run_id} has not ended within {seconds} s: {self.said}')

    def carried_out(self, command: str, **params: Any) -> dict[str, Any]:
        self.run(command, command, **params)
        return self.end(command)


@pytest.fixture
def context(ros_environment, monkeypatch) -> Iterator[rclpy.Context]:
    for name in ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOG_DIR'):
        monkeypatch.setenv(name, ros_environment[name])
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def robot(context) -> Iterator[Robot]:
    robot = Robot(context)
    yield robot
    robot.close()


@pytest.fixture
def bridge(context, robot, tmp_path) -> Iterator[Bridge]:
    bridge = Bridge(context, tmp_path)
    yield bridge
    bridge.close()


def fill_trigger(success: bool, message: str) -> Callable[[Any, Any], None]:
    def answer(request: Any, response: Any) -> None:
        response.success, response.message = success, message
    return answer


def wait(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f'after {seconds} s still not so: {what}')
        time.sleep(0.005)


# -- services


def test_a_service_is_called_with_typed_parameters_and_its_answer_reported(bridge, robot):
    def answer(request: Any, response: Any) -> None:
        response.float64_value = float('nan')
        response.string_value = f'{request.string_value}!'

    robot.service(BasicTypes, '/basic', answer)
    bridge.offer('''
  - name: basic
    service:
      name: /basic
      type: test_msgs/BasicTypes
      request: {int8_value: "{small}", float32_value: "{small}", string_value: "bay {small}",
                bool_value: "{flag}", byte_value: 7}
      result: {text: string_value, number: float64_value}
    params: {small: {type: integer}, flag: {type: boolean, required: false}}
''')
    end = bridge.carried_out('basic', small='5')
    assert end['result'] == {'text': 'bay 5!', 'number': None}
    request, = robot.called
    assert (request.int8_value, request.float32_value, request.bool_value) == (5, 5.0, False)
    assert request.byte_value == b'\x07'
    assert bridge.states('basic') == ['acknowledged', 'running', 'succeeded']


def test_a_service_whose_type_is_not_given_is_called_as_it_is_offered(bridge, robot):
    robot.service(SetBool, '/lights', fill_trigger(True, 'on'))
    bridge.offer('  - {name: lights, service: {name: /lights, request: {data: true}}}\n')
    assert bridge.carried_out('lights')['result'] == {'success': True, 'message': 'on'}
    assert robot.called[0].data is True


def test_nested_and_repeated_fields_reach_the_service(bridge, robot):
    robot.service(Arrays, '/arrays', lambda request, response: None)
    bridge.offer('''
  - name: arrays
    service:
      name: /arrays
      type: test_msgs/Arrays
      request:
        float64_values: [1, 2, 3]
        byte_values: [1, 2, 3]
        string_values: [a, b, "{last}"]
        basic_types_values: [{int32_value: 4}, {}, {bool_value: true}]
    params: {last: {type: string}}
''')
    end = bridge.carried_out('arrays', last='c')
    assert end['state'] == 'succeeded', end
    request, = robot.called
    assert list(request.float64_values) == [1.0, 2.0, 3.0]
    assert request.string_values == ['a', 'b', 'c']
    assert [value.int32_value for value in request.basic_types_values] == [4, 0, 0]
    assert list(end['result']['int8_values']) == [0, 0, 0]


@pytest.mark.parametrize(('more', 'state', 'error'), [
    ('', 'failed', 'the door is open'), (', success: false', 'succeeded', None)])
def test_a_service_that_says_no_fails_the_run(bridge, robot, more, state, error):
    robot.service(Trigger, '/dock', fill_trigger(False, 'the door is open'))
    bridge.offer(f'  - {{name: dock, service: {{name: /dock, type: std_srvs/Trigger{more}}}}}\n')
    end = bridge.carried_out('dock')
    assert (end['state'], end.get('error_message')) == (state, error)


def test_a_service_that_is_not_there_is_waited_for(bridge, robot):
    bridge.offer('  - {name: dock, service: {name: /dock, wait_s: 10}}\n'
                 '  - {name: never, service: {name: /never, type: std_srvs/Trigger, '
                 'wait_s: 0.1}}\n')
    bridge.run('r', 'dock')
    end = bridge.carried_out('never')
    assert (end['error_code'], end['error_message']) == (
        'handler_error', 'service /never is not there: nobody on the graph offers it '
        '(waited 0.1 s)')
    robot.service(Trigger, '/dock', fill_trigger(True, 'docked'))
    assert bridge.end('r')['result'] == {'success': True, 'message': 'docked'}


def test_a_service_that_does_not_answer_in_time_fails_the_run_and_blocks_no_other(bridge, robot):
    robot.service(Trigger, '/slow', lambda request, response: robot.released.wait(10.0))
    robot.service(Trigger, '/quick', fill_trigger(True, ''))
    bridge.offer('  - {name: slow, timeout_s: 0.5, service: {name: /slow}}\n'
                 '  - {name: quick, service: {name: /quick}}\n')
    bridge.run('r1', 'slow')
    wait(lambda: robot.called, 'the slow one was called')
    bridge.run('r2', 'slow')
    assert bridge.end('r2')['error_code'] == 'busy'
    assert bridge.carried_out('quick')['state'] == 'succeeded'
    assert bridge.states('r1') == ['acknowledged', 'running']
    assert bridge.end('r1')['error_message'] == 'service /slow did not answer within 0.5 s'


def test_a_value_that_does_not_fit_the_field_is_a_bad_parameter(bridge, robot):
    robot.service(BasicTypes, '/basic', lambda request, response: None)
    bridge.offer('  - {name: basic, service: {name: /basic, request: {uint8_value: "{n}"}}, '
                 'params: {n: {type: integer}}}\n')
    end = bridge.carried_out('basic', n=256)
    assert end['error_code'] == 'bad_params'
    assert end['error_message'] == 'request.uint8_value: saw 256, expected uint8, 0 to 255'
    assert robot.called == []


def test_a_delivery_that_comes_twice_calls_the_service_once(bridge, robot):
    robot.service(Trigger, '/dock', fill_trigger(True, ''))
    bridge.offer('  - {name: dock, service: {name: /dock}}\n')
    for _ in range(3):
        bridge.run('r', 'dock')
    bridge.end('r')
    bridge.run('r', 'dock')
    wait(lambda: bridge.states('r').count('succeeded') == 2, 'the end is told again')
    assert len(robot.called) == 1


# -- actions

COUNT = '''
  - name: count
    timeout_s: {timeout}
    action:
      name: /count
      type: test_msgs/Fibonacci
      goal: {{order: "{{order}}"}}
      progress: {{path: "sequence[0]", from: 0, to: 4}}
    params: {{order: {{type: integer}}}}
'''


def test_an_action_reports_feedback_as_progress_and_its_result(bridge, robot):
    server = robot.action()
    bridge.offer(COUNT.format(timeout=10))
    bridge.run('r', 'count', order=3)
    wait(lambda: 'progress' in bridge.states('r'), 'feedback became progress')
    robot.released.set()
    assert bridge.end('r')['result'] == {'sequence': [0, 1]}
    # Three came at once, and one a second is sent.
    assert bridge.states('r') == ['acknowledged', 'running', 'progress', 'succeeded']
    progress = next(said for said in bridge.said if said['state'] == 'progress')
    assert (progress['progress'], progress['message']) == (0.0, '{"sequence":[0]}')
    server.destroy()


def test_cancelling_a_run_cancels_its_goal(bridge, robot):
    server = robot.action()
    bridge.offer(COUNT.format(timeout=10))
    bridge.run('r', 'count', order=1)
    wait(lambda: robot.called, 'the goal is carried out')
    assert bridge.dispatcher.cancel('r')
    end = bridge.end('r')
    assert (end['error_code'], end['error_message']) == (
        'cancelled', 'action /count was cancelled')
    server.destroy()


def test_the_end_of_the_bridge_cancels_its_goals(bridge, robot):
    cancelled = threading.Event()

    def cancel(_: Any) -> CancelResponse:
        cancelled.set()
        return CancelResponse.ACCEPT

    server = robot.action(cancel_callback=cancel)
    bridge.offer(COUNT.format(timeout=10))
    bridge.run('r', 'count', order=1)
    wait(lambda: robot.called, 'the goal is carried out')
    bridge.dispatcher.close()
    assert bridge.chores.drain(5.0)
    bridge.executor.shutdown()  # as the bridge does at once
    assert cancelled.wait(5.0)
    assert bridge.end('r')['error_code'] == 'cancelled'
    server.destroy()


def test_a_goal_that_takes_too_long_is_cancelled(bridge, robot):
    cancelled = threading.Event()

    def execute(goal: Any) -> Any:
        while not goal.is_cancel_requested:
            time.sleep(0.01)
        cancelled.set()
        goal.canceled()
        return Fibonacci.Result()

    server = robot.action(execute=execute)
    bridge.offer(COUNT.format(timeout=0.5))
    end = bridge.carried_out('count', order=1)
    assert end['error_message'] == 'action /count did not answer within 0.5 s'
    assert cancelled.wait(5.0)
    server.destroy()


def test_an_aborted_goal_fails_with_what_the_server_gave(bridge, robot):
    server = robot.action()
    robot.released.set()
    bridge.offer(COUNT.format(timeout=10))
    end = bridge.carried_out('count', order=13)
    assert (end['error_code'], end['error_message']) == (
        'handler_error', 'action /count was aborted: {"sequence":[0,1]}')
    server.destroy()


def test_a_rejected_goal_fails(bridge, robot):
    server = robot.action(goal_callback=lambda _: GoalResponse.REJECT)
    bridge.offer('  - {name: count, action: {name: /count, goal: {order: 2}}}\n')
    assert bridge.carried_out('count')['error_message'] == 'action /count rejected the goal'
    server.destroy()


SERVER = '''
import sys, threading
import rclpy
from rclpy.action import ActionServer
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.task import Future
from test_msgs.action import Fibonacci

async def execute(goal):
    print('begun', flush=True)
    await Future()

rclpy.init()
node = Node('other')
server = ActionServer(node, Fibonacci, '/count', execute)
executor = SingleThreadedExecutor()
executor.add_node(node)
thread = threading.Thread(target=executor.spin)
thread.start()
sys.stdin.readline()
executor.shutdown()
thread.join()
server.destroy()
node.destroy_node()
rclpy.shutdown()
'''


def test_an_action_server_that_goes_away_fails_the_run(bridge, ros_environment):
    with subprocess.Popen(
            [sys.executable, '-c', SERVER], env=ros_environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        patient = COUNT.replace('type: test', 'wait_s: 20\n      type: test')
        bridge.offer(patient.format(timeout=60))
        bridge.run('r', 'count', order=1)
        assert other.stdout.readline() == b'begun\n'
        other.stdin.close()
        other.wait(10.0)
        assert bridge.end('r')['error_message'] == 'action /count went away before it answered'


# -- parameters, topics, lifecycle, sequences


def test_parameters_are_set_all_or_none_and_read(bridge, robot):
    robot.node.declare_parameter('speed', 0.5)
    robot.node.declare_parameter('count', 3)
    robot.node.declare_parameter('name', 'a')
    bridge.offer('''
  - name: tune
    parameter: {node: /robot, set: {speed: "{n}", count: "{n}"}, get: [speed, count, name]}
    params: {n: {type: number}}
  - {name: look, parameter: {node: /robot, get: [nothing_such]}}
''')
    assert bridge.carried_out('tune', n=2)['result'] == {'speed': 2.0, 'count': 2, 'name': 'a'}
    bridge.run('again', 'tune', n=2.5)
    end = bridge.end('again')
    assert (end['error_code'], end['error_message']) == (
        'bad_params', 'parameter count of /robot: saw 2.5, expected a whole number, as it is now '
        '(2)')
    assert robot.node.get_parameter('speed').value == 2.0
    assert bridge.carried_out('look')['error_message'] == (
        '/robot has no parameters nothing_such')


def test_messages_are_published_in_the_order_of_the_runs(bridge, robot):
    heard: list[str] = []
    robot.node.create_subscription(String, '/say', lambda msg: heard.append(msg.data), 100)
    bridge.offer('  - {name: say, concurrency: accept, publish: {topic: /say, '
                 'type: std_msgs/String, message: {data: "{t}"}, wait_s: 10}, '
                 'params: {t: {type: string}}}\n'
                 '  - {name: shout, publish: {topic: /shout, type: std_msgs/String, '
                 'wait_s: 0.1}}\n')
    for number in range(20):
        bridge.run(f'r{number}', 'say', t=str(number))
    wait(lambda: len(heard) == 20, 'all were heard')
    assert heard == [str(number) for number in range(20)]
    assert bridge.end('r19')['result'] == {'subscriptions': 1}
    assert bridge.carried_out('shout')['error_message'] == (
        'nobody listens to /shout (waited 0.1 s)')


class Camera(LifecycleNode):
    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        return TransitionCallbackReturn.FAILURE


def test_a_managed_node_changes_its_state(bridge, robot, context):
    camera = Camera('camera', context=context)
    robot.executor.add_node(camera)
    bridge.offer('  - {name: camera, lifecycle: {node: /camera, transition: "{to}"}, '
                 'params: {to: {type: string, enum: [configure, activate]}}}\n')
    assert bridge.carried_out('camera', to='configure')['result'] == {'state': 'inactive'}
    bridge.run('r', 'camera', to='activate')
    assert bridge.end('r')['error_message'] == '/camera did not activate; it is inactive'
    robot.executor.remove_node(camera)
    camera.destroy_node()


def test_a_sequence_stops_at_the_first_step_that_fails(bridge, robot):
    robot.service(Trigger, '/one', fill_trigger(True, 'first'))
    robot.service(Trigger, '/two', fill_trigger(False, 'stuck'))
    robot.service(Trigger, '/three', fill_trigger(True, 'third'))
    bridge.offer('''
  - name: good
    steps: [{service: {name: /one}}, {pause_s: 0.1}, {service: {name: /three}}]
  - name: bad
    steps: [{service: {name: /one}}, {service: {name: /two}}, {service: {name: /three}}]
''')
    assert bridge.carried_out('good')['result'] == {'steps': [
        {'success': True, 'message': 'first'}, {}, {'success': True, 'message': 'third'}]}
    robot.called.clear()
    end = bridge.carried_out('bad')
    assert end['error_message'] == 'step 2 of 3 (service /two): stuck'
    assert len(robot.called) == 2


def test_a_sequence_is_cancelled_between_its_steps(bridge, robot):
    robot.service(Trigger, '/one', fill_trigger(True, ''))
    bridge.offer('  - name: slow\n    steps: [{pause_s: 60}, {service: {name: /one}}]\n')
    bridge.run('r', 'slow')
    wait(lambda: 'running' in bridge.states('r'), 'it runs')
    bridge.dispatcher.cancel('r')
    assert bridge.end('r')['error_code'] == 'cancelled'
    assert robot.called == []

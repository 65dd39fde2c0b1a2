# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from plexus_bridge.commands.agents import Agents
from plexus_bridge.commands.agents import ProgramMessages
from plexus_bridge.commands.agents import StreamMessages
from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.commands.programs import Programs
from plexus_bridge.commands.streams import MAX_STREAMS
from plexus_bridge.commands.streams import Streams
from plexus_bridge.counters import Counters
from plexus_bridge.errors import CommandError
from plexus_bridge.mapping.adjustments import Adjustments
from plexus_bridge.mapping.adjustments import Wish


class Robot:
    """A dispatcher with all agents' messages, and what became of them."""

    def __init__(self) -> None:
        self.changes: list[Adjustments] = []
        self.configured: list[tuple[str, Any]] = []
        self.dispatcher = Dispatcher(Counters())
        self.streams = Streams(self.changes.append, lambda: {'/imu', '/odom'}, self._configure)
        agents = Agents()
        messages = StreamMessages(self.streams, self.dispatcher.send)
        agents.add(messages)
        agents.add(ProgramMessages(
            Programs(allow=['echo *']), self.dispatcher.send, self.dispatcher.cancel))
        self.dispatcher.agent = agents
        self.dispatcher.on_opened.append(messages.opened)
        self.dispatcher.opened({}, 0.0)
        self.now = 1.0

    def _configure(self, node: str, config: Any, done: Any) -> None:
        if node != 'mpu6050':
            raise CommandError('bad_params', f'sensor: saw {node}')
        self.configured.append((node, config))
        done('the range is 2, 4, 8 or 16' if config == {'range': 7} else '')

    def hear(self, **message: Any) -> list[dict[str, Any]]:
        self.now += 1.0
        assert self.dispatcher.receive(message, self.now)
        return [dict(answer) for answer in self.dispatcher.messages_to_send(self.now)]


@pytest.fixture
def robot() -> Robot:
    return Robot()


def test_a_ping_is_answered(robot):
    assert robot.hear(type='ping') == [{'type': 'pong'}]


def test_a_stream_is_wanted_until_it_is_stopped(robot):
    assert robot.hear(type='start_stream', id='s1', metrics=['battery'], interval_ms=50,
                      source_id='x', store=True) == []
    assert robot.changes[-1].wishes == (Wish(('battery',), 50.0),)
    robot.hear(type='start_stream', id='s2')
    assert robot.changes[-1].wishes[1] == Wish((), 100.0)
    robot.hear(type='stop_stream', id='s1')
    assert len(robot.changes[-1].wishes) == 1
    robot.hear(type='start_stream', id='s3')
    robot.hear(type='stop_stream', id='*')
    assert robot.changes[-1].wishes == ()


def test_without_a_link_only_what_is_to_be_kept_goes_on(robot):
    robot.hear(type='start_stream', id='far')
    robot.hear(type='start_stream', id='record', metrics=['a'], store=True)
    robot.hear(type='start_session', session_id='s', session_name='S', interval_ms=250)
    robot.streams.start_stream('near', ('x',), 20.0, remote=False)
    robot.dispatcher.lost(2.0)
    session = Wish((), 250.0, 's')
    assert robot.changes[-1].wishes == (Wish(('a',), 100.0), session)
    robot.dispatcher.opened({}, 3.0)
    assert robot.changes[-1].wishes == (Wish(('a',), 100.0), Wish(('x',), 20.0), session)


def test_the_gateway_hears_of_recordings_that_it_missed(robot):
    def told() -> list[tuple[str, str]]:
        robot.dispatcher.opened({}, robot.now)
        return [(message['type'], message['session_id'])
                for message in robot.dispatcher.messages_to_send(robot.now)]

    robot.dispatcher.lost(2.0)
    robot.streams.start_session('a', '', (), None)
    robot.streams.stop_session('')
    robot.streams.start_session('b', '', (), None)
    assert told() == [
        ('session_started', 'a'), ('session_stopped', 'a'), ('session_started', 'b')]
    robot.dispatcher.lost(3.0)
    assert told() == [('session_started', 'b')]
    robot.streams.stop_session('b')
    assert robot.dispatcher.messages_to_send(4.0)[0]['type'] == 'session_stopped'
    robot.dispatcher.lost(5.0)
    assert told() == []


def test_a_session_is_confirmed_and_tags_points(robot):
    assert robot.hear(type='start_session', session_id='s', session_name='Glaze 4',
                      metrics=['t']) == [
        {'type': 'session_started', 'session_id': 's', 'session_name': 'Glaze 4'}]
    assert robot.changes[-1].wishes == (Wish(('t',), None, 's'),)
    refusal, = robot.hear(type='start_session', session_id='other')
    assert 'session s is in progress' in refusal['error']
    assert robot.hear(type='stop_session', session_id='s') == [
        {'type': 'session_stopped', 'session_id': 's', 'session_name': 'Glaze 4'}]
    assert robot.changes[-1].wishes == ()


def test_rates_and_prefixes_of_topics_are_configured(robot):
    assert robot.hear(type='configure', sensor='/imu',
                      config={'sample_rate': '50', 'prefix': 'front'}) == []
    assert robot.changes[-1] == Adjustments((), {'/imu': 50.0}, {'/imu': 'front'})
    assert robot.hear(type='configure', sensor='mpu6050', config={'range': 8}) == []
    assert robot.configured == [('mpu6050', {'range': 8})]
    error, = robot.hear(type='configure', sensor='mpu6050', config={'range': 7})
    assert (error['type'], error['source'], error['error']) == (
        'device_error', 'sensor.mpu6050', 'the range is 2, 4, 8 or 16')


@pytest.mark.parametrize('message', [
    {'type': 'start_stream', 'metrics': 'all'}, {'type': 'start_stream', 'metrics': [7]},
    {'type': 'start_stream', 'metrics': ['x'] * 1001},
    {'type': 'start_stream', 'interval_ms': 'fast'},
    {'type': 'start_stream', 'interval_ms': -1}, {'type': 'start_stream', 'interval_ms': True},
    {'type': 'start_stream', 'interval_ms': float('nan')}, {'type': 'start_stream', 'id': 7},
    {'type': 'start_stream', 'id': 'x' * 300}, {'type': 'stop_stream', 'id': 'nobody'},
    {'type': 'stop_session', 'session_id': 'nobody'}, {'type': 'stop_session'},
    {'type': 'configure', 'sensor': '/imu'}, {'type': 'configure', 'sensor': '/imu', 'config': 7},
    {'type': 'configure', 'sensor': '/imu', 'config': {'sample_rate': 'fast'}},
    {'type': 'configure', 'sensor': '/imu', 'config': {'sample_rate': 0}},
    {'type': 'configure', 'sensor': '/imu', 'config': {'sample_rate': True}},
    {'type': 'configure', 'sensor': '/imu', 'config': {'prefix': ''}},
    {'type': 'configure', 'sensor': '/imu', 'config': {'sample_rate': 5, 'range': 8}},
    {'type': 'configure', 'sensor': '/base_controller', 'config': {'max_speed': 99}},
    {'type': 'execute', 'id': 'x', 'command': 'rm -rf /'}])
def test_what_makes_no_sense_is_refused_and_changes_nothing(robot, message):
    refusal = robot.hear(**message)[-1]
    assert refusal['type'] == 'device_error'
    assert refusal['source'] == f'command.{message["type"]}'
    assert robot.changes[1:] == []
    assert robot.configured == []


def test_so_many_streams_and_no_more(robot):
    for number in range(MAX_STREAMS):
        robot.hear(type='start_stream', id=str(number))
    assert 'in progress already' in robot.hear(type='start_stream', id='one more')[0]['error']
    assert robot.hear(type='start_stream', id='0', interval_ms=5) == []


def test_as_typed_command_the_answer_is_a_result(robot):
    ack, result = robot.hear(type='typed_command', id='c', command='start_stream',
                             params={'id': 's', 'metrics': []})
    assert (ack['event'], result['event'], result['result']) == ('ack', 'result', {'id': 's'})
    ack, error = robot.hear(type='typed_command', id='d', command='stop_stream',
                            params={'stream_id': 'x'})
    assert error['error'] == "stream 'x' is not in progress"


def test_a_program_is_executed_and_its_output_sent(robot, wait_until):
    heard = robot.hear(type='execute', id='e', command='echo hello', timeout_seconds=5)

    def ended() -> bool:
        heard.extend(robot.dispatcher.messages_to_send(robot.now))
        return heard[-1]['event'] == 'exit'

    wait_until(ended, 'it has ended')
    assert [message['event'] for message in heard] == ['start', 'data', 'exit']
    assert robot.hear(type='execute', id='e', command='') == []


def test_cancel_ends_the_run_that_it_names(robot):
    class Held:
        def start(self, run: Any) -> None:
            self.run = run

    target = Held()
    robot.dispatcher.add_legacy('wait', target)
    robot.hear(type='typed_command', id='c', command='wait')
    robot.hear(type='cancel', id='typed-c')
    assert target.run.cancel_requested
    assert robot.hear(type='cancel') == []


def test_cancelling_a_run_that_has_ended_cancels_no_program():
    cancelled = []

    class Recorded(Programs):
        def cancel(self) -> None:
            cancelled.append('program')

    messages = ProgramMessages(Recorded(), lambda _: None, lambda _: False)
    messages.receive({'type': 'cancel', 'run_id': 'ended'})
    assert cancelled == []
    messages.receive({'type': 'cancel', 'id': 'x1'})
    assert cancelled == ['program']

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from plexus_bridge.commands import runs
from plexus_bridge.commands.declarations import declare
from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.commands.memory import INTERRUPTED
from plexus_bridge.commands.memory import RunMemory
from plexus_bridge.commands.run import HandlerTarget
from plexus_bridge.commands.run import Run
from plexus_bridge.counters import Counters
from plexus_bridge.errors import CommandCancelled
from plexus_bridge.errors import CommandError

ANSWER = {'type': 'authenticated'}


class Held:
    """A target whose runs end when the test says so."""

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def start(self, run: Run) -> None:
        self.runs.append(run)


class Gateway:
    """The other end: what it sends arrives, what the robot says is collected."""

    def __init__(self, dispatcher: Dispatcher):
        self.dispatcher = dispatcher
        self.now = 100.0
        self.messages: list[dict[str, Any]] = []
        self.open()

    def open(self) -> None:
        self.dispatcher.opened(ANSWER, self.now)
        self.hear()

    def hear(self) -> list[dict[str, Any]]:
        new = [dict(message) for message in self.dispatcher.messages_to_send(self.now)]
        self.messages += new
        return new

    def send(self, **message: Any) -> list[dict[str, Any]]:
        assert self.dispatcher.receive(message, self.now)
        return self.hear()

    def run(self, run_id: str, command: str, params: Any = None, **more: Any,
            ) -> list[dict[str, Any]]:
        return self.send(type='command_run', run_id=run_id, command=command, params=params, **more)

    def ends(self) -> dict[str, str]:
        return {message['run_id']: message.get('error_code', message['state'])
                for message in self.messages if message.get('state') in ('succeeded', 'failed')}


@pytest.fixture
def target() -> Held:
    return Held()


@pytest.fixture
def gateway(target: Held) -> Gateway:
    dispatcher = Dispatcher(Counters())
    dispatcher.add(declare('dock', {'bay': {'type': 'integer'}}), target)
    dispatcher.add(declare('ping_all', concurrency='accept'), target)
    return Gateway(dispatcher)


def states(messages: list[dict[str, Any]]) -> list[str]:
    return [message.get('error_code') or message.get('state') or message.get('event')
            for message in messages]


def test_what_is_declared_is_said_in_the_first_message(gateway):
    assert [command['name'] for command in gateway.dispatcher.hello()['commands']] == [
        'dock', 'ping_all']
    assert Dispatcher(Counters()).hello() == {}


def test_a_run_is_acknowledged_begun_and_ended(gateway, target):
    assert states(gateway.run('r1', 'dock', {'bay': '2'})) == ['acknowledged']
    (run,) = target.runs
    assert run.params == {'bay': 2}
    run.running()
    run.progress(40, 'aligning')
    run.succeed({'at': 2})
    assert states(gateway.hear()) == ['running', 'progress', 'succeeded']
    run.fail('too late')
    run.progress(50)
    assert gateway.hear() == []


@pytest.mark.parametrize(('message', 'code'), [
    ({'command': 'fly'}, 'unknown_command'), ({'command': None}, 'unknown_command'),
    ({'command': 'fly', 'ttl_ms': -5}, 'unknown_command'),
    ({'command': 'dock'}, 'bad_params'), ({'command': 'dock', 'params': [1]}, 'bad_params'),
    ({'command': 'dock', 'params': {'bay': 'x'}, 'ttl_ms': 0}, 'bad_params'),
    ({'command': 'dock', 'params': {f'p{i}': 1 for i in range(17)}}, 'bad_params'),
    ({'command': 'dock', 'params': {'bay': 1}, 'ttl_ms': 0}, 'expired_on_arrival')])
def test_what_cannot_be_run_is_refused_with_the_protocols_code(gateway, target, message, code):
    answers = gateway.send(type='command_run', run_id='r', **message)
    assert states(answers) == [code]
    assert answers[0]['error_message']
    assert target.runs == []


def test_a_command_in_progress_is_busy_unless_it_accepts_more(gateway, target):
    gateway.run('r1', 'dock', {'bay': 1})
    assert states(gateway.run('r2', 'dock', {'bay': 1})) == ['busy']
    target.runs[0].succeed()
    gateway.hear()
    assert states(gateway.run('r3', 'dock', {'bay': 1})) == ['acknowledged']
    gateway.run('p1', 'ping_all')
    assert states(gateway.run('p2', 'ping_all')) == ['acknowledged']


def test_so_many_runs_at_once_are_busy_whatever_the_command(gateway, monkeypatch):
    monkeypatch.setattr(runs, 'MAX_ACTIVE', 3)
    answers = [states(gateway.run(f'p{i}', 'ping_all')) for i in range(4)]
    assert answers == [['acknowledged']] * 3 + [['busy']]


def test_a_run_that_comes_again_is_answered_and_not_run(gateway, target):
    gateway.run('r1', 'dock', {'bay': 1})
    assert states(gateway.run('r1', 'dock', {'bay': 1}, attempt=2)) == ['acknowledged']
    target.runs[0].succeed({'at': 1})
    gateway.hear()
    (again,) = gateway.run('r1', 'dock', {'bay': 1}, attempt=3)
    assert (again['state'], again['result']) == ('succeeded', {'at': 1})
    assert len(target.runs) == 1


def test_a_target_that_cannot_begin_fails_the_run_and_nothing_else(gateway):
    class Broken:
        def start(self, run: Run) -> None:
            raise ZeroDivisionError('bad day')

    class Busy:
        def start(self, run: Run) -> None:
            raise CommandError('busy', 'no thread')

    gateway.dispatcher.add(declare('broken'), Broken())
    gateway.dispatcher.add(declare('full'), Busy())
    _, last = gateway.run('r1', 'broken')
    assert (last['error_code'], last['error_message']) == (
        'handler_error', 'ZeroDivisionError: bad day')
    assert states(gateway.run('r2', 'full')) == ['acknowledged', 'busy']
    assert states(gateway.run('r3', 'dock', {'bay': 1})) == ['acknowledged']


@pytest.mark.parametrize(('handler', 'code', 'message'), [
    (lambda run: {}['x'], 'handler_error', "KeyError: 'x'"),
    (lambda run: (_ for _ in ()).throw(Run.Cancelled()), 'cancelled', 'cancelled'),
    (lambda run: (_ for _ in ()).throw(CommandCancelled('enough')), 'cancelled', 'enough')])
def test_a_handler_that_raises_fails_its_run(gateway, wait_until, handler, code, message):
    gateway.dispatcher.add(declare('work'), HandlerTarget(handler))
    gateway.run('r', 'work')
    wait_until(lambda: gateway.hear() or 'r' in gateway.ends(), 'the run has ended')
    gateway.hear()
    end = gateway.messages[-1]
    assert (end['error_code'], end['error_message']) == (code, message)


def test_a_handler_reports_from_its_own_thread_and_wakes_the_link(gateway, wait_until):
    woken = threading.Event()
    gateway.dispatcher.wake = woken.set
    gateway.dispatcher.add(declare('work'), HandlerTarget(lambda run: threading.get_ident()))
    gateway.run('r', 'work')
    assert woken.wait(5.0)
    wait_until(lambda: gateway.hear() or 'r' in gateway.ends(), 'the run has ended')
    result = gateway.messages[-1]['result']
    assert result['value'] != threading.get_ident()


def test_a_handler_without_a_thread_is_busy(gateway, monkeypatch):
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, 'start', no_thread)
    gateway.dispatcher.add(declare('work'), HandlerTarget(lambda run: None))
    assert states(gateway.run('r', 'work')) == ['acknowledged', 'busy']


def test_a_cancelled_run_is_told_so_once(gateway, target):
    gateway.run('r', 'dock', {'bay': 1})
    asked = []
    target.runs[0].on_cancel(lambda: asked.append(1))
    assert gateway.dispatcher.cancel('r')
    assert gateway.dispatcher.cancel('r')
    assert asked == [1]
    assert target.runs[0].cancel_requested
    target.runs[0].fail('stopped', 'cancelled')
    assert not gateway.dispatcher.cancel('r')
    assert states(gateway.hear()) == ['cancelled']


def test_a_run_cancelled_before_its_target_listens_is_told_then(target):
    run = Run('r', 'dock', {}, _Silent())
    run.cancel()
    asked = []
    run.on_cancel(lambda: asked.append(1))
    assert asked == [1]


class _Silent:
    def running(self) -> None: ...
    def progress(self, percent: float, message: str) -> None: ...
    def succeed(self, result: object) -> None: ...
    def fail(self, code: str, message: str) -> None: ...


def test_a_flood_is_refused_runs_go_on_and_nothing_is_forgotten(gateway, target):
    gateway.run('keep', 'dock', {'bay': 1})
    answers: list[str] = []
    for number in range(5000):
        gateway.now += 0.001
        answers += states(gateway.run(f'flood{number}', 'dock', {'bay': 1}))
    assert set(answers) == {'busy'}
    assert len(answers) == 5000
    target.runs[0].succeed()
    assert states(gateway.hear()) == ['succeeded']
    assert states(gateway.run('keep', 'dock', {'bay': 1})) == []  # no room for answers just now
    gateway.now += 5.0
    assert states(gateway.run('keep', 'dock', {'bay': 1})) == ['succeeded']
    assert len(target.runs) == 1
    assert gateway.dispatcher.counters['command_runs_flood'] > 4000


def test_a_flood_never_stands_in_the_way_of_a_stop(gateway):
    stop = Held()
    gateway.dispatcher.add(declare('stop', concurrency='accept'), stop, momentary=True,
                           unlimited=True)
    for number in range(500):
        gateway.run(f'flood{number}', 'ping_all')
    assert states(gateway.run('s', 'stop')) == ['acknowledged']
    assert len(stop.runs) == 1


def test_what_is_over_at_once_is_started_at_once_and_not_replayed(gateway):
    order: list[str] = []

    class Tell:
        def start(self, run: Run) -> None:
            order.append(run.run_id)
            run.succeed()

    gateway.dispatcher.add(declare('drive', concurrency='accept'), Tell(), momentary=True)
    for name in ('d1', 'd2', 'd3'):
        assert gateway.dispatcher.receive(
            {'type': 'command_run', 'run_id': name, 'command': 'drive'}, gateway.now)
    assert order == ['d1', 'd2', 'd3']
    gateway.dispatcher.lost(gateway.now)
    gateway.open()
    assert gateway.messages == []
    assert states(gateway.run('d1', 'drive')) == ['succeeded']
    assert order == ['d1', 'd2', 'd3']


def test_runs_begin_in_the_order_in_which_they_came(gateway, target):
    for number in range(20):
        gateway.dispatcher.receive(
            {'type': 'command_run', 'run_id': f'p{number}', 'command': 'ping_all'}, gateway.now)
    assert target.runs == []
    gateway.hear()
    assert [run.run_id for run in target.runs] == [f'p{number}' for number in range(20)]


def test_a_run_that_waited_too_long_does_not_begin(gateway, target):
    gateway.dispatcher.receive({'type': 'command_run', 'run_id': 'r', 'command': 'ping_all',
                                'ttl_ms': 100}, gateway.now)
    gateway.now += 0.2
    assert states(gateway.hear()) == ['acknowledged', 'expired_on_arrival']
    assert target.runs == []


def test_what_was_accepted_begins_even_if_the_link_goes(gateway, target):
    gateway.dispatcher.receive(
        {'type': 'command_run', 'run_id': 'r', 'command': 'ping_all'}, gateway.now)
    told: list[float] = []
    gateway.dispatcher.on_lost.append(told.append)
    gateway.dispatcher.lost(gateway.now)
    assert [run.run_id for run in target.runs] == ['r']
    assert told == [gateway.now]


# -- across a restart


def restarted(folder: Any, command: str = 'dock') -> tuple[Gateway, Held, RunMemory]:
    memory, target = RunMemory(folder / 'runs.db'), Held()
    dispatcher = Dispatcher(Counters(), memory)
    dispatcher.add(declare(command, concurrency='accept'), target)
    return Gateway(dispatcher), target, memory


def test_a_run_that_was_in_progress_has_failed_after_a_restart_and_never_runs_twice(tmp_path):
    gateway, target, memory = restarted(tmp_path)
    gateway.run('r1', 'dock')
    target.runs[0].running()
    gateway.hear()
    memory.close()  # as the end of the process does
    gateway, target, _ = restarted(tmp_path)
    sync, end = gateway.messages
    assert sync['runs'] == [{'run_id': 'r1', 'state': 'failed', 'seq': end['seq']}]
    assert (end['error_code'], end['error_message']) == ('handler_error', INTERRUPTED)
    assert end['seq'] > 2
    assert states(gateway.run('r1', 'dock', attempt=2)) == ['handler_error']
    assert target.runs == []


def test_an_end_that_nobody_heard_is_told_after_a_restart(tmp_path):
    gateway, target, memory = restarted(tmp_path)
    gateway.run('r1', 'dock')
    gateway.dispatcher.lost(gateway.now)
    target.runs[0].succeed({'at': 3})
    memory.close()
    gateway, target, memory = restarted(tmp_path)
    assert gateway.messages[1]['result'] == {'at': 3}
    gateway.send(type='command_status_ack', run_id='r1', seq=gateway.messages[1]['seq'])
    memory.close()
    gateway, _, _ = restarted(tmp_path)
    assert [message['type'] for message in gateway.messages] == ['command_sync']


def test_256_runs_are_kept_on_disk(tmp_path):
    gateway, target, memory = restarted(tmp_path)
    for number in range(300):
        gateway.now += 1.0
        gateway.run(f'r{number}', 'dock')
        target.runs[-1].succeed()
        gateway.hear()
    memory.close()
    gateway, target, memory = restarted(tmp_path)
    gateway.run('r299', 'dock')
    gateway.run('r44', 'dock')
    assert target.runs == []
    gateway.run('r43', 'dock')
    assert [run.run_id for run in target.runs] == ['r43']


def test_what_is_over_at_once_is_never_on_disk(tmp_path):
    class AtOnce:
        def start(self, run: Run) -> None:
            run.succeed()

    memory = RunMemory(tmp_path / 'runs.db')
    dispatcher = Dispatcher(Counters(), memory)
    dispatcher.add(declare('drive', concurrency='accept'), AtOnce(), momentary=True)
    dispatcher.add(declare('dock', concurrency='accept'), AtOnce())
    gateway = Gateway(dispatcher)
    gateway.run('r-dock', 'dock')
    for number in range(300):
        gateway.now += 0.02
        gateway.run(f'r-drive-{number}', 'drive')
    told = []
    dispatcher.run_local('drive', {}, lambda _run_id, status: told.append(status['state']))
    assert told[-1] == 'succeeded'
    assert [record.run_id for record in memory.load()] == ['r-dock']


def test_a_disk_that_fails_stops_no_command(tmp_path, caplog):
    gateway, target, memory = restarted(tmp_path)
    memory.close()
    gateway.run('r1', 'dock')
    target.runs[0].succeed()
    gateway.run('r2', 'dock')
    assert gateway.ends() == {'r1': 'succeeded'}
    assert [record.levelname for record in caplog.records] == ['ERROR']
    assert gateway.dispatcher.counters['command_memory_errors'] == 3


def test_a_bridge_that_is_stopped_ends_its_runs_and_takes_no_more(tmp_path):
    gateway, target, memory = restarted(tmp_path)
    gateway.run('r1', 'dock')
    cancelled: list[Callable[[], None] | int] = []
    target.runs[0].on_cancel(lambda: cancelled.append(1))
    gateway.dispatcher.close()
    assert cancelled == [1]
    assert states(gateway.hear()) == ['cancelled']
    assert states(gateway.run('r2', 'dock')) == ['busy']
    memory.close()
    gateway, target, _ = restarted(tmp_path)
    assert states(gateway.run('r1', 'dock')) == ['cancelled']


# -- legacy commands


def typed(gateway: Gateway, identity: str, command: str, params: Any = None,
          ) -> list[dict[str, Any]]:
    return gateway.send(type='typed_command', id=identity, command=command, params=params)


def test_a_legacy_command_is_acknowledged_and_answered(gateway, target):
    assert typed(gateway, 'c-9', 'dock', {'bay': 2}) == [
        {'type': 'command_result', 'id': 'c-9', 'command': 'dock', 'event': 'ack'}]
    target.runs[0].running()
    target.runs[0].progress(10)
    target.runs[0].succeed(None)
    assert gateway.hear() == [{'type': 'command_result', 'id': 'c-9', 'command': 'dock',
                               'event': 'result', 'result': {}}]


@pytest.mark.parametrize(('command', 'params', 'error'), [
    ('fly', None, 'unknown command: fly'), ('dock', None, 'params.bay: is missing'),
    ('tare', [1], 'params: saw list, expected an object')])
def test_a_legacy_command_that_cannot_run_is_acknowledged_all_the_same(
        gateway, command, params, error):
    gateway.dispatcher.add_legacy('tare', Held())
    ack, answer = typed(gateway, 'c', command, params)
    assert (ack['event'], answer['event'], answer['error']) == ('ack', 'error', error)


def test_a_legacy_command_of_any_parameters_gets_them_as_they_are(gateway, target):
    gateway.dispatcher.add_legacy('tare', target, reject=True)
    typed(gateway, 'c1', 'tare', {'cell': [1, 2]})
    assert target.runs[0].params == {'cell': [1, 2]}
    assert typed(gateway, 'c2', 'tare')[1]['error'] == 'command already in progress: tare'
    target.runs[0].fail('load cell offline')
    assert gateway.hear()[0]['error'] == 'load cell offline'
    assert states(typed(gateway, 'c3', 'tare')) == ['ack']
    # It is no v1 command: those are declared.
    assert states(gateway.run('r', 'tare')) == ['unknown_command']


def test_a_legacy_command_that_comes_twice_runs_once(gateway, target):
    typed(gateway, 'c1', 'ping_all')
    assert typed(gateway, 'c1', 'ping_all') == []
    assert len(target.runs) == 1


@pytest.mark.parametrize('message', [
    {'command': 'dock'}, {'id': 'c'}, {'id': 7, 'command': 'dock'}, {'id': 'c', 'command': {}},
    {'id': 'x' * 600, 'command': 'dock'}])
def test_a_legacy_command_without_id_or_name_is_counted(gateway, message):
    assert gateway.send(type='typed_command', **message) == []
    assert gateway.dispatcher.counters['command_runs_without_id'] == 1


def test_both_dialects_share_one_busy_sign(gateway, target):
    typed(gateway, 'c', 'dock', {'bay': 1})
    assert states(gateway.run('r', 'dock', {'bay': 1})) == ['busy']
    target.runs[0].succeed()
    assert states(gateway.run('r2', 'dock', {'bay': 1}))[-1] == 'acknowledged'


def test_a_result_too_big_for_a_legacy_answer_is_named(gateway, target):
    typed(gateway, 'c', 'ping_all')
    target.runs[0].succeed('x' * 70_000)
    assert 'left out: 70012 bytes' in gateway.hear()[0]['result']['value']


# -- the robot's own programs


def test_a_program_of_the_robot_runs_commands_as_the_dashboard_does(gateway, target):
    told: list[tuple[str, Any]] = []

    def hear(run_id: str, status: Any) -> None:
        told.append((run_id, status['state']))

    run = gateway.dispatcher.run_local('dock', {'bay': 1}, hear, run_id='mine')
    assert run is target.runs[0]
    with pytest.raises(CommandError, match='run mine is in progress'):
        gateway.dispatcher.run_local('dock', {'bay': 1}, hear, run_id='mine')
    run.running()
    run.progress(5)
    run.succeed({'at': 1})
    assert [state for _, state in told] == ['acknowledged', 'running', 'progress', 'succeeded']
    assert gateway.dispatcher.run_local('dock', {'bay': 1}, hear, run_id='mine') is None
    assert told[-1] == ('mine', 'succeeded')
    assert len(target.runs) == 1
    assert gateway.hear() == []  # the gateway has not asked for it
    with pytest.raises(CommandError, match='unknown command: fly'):
        gateway.dispatcher.run_local('fly', {}, hear)


def test_statuses_that_nobody_acknowledges_are_given_up_and_told(gateway, caplog):
    for number in range(400):
        gateway.now += 1.0
        gateway.run(f'r{number}', 'fly')
    assert gateway.dispatcher.counters.dropped() == {'command_statuses': 144}
    assert '1 statuses of commands were given up' in caplog.text


# -- everything at once

STEPS = st.lists(st.tuples(
    st.sampled_from(['run', 'typed', 'end', 'fail', 'lost', 'open', 'hear', 'wait', 'restart']),
    st.integers(0, 9)), max_size=50)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_no_run_begins_twice_whatever_happens(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp('runs')
    gateway, target, memory = restarted(folder)
    begun: list[str] = []
    live = True
    for step, number in steps:
        gateway.now += 0.1
        if step == 'run' and live:
            gateway.dispatcher.receive({'type': 'command_run', 'run_id': f'r{number}',
                                        'command': 'dock'}, gateway.now)
        elif step == 'typed' and live:
            gateway.dispatcher.receive({'type': 'typed_command', 'id': f'r{number}',
                                        'command': 'dock'}, gateway.now)
        elif step in ('end', 'fail') and target.runs:
            run = target.runs[number % len(target.runs)]
            run.succeed(number) if step == 'end' else run.fail('x')
        elif step == 'lost' and live:
            live = False
            gateway.dispatcher.lost(gateway.now)
        elif step == 'open' and not live:
            live = True
            gateway.open()
        elif step == 'hear' and live:
            gateway.hear()
        elif step == 'restart':
            memory.close()
            begun += [run.run_id for run in target.runs if run.run_id.startswith('r')]
            gateway, target, memory = restarted(folder)
            live = True
    begun += [run.run_id for run in target.runs if run.run_id.startswith('r')]
    assert len(begun) == len(set(begun))
    memory.close()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Driving through the dispatcher, as any gateway that speaks commands asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.config.map_teleop import DRIVING
from plexus_bridge.counters import Counters
from plexus_bridge.errors import CommandError
from plexus_bridge.teleop.commands import offer_driving
from plexus_bridge.teleop.orders import Accepted
from plexus_bridge.teleop.orders import Granted
from plexus_bridge.teleop.orders import Order
from plexus_bridge.teleop.orders import Refused
from plexus_bridge.teleop.teleop import Teleop
from plexus_bridge.teleop.teleop import TeleopSettings
from plexus_bridge.teleop.velocity import AxisLimit
from plexus_bridge.teleop.velocity import Limits
from plexus_bridge.teleop.velocity import STANDSTILL

SETTINGS = TeleopSettings(Limits({
    'linear.x': AxisLimit(-0.5, 1.0, acceleration=1000.0), 'angular.z': AxisLimit(-1.5, 1.5)}))


class Robot:
    """Drives by the real rules; its clock is the test's."""

    def __init__(self) -> None:
        self.now = 10.0
        self.teleop = Teleop(SETTINGS, lambda: 'the-lease')

    def drive(self, order: Order) -> Granted | Accepted | Refused:
        return self.teleop.drive(order, self.now)

    def release(self, operator: str, lease: str) -> Refused | None:
        return self.teleop.release(operator, lease, self.now)

    def stop(self, operator: str) -> None:
        self.teleop.stop(operator, self.now)

    def emergency_stop(self, who: str) -> None:
        self.teleop.emergency_stop(who, self.now)

    def refused(self, operator: str, text: str) -> None:
        self.teleop.refused(operator, text, self.now)

    def clock_ms(self) -> float:
        return self.now * 1000


class Gateway:
    """Asks for runs and collects their ends."""

    def __init__(self, dispatcher: Dispatcher):
        self._dispatcher = dispatcher
        self._runs = 0
        dispatcher.opened({'type': 'authenticated'}, 10.0)

    def run(self, command: str, **params: Any) -> dict[str, Any]:
        self._runs += 1
        assert self._dispatcher.receive(
            {'type': 'command_run', 'run_id': f'r-{self._runs}', 'command': command,
             'params': params, 'ttl_ms': 5000}, 10.0)
        ends = [message for message in self._dispatcher.messages_to_send(10.0)
                if message['type'] == 'command_status'
                and message['state'] in ('succeeded', 'failed')]
        assert [end['run_id'] for end in ends] == [f'r-{self._runs}']
        return dict(ends[0])


@pytest.fixture
def robot() -> Robot:
    return Robot()


@pytest.fixture
def gateway(robot: Robot) -> Gateway:
    dispatcher = Dispatcher(Counters())
    offer_driving(dispatcher, robot, SETTINGS)
    return Gateway(dispatcher)


def order(robot: Robot, seq: int, **more: Any) -> dict[str, Any]:
    return {'operator': 'operator', 'lease': 'the-lease', 'seq': seq,
            'issued_ms': robot.now * 1000 + 7e11, **more}


def test_the_commands_are_declared_with_the_maps_limits(robot):
    dispatcher = Dispatcher(Counters())
    offer_driving(dispatcher, robot, SETTINGS)
    declared = {body['name']: body for body in dispatcher.hello()['commands']}
    assert tuple(declared) == DRIVING
    assert declared['drive']['params']['linear_x'] == {
        'type': 'number', 'required': False, 'minimum': -0.5, 'maximum': 1.0, 'unit': 'm/s'}
    assert not any(body['idempotent'] for body in declared.values()), 'nothing is sent again'


def test_a_lease_and_then_orders_that_echo_the_robots_clock(robot, gateway):
    granted = gateway.run('drive', operator='operator')['result']
    assert granted == {'robot_ms': 10_000.0, 'lease': 'the-lease', 'deadman_ms': 300,
                       'max_age_ms': 500}
    robot.now += 0.04
    accepted = gateway.run(
        'drive', **order(robot, 1, echo_ms=granted['robot_ms'], linear_x=0.8))['result']
    assert accepted == {'robot_ms': 10_040.0, 'age_ms': pytest.approx(40), 'speed_factor': 1.0}
    robot.now += 0.02
    assert robot.teleop.output(robot.now)[0] == 0.8


@pytest.mark.parametrize(('params', 'code', 'told'), [
    ({'linear_x': 7.0}, 'bad_params', 'linear_x'),
    ({'linear_x': 'nan'}, 'bad_params', 'linear_x'),
    ({'linear_y': 0.1}, 'bad_params', 'linear_y'),
    ({'linear_x': 0.5, 'lease': 'guessed', 'seq': 1, 'issued_ms': 1}, 'handler_error',
     'out_of_lease'),
    ({'linear_x': 0.5}, 'handler_error', 'no_lease'),
])
def test_what_may_not_move_the_robot_is_refused_with_a_reason(robot, gateway, params, code, told):
    end = gateway.run('drive', **params)
    assert (end['state'], end['error_code']) == ('failed', code)
    assert told in end['error_message']
    assert robot.teleop.output(robot.now) is None


@pytest.mark.parametrize(('params', 'operator'), [
    ({'linear_x': 7.0, 'operator': 'Ada'}, 'Ada'), ({'linear_x': 'nan'}, 'unnamed operator'),
    ({'operator': ['Ada']}, 'unnamed operator'), ({'operator': 'A' * 99}, 'A' * 64)])
def test_what_never_gets_to_the_robot_is_an_event_all_the_same(robot, gateway, params, operator):
    gateway.run('drive', **params)
    event, = robot.teleop.events(robot.now)
    assert (event.name, event.operator) == ('teleop.refused', operator)
    assert 'invalid: params.' in event.text


def test_what_a_node_of_the_robot_may_not_order_is_an_event_too(robot):
    dispatcher = Dispatcher(Counters())
    offer_driving(dispatcher, robot, SETTINGS)
    with pytest.raises(CommandError, match='linear_x'):
        dispatcher.run_local('drive', {'linear_x': 7.0}, lambda *_: None)
    assert [event.name for event in robot.teleop.events(robot.now)] == ['teleop.refused']


@pytest.mark.parametrize('command', ['release', 'stop', 'estop'])
def test_every_way_to_stop_stops_at_once(robot, gateway, command):
    gateway.run('drive', operator='operator')
    gateway.run('drive', **order(robot, 1, linear_x=0.8))
    robot.now += 0.02
    assert robot.teleop.output(robot.now)[0] == 0.8
    lease = {'lease': 'the-lease'} if command == 'release' else {}
    assert gateway.run(command, operator='operator', **lease)['state'] == 'succeeded'
    assert robot.teleop.output(robot.now) == STANDSTILL
    assert gateway.run('drive', **order(robot, 2, linear_x=0.8))['state'] == 'failed'


def test_a_flood_of_orders_leaves_room_for_a_stop(robot, gateway):
    gateway.run('drive', operator='operator')
    ends = [gateway.run('drive', **order(robot, seq, linear_x=0.8)) for seq in range(1, 300)]
    assert {end.get('error_code', '') for end in ends} == {'', 'busy'}
    assert gateway.run('stop')['state'] == 'succeeded'
    assert robot.teleop.output(robot.now) == STANDSTILL

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Who may drive, until when, and that the robot stops whatever happens."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
import pytest

from plexus_bridge.teleop.orders import Accepted
from plexus_bridge.teleop.orders import Granted
from plexus_bridge.teleop.orders import Order
from plexus_bridge.teleop.orders import Refused
from plexus_bridge.teleop.orders import Why
from plexus_bridge.teleop.teleop import Teleop
from plexus_bridge.teleop.teleop import TeleopSettings
from plexus_bridge.teleop.velocity import AxisLimit
from plexus_bridge.teleop.velocity import Limits
from plexus_bridge.teleop.velocity import STANDSTILL

LIMITS = Limits({
    'linear.x': AxisLimit(-0.5, 1.0, acceleration=100.0), 'angular.z': AxisLimit(-1.5, 1.5)})
FORWARD = {'linear.x': 0.8}


def make(**changes) -> Teleop:
    tokens = (f'lease-{number}' for number in itertools.count(1))
    return Teleop(TeleopSettings(LIMITS, **changes), lambda: next(tokens))


def order(seq: int, now: float, *, velocity=FORWARD, lease='lease-1', operator='operator',
          delay: float = 0.02, clock_s: float = 4e6) -> Order:
    return Order(operator, velocity, lease, seq, (now - delay + clock_s) * 1000)


def driving(now: float = 10.0, **changes) -> Teleop:
    teleop = make(**changes)
    assert teleop.drive(Order('operator'), now - 0.04) == Granted('lease-1')
    assert isinstance(teleop.drive(order(1, now), now), Accepted)
    assert teleop.output(now + 0.02)[0] == 0.8
    return teleop


def refusal(teleop: Teleop, asked: Order, now: float) -> Why:
    answer = teleop.drive(asked, now)
    assert isinstance(answer, Refused), answer
    return answer.why


def names(teleop: Teleop, now: float) -> list[str]:
    return [event.name for event in teleop.events(now)]


def test_a_lease_an_order_and_the_robot_moves():
    teleop = driving()
    assert teleop.operator == 'operator'
    assert names(teleop, 10.0) == ['teleop.started']


def test_without_orders_the_robot_stops_and_zero_is_repeated_for_a_second():
    teleop = driving()
    assert teleop.output(10.29)[0] == 0.8
    assert teleop.output(10.31) == STANDSTILL
    assert teleop.output(11.30) == STANDSTILL
    assert teleop.output(11.32) is None
    assert names(teleop, 11.4) == ['teleop.started', 'teleop.stopped']


def test_the_operator_may_go_on_after_a_gap_and_starts_from_rest():
    teleop = driving()
    assert teleop.output(10.5) == STANDSTILL
    assert isinstance(teleop.drive(order(2, 10.6), 10.6), Accepted)
    assert teleop.output(10.605)[0] == pytest.approx(0.5)
    assert teleop.output(10.62)[0] == pytest.approx(0.8)


def test_a_silent_operator_loses_the_lease():
    teleop = driving()
    teleop.output(13.1)
    assert not teleop.operator
    assert refusal(teleop, order(2, 13.2), 13.2) is Why.OUT_OF_LEASE
    assert names(teleop, 13.3) == [
        'teleop.started', 'teleop.stopped', 'teleop.ended', 'teleop.refused']


def test_nobody_gets_a_lease_while_another_holds_it():
    teleop = driving()
    assert refusal(teleop, Order('another'), 10.1) is Why.HELD
    assert refusal(teleop, order(5, 10.1, lease='lease-2', operator='another'), 10.1) is (
        Why.OUT_OF_LEASE)
    assert teleop.drive(Order('another'), 13.1) == Granted('lease-2')


def test_a_velocity_without_a_lease_moves_nothing():
    teleop = make()
    assert refusal(teleop, Order('operator', FORWARD), 10.0) is Why.NO_LEASE
    assert teleop.output(10.0) is None


@pytest.mark.parametrize('missing', ['seq', 'issued_ms'])
def test_an_order_without_number_or_stamp_is_refused(missing):
    teleop = driving()
    stamped = order(2, 10.1)
    bare = Order(**{**vars(stamped), missing: None})
    assert refusal(teleop, bare, 10.1) is Why.INVALID


def test_orders_out_of_order_and_twice_are_refused():
    teleop = driving()
    assert isinstance(teleop.drive(order(3, 10.1), 10.1), Accepted)
    assert refusal(teleop, order(3, 10.12), 10.12) is Why.REORDERED
    assert refusal(teleop, order(2, 10.12), 10.12) is Why.REORDERED


def test_an_order_from_before_a_tunnel_moves_nothing():
    teleop = driving()
    teleop.output(10.4)
    late = order(2, 10.1)
    assert refusal(teleop, late, 12.1) is Why.STALE
    assert teleop.output(12.1) is None
    # Nor does it count as a sign of life.
    teleop.output(13.01)
    assert not teleop.operator


def test_a_grant_that_is_answered_late_is_void():
    teleop = make()
    teleop.drive(Order('operator'), 10.0)
    assert refusal(teleop, order(1, 10.9), 10.9) is Why.STALE
    assert not teleop.operator


def test_speed_falls_with_measured_latency():
    teleop = driving()
    teleop.drive(order(2, 10.1, delay=0.33), 10.1)  # 350 ms with the answer's 40 ms on top
    assert 0.4 < teleop.speed_factor < 0.6
    assert teleop.output(10.1)[0] == pytest.approx(0.8 * teleop.speed_factor)
    teleop.drive(order(3, 10.2), 10.2)
    assert teleop.speed_factor == 1.0


def test_a_clock_that_steps_ends_the_lease_and_the_motion():
    teleop = driving()
    assert refusal(teleop, order(2, 10.1, clock_s=4e6 + 60), 10.1) is Why.CLOCK
    assert teleop.output(10.1) == STANDSTILL
    assert not teleop.operator


def test_release_stops_at_once():
    teleop = driving()
    assert teleop.release('operator', 'lease-1', 10.1) is None
    assert teleop.output(10.1) == STANDSTILL
    assert refusal(teleop, order(2, 10.2), 10.2) is Why.OUT_OF_LEASE
    assert teleop.release('operator', 'lease-1', 10.2).why is Why.OUT_OF_LEASE


def test_a_lost_link_stops_at_once_and_ends_the_lease():
    teleop = driving()
    teleop.link_lost(10.1)
    assert teleop.output(10.1) == STANDSTILL
    assert not teleop.operator


def test_anybody_may_stop():
    teleop = driving()
    teleop.stop('bystander', 10.1)
    assert teleop.output(10.1) == STANDSTILL
    assert not teleop.operator
    assert [event.operator for event in teleop.events(10.1)] == [
        'operator', 'bystander', 'operator']


def test_an_emergency_stop_holds_until_it_is_released_on_the_robot():
    teleop = driving()
    teleop.emergency_stop('bumper', 10.1)
    assert teleop.output(10.1) == teleop.output(100.0) == STANDSTILL
    assert refusal(teleop, Order('operator'), 100.0) is Why.EMERGENCY_STOP
    assert teleop.emergency == 'bumper'
    assert teleop.emergency_release('technician', 101.0)
    assert not teleop.emergency_release('technician', 101.0)
    assert teleop.drive(Order('operator'), 101.0) == Granted('lease-2')


def test_zero_is_repeated_until_the_odometry_confirms_it():
    teleop = driving(stop_confirmed=True)
    assert teleop.output(10.4) == STANDSTILL
    teleop.measured(standing=False, now=12.0)
    assert teleop.output(12.0) == STANDSTILL
    teleop.measured(standing=True, now=12.1)
    assert teleop.output(12.1) is None


def test_a_robot_that_does_not_come_to_rest_is_told():
    teleop = driving(stop_confirmed=True)
    teleop.output(10.4)
    teleop.measured(standing=True, now=10.5)  # too soon to have seen the stop
    assert teleop.output(15.3) == STANDSTILL
    assert teleop.output(15.5) is None
    assert 'teleop.still_moving' in names(teleop, 15.5)


def test_a_flood_of_refusals_is_folded():
    teleop = driving()
    for number in range(1000):
        teleop.drive(Order('another', FORWARD, 'guess', number, 0.0), 10.0 + number / 1000)
    told = [event.text for event in teleop.events(11.1) if event.name == 'teleop.refused']
    assert len(told) == 2
    assert told[1].endswith('(and 998 more)')


def test_orders_of_a_form_move_for_the_dead_mans_time_where_the_map_allows_it():
    teleop = make(stamps_required=False)
    assert teleop.drive(Order('form', FORWARD), 10.0) == Accepted(None)
    assert refusal(teleop, Order('another', FORWARD), 10.1) is Why.HELD
    assert teleop.output(10.2)[0] == 0.8
    assert teleop.output(10.31) == STANDSTILL


@given(st.data())
@hypothesis_settings(max_examples=300)
def test_whatever_is_said_the_robot_ends_at_rest_within_its_limits(data):
    """Random orders of two operators, late, twice, out of order; then silence."""
    teleop = make(zero_s=0.2)
    now = 10.0
    leases = ['']
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.floats(0.0, 0.4))
        delay = data.draw(st.floats(0.0, 2.0))
        asked = Order(
            data.draw(st.sampled_from(['one', 'two'])),
            data.draw(st.sampled_from([{}, FORWARD, {'linear.x': -9.0, 'angular.z': 4.0}])),
            data.draw(st.sampled_from(leases)), data.draw(st.integers(0, 60)),
            (now - delay) * 1000)
        answer = teleop.drive(asked, now)
        if isinstance(answer, Granted):
            leases.append(answer.lease)
        if isinstance(answer, Accepted) and answer.age_ms is not None:
            assert answer.age_ms <= 500
        velocity = teleop.output(now)
        if velocity is not None:
            assert -0.5 <= velocity[0] <= 1.0
            assert -1.5 <= velocity[5] <= 1.5
    assert teleop.output(now + 0.301) in (None, STANDSTILL)
    assert teleop.output(now + 0.6) in (None, STANDSTILL)
    assert teleop.output(now + 60.0) is None


def test_a_lease_that_ends_before_the_dead_mans_time_ends_the_motion_with_it():
    teleop = driving(deadman_ms=5000.0, lease_s=0.5)
    assert teleop.output(10.49)[0] == 0.8
    assert teleop.output(10.51) == STANDSTILL
    assert not teleop.operator


def test_a_bridge_that_ends_stops_and_grants_nothing_any_more():
    teleop = driving()
    teleop.close(10.1)
    assert teleop.output(10.1) == STANDSTILL
    assert refusal(teleop, Order('operator'), 10.15) is Why.UNATTENDED
    assert refusal(teleop, order(2, 10.15), 10.15) is Why.UNATTENDED
    assert teleop.output(10.2) == STANDSTILL


def test_a_button_that_is_held_down_outlasts_a_release_by_call():
    teleop = driving()
    teleop.button('/button', 10.1, pressed=True)
    assert teleop.output(10.1) == STANDSTILL
    assert not teleop.emergency_release('technician', 10.2)
    assert refusal(teleop, Order('operator'), 10.2) is Why.EMERGENCY_STOP
    teleop.button('/button', 10.3, pressed=False)
    assert isinstance(teleop.drive(Order('operator'), 10.4), Granted)


def test_letting_a_button_go_does_not_release_what_an_operator_stopped():
    teleop = driving()
    teleop.button('/button', 10.1, pressed=True)
    teleop.emergency_stop('Ada', 10.2)
    teleop.button('/button', 10.3, pressed=False)
    assert refusal(teleop, Order('operator'), 10.4) is Why.EMERGENCY_STOP
    assert teleop.emergency == 'Ada'
    assert teleop.emergency_release('technician', 10.5)
    assert isinstance(teleop.drive(Order('operator'), 10.6), Granted)


def test_an_emergency_stop_of_before_a_restart_still_holds():
    teleop = make()
    teleop.restore('Ada', '', 9.0)
    assert refusal(teleop, Order('operator'), 10.0) is Why.EMERGENCY_STOP
    assert teleop.output(10.0) == STANDSTILL
    assert names(teleop, 10.0) == ['teleop.emergency_stop', 'teleop.refused']


def test_a_stop_is_told_although_nobody_drives_and_a_flood_of_them_once():
    teleop = make()
    for number in range(100):
        teleop.stop('bystander', 10.0 + number / 1000)
    assert [(event.name, event.operator) for event in teleop.events(10.2)] == [
        ('teleop.stopped', 'bystander')]


@pytest.mark.parametrize('stamp', [1e300, -1e300, float('nan'), float('inf')])
def test_a_stamp_from_which_no_age_can_be_told_is_refused(stamp):
    teleop = driving()
    asked = Order(**{**vars(order(2, 10.1)), 'issued_ms': stamp})
    assert refusal(teleop, asked, 10.1) is Why.INVALID


def test_events_say_when_they_happened_in_that_order():
    teleop = driving(10.0)
    teleop.events(10.02)
    teleop.stop('Ada', 10.1)
    teleop.emergency_stop('Ada', 10.105)
    refusal(teleop, order(2, 10.11), 10.11)
    assert [(event.name, event.at) for event in teleop.events(10.15)] == [
        ('teleop.stopped', 10.1), ('teleop.ended', 10.1), ('teleop.emergency_stop', 10.105),
        ('teleop.refused', 10.11)]

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Diagnostics as robots really publish them: names that collide, flap, are new or damaged."""

from __future__ import annotations

from typing import Any

from cdr import write_cdr
import pytest

from plexus_bridge.authoring.source import Definitions
from plexus_bridge.counters import Counters
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.events.diagnostics import DIAGNOSTICS
from plexus_bridge.mapping.events.flapping import BURST
from plexus_bridge.mapping.events.levels import MAX_STATUSES
from plexus_bridge.mapping.events.mapper import make_event_mapper
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.sinks import PointSink
from plexus_bridge.mapping.topic import Mapper

BEGIN = 1_790_000_000_000
LAYOUT = Definitions({}).layout(DIAGNOSTICS)
STAMP = {'header': {'stamp': {'sec': 1_600_000_000}}}


class Robot:
    def __init__(self, *, simulated: bool = False, **rule: Any):
        self.points: list[dict[str, Any]] = []
        self.counters = Counters()
        self.mapper: Mapper = make_event_mapper(
            EventRule('/diagnostics', **rule), LAYOUT, '/diagnostics', {},
            dict.fromkeys(('urgent', 'state', 'bulk'), PointSink(self.points.append)),
            self.counters, simulated=simulated)

    def say(self, *statuses: dict[str, Any], now: int = 0, **head: Any) -> None:
        self.mapper.take(write_cdr(LAYOUT, {'status': statuses, **head}), BEGIN + now)
        self.mapper.settle(BEGIN + now)

    @property
    def levels(self) -> list[str]:
        return [point['value']['level'] for point in self.points]


def values(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{'key': key, 'value': value} for key, value in pairs]


def test_two_nodes_that_contradict_each_other_fill_nothing_and_are_counted():
    robot = Robot()
    for index in range(600):  # one minute at 10 Hz
        robot.say({'name': 'camera'}, {'name': 'camera', 'level': 1}, now=index * 100)
    assert len(robot.points) <= BURST + 13
    told = len(robot.points) + sum(
        point['value'].get('changes', 0) for point in robot.points)
    assert 1200 - told <= 1199 // 10  # what is not told yet came in the last period
    robot.say({'name': 'camera'}, now=120_000)
    assert robot.levels[-1] == 'OK'


def test_names_that_never_repeat_leave_the_others_as_they_are():
    robot = Robot(stale_s=1)
    for index in range(MAX_STATUSES + 500):
        robot.say({'name': str(index)}, now=index * 2_000)
    robot.points.clear()
    end = (MAX_STATUSES + 500) * 2_000
    for index in range(9):
        robot.say({'name': 'motor', 'level': 2}, now=end + index * 100)
    assert robot.levels == ['ERROR', 'STALE']


def test_a_key_that_comes_twice_is_shown_twice():
    robot = Robot(metrics='d.{key}')
    robot.say({'name': 'm', 'level': 1, 'values': values(('load', '1'), ('load', '2'))})
    assert robot.points[0]['value']['values'] == {'load': '1', 'load#2': '2'}
    assert {point['metric']: point['value'] for point in robot.points[1:]} == {
        'd.load': 1, 'd.load_2': 2}


def test_names_that_look_alike_stay_two_metrics():
    robot = Robot(metrics='diag.{name}.{key}')
    robot.say({'name': 'motor 1', 'values': values(('t', '1'))},
              {'name': 'motor/1', 'values': values(('t', '2'))})
    first, second = robot.points
    assert (first['metric'], first['value'], second['value']) == ('diag.motor_1.t', 1, 2)
    assert second['metric'].startswith('diag.motor_1.t~')


def test_a_level_that_no_one_knows_is_told_as_its_number():
    robot = Robot()
    robot.say({'name': 'm', 'level': 200})
    assert (robot.levels, robot.points[0]['tags']) == (['200'], {'severity': 'error'})


def test_a_change_in_a_damaged_message_is_told_when_it_comes_whole():
    robot = Robot()
    whole = write_cdr(LAYOUT, {'status': [
        {'name': 'm', 'level': 2, 'message': 'hot', 'values': values(('t', '90'))}]})
    with pytest.raises(MappingError):
        robot.mapper.take(whole[:-4], BEGIN)
    robot.mapper.take(whole, BEGIN)
    assert robot.levels == ['ERROR']


def test_silence_is_stamped_when_it_is_told():
    robot = Robot(stale_s=5)
    robot.say({'name': 'm'})
    robot.mapper.settle(BEGIN + 5_000)
    assert (robot.levels, robot.points[0]['timestamp']) == (['STALE'], BEGIN + 5_000)


def test_simulated_time_is_tagged_and_not_believed():
    believed, simulated = Robot(), Robot(simulated=True)
    for robot in (believed, simulated):
        robot.say({'name': 'm', 'level': 1}, now=7, **STAMP)
    assert believed.points[0]['timestamp'] == 1_600_000_000_000
    assert simulated.points[0]['timestamp'] == BEGIN + 7
    assert simulated.points[0]['tags']['clock'] == 'sim'


@pytest.mark.parametrize(('key', 'value'), [
    ('min_level', 40), ('nodes', ('a',)), ('fold_s', 3.0), ('max_per_s', 1.0),
    ('severity', 'warn')])
def test_keys_that_belong_to_other_types_are_refused(key, value):
    with pytest.raises(MappingError, match=f'^{key} has no meaning for {DIAGNOSTICS}'):
        Robot(**{key: value})


@pytest.mark.parametrize(('rule', 'told'), [
    ({'event': 'd.{nam}'}, 'event: saw {nam}, expected one of {name}'),
    ({'metrics': 'd.{name}.{kee}'}, 'metrics: saw {kee}, expected one of {key}, {name}')])
def test_a_placeholder_that_nothing_fills_is_refused(rule, told):
    with pytest.raises(MappingError) as caught:
        Robot(**rule)
    assert str(caught.value) == told


def test_whose_status_is_heard_no_more_is_told_though_it_never_changed_before():
    robot = Robot(stale_s=1)
    robot.say({'name': 'motor', 'hardware_id': 'hw-7'})
    robot.mapper.settle(BEGIN + 5_000)
    assert robot.levels == ['STALE']
    assert robot.points[0]['value']['hardware_id'] == 'hw-7'
    assert robot.points[0]['tags']['hardware_id'] == 'hw-7'


def test_of_very_many_key_values_those_that_fit_are_told_and_how_many_are_not():
    robot = Robot()
    robot.say({'name': 'bus', 'level': 2, 'values': values(
        *((f'slave {index}', 'operational') for index in range(300)))})
    told = robot.points[0]['value']['values']
    assert told['slave 0'] == 'operational'
    assert told['…'] == 300 - (len(told) - 1)


def test_the_hardware_of_names_that_never_repeat_does_not_fill_the_memory():
    robot = Robot()
    for index in range(3):
        robot.say(*({'name': f'{index} {part}'} for part in range(MAX_STATUSES - 1)))
    assert len(robot.mapper._hardware) <= MAX_STATUSES

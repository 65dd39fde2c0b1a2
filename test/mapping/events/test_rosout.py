# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Log lines as they come from the graph: huge, from the past, from computers with other clocks."""

from __future__ import annotations

import sys
from typing import Any

from cdr import write_cdr

from plexus_bridge.authoring.source import Definitions
from plexus_bridge.counters import Counters
from plexus_bridge.mapping.events.mapper import make_event_mapper
from plexus_bridge.mapping.events.rosout import HISTORY_MS
from plexus_bridge.mapping.events.rosout import LOG
from plexus_bridge.mapping.events.rosout import OLDEST_MS
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.sinks import PointSink

BEGIN = 1_790_000_000_000
LAYOUT = Definitions({}).layout(LOG)


class Robot:
    def __init__(self, *, simulated: bool = False):
        self.points: list[dict[str, Any]] = []
        self.counters = Counters()
        self.mapper: Any = make_event_mapper(
            EventRule('/rosout'), LAYOUT, '/rosout', {},
            dict.fromkeys(('urgent', 'state', 'bulk'), PointSink(self.points.append)),
            self.counters, simulated=simulated)

    def say(self, text: str, *, now: int = 0, stamp_ms: int = BEGIN,
            name: str = 'planner') -> None:
        self.mapper.take(write_cdr(LAYOUT, {
            'level': 40, 'msg': text, 'name': name, 'stamp': {
                'sec': stamp_ms // 1000, 'nanosec': stamp_ms % 1000 * 1_000_000}}), BEGIN + now)
        self.mapper.settle(BEGIN + now)


def test_a_line_of_a_megabyte_says_that_it_was_cut_and_is_not_kept():
    robot = Robot()
    for _ in range(2):  # the second one is kept to be told together with others
        robot.say('x' * 1_000_000, name='n' * 1_000_000)
    value, tags = robot.points[0]['value'], robot.points[0]['tags']
    assert value['message'].startswith('xxx')
    assert value['message'].endswith('x…')
    assert 3000 < len(value['message']) < 3100
    assert len(tags['node'].encode()) == 256
    kept = next(iter(robot.mapper._folder._folds.values())).newest
    assert sys.getsizeof(kept.text) < 10_000


def test_what_was_told_before_our_start_is_no_news():
    robot = Robot()
    robot.say('of today')
    robot.say('of yesterday', stamp_ms=BEGIN - OLDEST_MS - 1)
    assert [point['value'] for point in robot.points] == ['of today']
    assert robot.counters['log_lines_of_the_past'] == 1


def test_a_computer_whose_clock_is_behind_is_heard():
    robot = Robot()
    robot.say('first')
    robot.say('late', now=HISTORY_MS, stamp_ms=BEGIN - 86_400_000)
    assert [(point['value'], point['timestamp']) for point in robot.points[1:]] == [
        ('late', BEGIN - 86_400_000)]


def test_stamps_of_1970_and_of_a_simulator_give_way_to_the_time_of_receipt():
    for robot, stamp_ms in ((Robot(), 5_000), (Robot(simulated=True), BEGIN - 86_400_000),
                            (Robot(), BEGIN + 2 * 86_400_000)):
        robot.say('late', now=7, stamp_ms=stamp_ms)
        assert robot.points[0]['timestamp'] == BEGIN + 7

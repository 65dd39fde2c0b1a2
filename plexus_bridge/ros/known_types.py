# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Rules of a map whose type is given, against the message types that are installed here."""

from __future__ import annotations

from collections.abc import Callable
import importlib.util

from plexus_bridge.commands.check import command_problems
from plexus_bridge.config.document import place_text
from plexus_bridge.config.map import RobotMap
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.plan import plan_to_check
from plexus_bridge.mapping.plan import problems_of
from plexus_bridge.mapping.topic_pattern import TopicPattern
from plexus_bridge.ros.layouts import message_layout
from plexus_bridge.ros.layouts import part_layout

LayoutOf = Callable[[str], Message]


def check_known_types(robot_map: RobotMap) -> None:
    """Raise ConfigError for what names a type and does not fit it: all of it is to run here."""
    _note_problems(robot_map, message_layout)
    for command in robot_map.commands:
        for place, text in command_problems(command, part_layout):
            robot_map.document.problem(place, text)
    robot_map.document.raise_problems()


def check_rule_types(robot_map: RobotMap, recorded: LayoutOf | None = None) -> list[str]:
    """
    Note in the map's document which rules do not fit their type; return which are not known here.

    `recorded` gives the message types of a recording. A package that is not installed on the
    machine of whoever checks may well be on the robot: that is told and no error.
    """
    def layout_of(type_name: str) -> Message:
        if recorded is None or is_installed(type_name):
            return message_layout(type_name)
        return recorded(type_name)

    return _note_problems(robot_map, layout_of, elsewhere=True)


def _note_problems(robot_map: RobotMap, layout_of: LayoutOf, *, elsewhere: bool = False
                   ) -> list[str]:
    document = robot_map.document
    unknown: list[str] = []
    for planned in plan_to_check(robot_map.metrics, robot_map.events):
        rule = planned.rule
        if rule.type is None:
            continue
        try:
            layout = layout_of(rule.type)
        except MappingError as error:
            if elsewhere and not is_installed(rule.type):
                unknown.append(f'{place_text(rule.place)}: {rule.type} is not installed here')
            else:
                document.problem((*rule.place, 'type'), str(error))
            continue
        captures = dict.fromkeys(TopicPattern(rule.topic).names, '1')
        for place, line in problems_of(planned, layout, rule.topic, captures):
            document.problem(place, line)
    return unknown


def is_installed(type_name: str) -> bool:
    """Tell whether there is a package of a type's name here."""
    return importlib.util.find_spec(type_name.partition('/')[0]) is not None

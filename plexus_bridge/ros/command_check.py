# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands of a map against the interface types that are installed here."""

from __future__ import annotations

from collections.abc import Callable

from plexus_bridge.commands.check import command_problems
from plexus_bridge.commands.steps import ActionStep
from plexus_bridge.commands.steps import PublishStep
from plexus_bridge.commands.steps import ServiceStep
from plexus_bridge.config.map import RobotMap
from plexus_bridge.mapping.layout import Message
from plexus_bridge.ros.known_types import is_installed
from plexus_bridge.ros.layouts import part_layout


def check_commands(robot_map: RobotMap,
                   recorded: Callable[[str], Message] | None = None) -> list[str]:
    """
    Note in the map's document which commands do not fit; return which are not known here.

    `recorded` gives the message types of a recording. A package that is not installed on the
    machine of whoever checks may well be on the robot: that is told and no error.
    """
    unknown: list[str] = []

    def layout_of(type_name: str, part: str) -> Message:
        if is_installed(type_name) or recorded is None or part:
            return part_layout(type_name, part)
        return recorded(type_name)

    for rule in robot_map.commands:
        missing = [step.type for step in rule.steps
                   if isinstance(step, ServiceStep | ActionStep | PublishStep) and step.type
                   and not is_installed(step.type)
                   and not (isinstance(step, PublishStep) and recorded is not None)]
        if missing:
            unknown.append(f'{rule.declaration.name}: {", ".join(missing)} is not installed here')
            continue
        for place, text in command_problems(rule, layout_of):
            robot_map.document.problem(place, text)
    return unknown

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands that are offered: those of the map, and those that nodes declare at run time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.node import Node

from plexus_bridge.commands.check import command_problems
from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.commands.steps import CommandRule
from plexus_bridge.config.document import Document
from plexus_bridge.config.document import load_schema
from plexus_bridge.config.map import SCHEMA
from plexus_bridge.config.map_commands import read_commands
from plexus_bridge.errors import CommandError
from plexus_bridge.errors import ConfigError
from plexus_bridge.ros.chores import Chores
from plexus_bridge.ros.layouts import part_layout
from plexus_bridge.ros.targets.map_target import MapTarget

# Nodes declare several commands in a row; the gateway is told of them all at once.
READVERTISE_S = 0.5
MAX_DECLARED = 100


class Offer:
    """
    Offers commands to a dispatcher; on the executor's thread after construction.

    `readvertise` is called when the gateway has to hear of a change; False: not now, ask again.
    """

    def __init__(self, node: Node, dispatcher: Dispatcher, chores: Chores,
                 rules: Sequence[CommandRule], readvertise: Callable[[], bool]):
        self._node = node
        self._dispatcher = dispatcher
        self._chores = chores
        self._readvertise = readvertise
        self._declared: set[str] = set()
        for rule in rules:
            self._add(rule)
        self._timer = node.create_timer(
            READVERTISE_S, self._tell, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._timer.cancel()

    def declare(self, entry: dict[str, Any]) -> None:
        """Offer one entry of a map's `commands`; CommandError for one that cannot be."""
        name = entry['name']
        offered = {declaration.name for declaration in self._dispatcher.declarations()}
        if name in offered - self._declared:
            raise CommandError(
                'bad_params', f'{name} is a command of the map; choose another name')
        if len(self._declared | {name}) > MAX_DECLARED:
            raise CommandError('busy', f'{MAX_DECLARED} commands are declared already')
        document = Document('declaration', {'version': 1, 'commands': [entry]})
        try:
            document.check(load_schema(SCHEMA))
            document.raise_problems()
            rule, = read_commands(document, [entry]) or (None,)
            document.raise_problems()
            assert rule is not None
            for place, text in command_problems(rule, part_layout):
                document.problem(place, text)
            document.raise_problems()
        except ConfigError as error:
            raise CommandError('bad_params', str(error)) from None
        self._add(rule)
        self._declared.add(name)
        self._timer.reset()

    def withdraw(self, name: str) -> None:
        """Offer a declared command no more; CommandError if it is none."""
        if name not in self._declared:
            raise CommandError('bad_params', f'{name} was not declared here')
        self._declared.remove(name)
        self._dispatcher.remove(name)
        self._timer.reset()

    def _add(self, rule: CommandRule) -> None:
        self._dispatcher.add(rule.declaration, MapTarget(self._node, rule, self._chores))

    def _tell(self) -> None:
        if self._readvertise():
            self._timer.cancel()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a command of the map does, as data: one step or several, in ROS words but without ROS.

Request fields are templates (`plexus_bridge.commands.templates`); times are in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Literal

from plexus_bridge.protocol.declarations import Declaration

DEFAULT_WAIT_S = 5.0
DEFAULT_TIMEOUT_S = 30.0
DEFAULT_ACTION_TIMEOUT_S = 600.0

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class ServiceStep:
    """
    Call a service.

    `type` None: as it is offered. `success` is the path of a bool in the response that says
    whether it went well ('' for none), None for ``success`` where there is one. `result` has the
    paths of what is reported by name, None for the whole response.
    """

    name: str
    type: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    success: str | None = None
    result: Mapping[str, str] | None = None
    wait_s: float = DEFAULT_WAIT_S


@dataclass(frozen=True)
class Progress:
    """How far an action is: where its feedback says so, and what means 0 % and 100 %."""

    path: str
    start: float | Literal['first'] = 0.0
    end: float = 100.0

    def percent(self, value: float, first: float) -> float:
        """Return 0 … 100 for a value of the feedback; `first` is its first value."""
        start = first if self.start == 'first' else float(self.start)
        if start == self.end:
            return 0.0
        return min(100.0, max(0.0, 100.0 * (value - start) / (self.end - start)))


@dataclass(frozen=True)
class ActionStep:
    """Send a goal and wait for its result; cancelling the run cancels the goal."""

    name: str
    type: str | None = None
    goal: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None
    result: Mapping[str, str] | None = None
    wait_s: float = DEFAULT_WAIT_S


@dataclass(frozen=True)
class ParameterStep:
    """Set parameters of a node, all or none; then read some."""

    node: str
    set: Mapping[str, Any] = field(default_factory=dict)
    get: tuple[str, ...] = ()
    wait_s: float = DEFAULT_WAIT_S


@dataclass(frozen=True)
class PublishStep:
    """Publish one message; with `wait_s`, only once somebody listens."""

    topic: str
    type: str
    message: Mapping[str, Any] = field(default_factory=dict)
    wait_s: float = 0.0


@dataclass(frozen=True)
class LifecycleStep:
    """Have a managed node change its state: configure, activate, deactivate …"""

    node: str
    transition: str
    wait_s: float = DEFAULT_WAIT_S


@dataclass(frozen=True)
class PauseStep:
    """Do nothing for a while."""

    seconds: float


Step = ServiceStep | ActionStep | ParameterStep | PublishStep | LifecycleStep | PauseStep


@dataclass(frozen=True)
class CommandRule:
    """A command of the map: its steps happen one after the other until one fails."""

    declaration: Declaration
    steps: tuple[Step, ...]
    timeout_s: float
    place: Place
    # Where in the map each step stands.
    step_places: tuple[Place, ...]

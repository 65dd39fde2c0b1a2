# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands of a map against the interface types that they name, before anything is run."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from plexus_bridge.commands.fields import path_problem
from plexus_bridge.commands.fields import template_problem
from plexus_bridge.commands.steps import ActionStep
from plexus_bridge.commands.steps import CommandRule
from plexus_bridge.commands.steps import LifecycleStep
from plexus_bridge.commands.steps import Place
from plexus_bridge.commands.steps import PublishStep
from plexus_bridge.commands.steps import ServiceStep
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive

# Gives the layout of a part of an interface: ('std_srvs/srv/SetBool', 'Request'),
# ('std_msgs/msg/String', ''). MappingError where there is none.
PartLayout = Callable[[str, str], Message]

TRANSITIONS = ('configure', 'activate', 'deactivate', 'cleanup', 'shutdown')
# Where the type stands in a step, what is sent with it, and in which part of the interface.
_SENT = {ServiceStep: ('service', 'request', 'Request'), ActionStep: ('action', 'goal', 'Goal'),
         PublishStep: ('publish', 'message', '')}


def command_problems(rule: CommandRule, layout_of: PartLayout) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong with a command's steps, and where; MappingError as `layout_of`."""
    for place, step in zip(rule.step_places, rule.steps, strict=True):
        if isinstance(step, LifecycleStep):
            if '{' not in step.transition and step.transition not in TRANSITIONS:
                yield ((*place, 'lifecycle', 'transition'),
                       f'saw {step.transition!r}, expected one of {", ".join(TRANSITIONS)}')
        elif isinstance(step, ServiceStep | ActionStep | PublishStep) and step.type:
            yield from _typed(rule, place, step, layout_of)


def _typed(rule: CommandRule, place: Place, step: ServiceStep | ActionStep | PublishStep,
           layout_of: PartLayout) -> Iterator[tuple[Place, str]]:
    key, field, part = _SENT[type(step)]
    here = (*place, key)
    assert step.type is not None
    try:
        sent = layout_of(step.type, part)
    except MappingError as error:
        yield (*here, 'type'), str(error)
        return
    values: Mapping[str, Any] = getattr(step, field)
    for name, value in values.items():
        if problem := template_problem({name: value}, sent, rule.declaration, field):
            yield (*here, field, name), problem
    if isinstance(step, ServiceStep):
        yield from _answer(here, step, layout_of(step.type, 'Response'))
    elif isinstance(step, ActionStep):
        yield from _results(here, step.result, layout_of(step.type, 'Result'))
        if step.progress is not None:
            problem = path_problem(step.progress.path, layout_of(step.type, 'Feedback'))
            if problem:
                yield (*here, 'progress', 'path'), problem


def _answer(here: Place, step: ServiceStep, response: Message) -> Iterator[tuple[Place, str]]:
    yield from _results(here, step.result, response)
    if step.success:
        problem = path_problem(step.success, response)
        field = response.field(step.success)
        if not problem and isinstance(field, Primitive) and field.name != 'bool':
            problem = f'{step.success} is {field.name}, expected a bool'
        if problem:
            yield (*here, 'success'), problem


def _results(here: Place, paths: Mapping[str, str] | None, layout: Message
             ) -> Iterator[tuple[Place, str]]:
    for name, path in (paths or {}).items():
        if problem := path_problem(path, layout):
            yield (*here, 'result', name), problem

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The section `commands` of a map as typed objects."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

from plexus_bridge.commands.declarations import declare
from plexus_bridge.commands.steps import ActionStep
from plexus_bridge.commands.steps import CommandRule
from plexus_bridge.commands.steps import DEFAULT_ACTION_TIMEOUT_S
from plexus_bridge.commands.steps import DEFAULT_TIMEOUT_S
from plexus_bridge.commands.steps import LifecycleStep
from plexus_bridge.commands.steps import ParameterStep
from plexus_bridge.commands.steps import PauseStep
from plexus_bridge.commands.steps import Progress
from plexus_bridge.commands.steps import PublishStep
from plexus_bridge.commands.steps import ServiceStep
from plexus_bridge.commands.steps import Step
from plexus_bridge.commands.templates import names_in
from plexus_bridge.commands.templates import texts_of
from plexus_bridge.commands.templates import whole
from plexus_bridge.config.document import Document
from plexus_bridge.config.document import Place
from plexus_bridge.errors import CommandDeclarationError
from plexus_bridge.protocol.declarations import Declaration

KINDS = ('service', 'action', 'parameter', 'publish', 'lifecycle', 'pause_s')
_DECLARED = ('title', 'description', 'danger', 'idempotent', 'expires_in_s', 'concurrency')
# Which keys of a step hold templates.
_TEMPLATES = ('request', 'goal', 'set', 'message', 'transition')


def read_commands(document: Document, section: list[dict[str, Any]],
                  reserved: Collection[str] = ()) -> tuple[CommandRule, ...]:
    """
    Return the section as objects, noting in the document what does not fit together.

    `reserved` names are those of commands that the map gets by another section.
    """
    rules: list[CommandRule] = []
    names: set[str] = set()
    for index, body in enumerate(section):
        place: Place = ('commands', index)
        if body['name'] in names:
            document.problem((*place, 'name'), f'{body["name"]!r} stands here a second time')
        if body['name'] in reserved:
            document.problem(
                (*place, 'name'), f'{body["name"]!r} is a command of teleop; choose another name')
        names.add(body['name'])
        rule = _rule(document, place, body)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _rule(document: Document, place: Place, body: dict[str, Any]) -> CommandRule | None:
    try:
        declaration = declare(
            body['name'], body.get('params', {}),
            **{key: body[key] for key in _DECLARED if key in body})
    except CommandDeclarationError as error:
        document.problem(place, str(error))
        return None
    if 'steps' in body:
        places: list[Place] = [(*place, 'steps', index) for index in range(len(body['steps']))]
        bodies = body['steps']
    else:
        places, bodies = [place], [body]
    targets = [key for key in (*KINDS, 'steps') if key in body]
    if len(targets) != 1:
        document.problem(
            place, f'saw {", ".join(targets) or "no target"}, expected one of '
            f'{", ".join(KINDS)} or steps')
        return None
    steps = [_step(document, where, step, declaration)
             for where, step in zip(places, bodies, strict=True)]
    timeout = DEFAULT_ACTION_TIMEOUT_S if any(
        isinstance(step, ActionStep) for step in steps) else DEFAULT_TIMEOUT_S
    return CommandRule(
        declaration, tuple(step for step in steps if step is not None),
        float(body.get('timeout_s', timeout)), place, tuple(places))


def _step(document: Document, place: Place, body: dict[str, Any], declaration: Declaration
          ) -> Step | None:
    kinds = [kind for kind in KINDS if kind in body]
    if len(kinds) != 1:
        document.problem(
            place, f'saw {", ".join(kinds) or "no target"}, expected one of {", ".join(KINDS)}')
        return None
    kind, = kinds
    here = (*place, kind)
    target = body[kind]
    if kind == 'pause_s':
        return PauseStep(float(target))
    for key in _TEMPLATES:
        if key in target:
            _check_texts(document, (*here, key), target[key], declaration)
    if 'type' in target:
        target = {**target, 'type': _type_name(target['type'], kind)}
    if kind == 'service':
        success = target.get('success')
        return ServiceStep(**{**target, 'success': '' if success is False else success})
    if kind == 'action':
        return ActionStep(**{**target, 'progress': _progress(target.get('progress'))})
    if kind == 'parameter':
        if not target.get('set') and not target.get('get'):
            document.problem(here, 'saw neither set nor get, expected one of them or both')
        return ParameterStep(**{**target, 'get': tuple(target.get('get', ()))})
    return PublishStep(**target) if kind == 'publish' else LifecycleStep(**target)


def _progress(body: Mapping[str, Any] | None) -> Progress | None:
    if body is None:
        return None
    start = body.get('from', 0.0)
    return Progress(body['path'], start if start == 'first' else float(start),
                    float(body.get('to', 100.0)))


def _type_name(name: str, kind: str) -> str:
    """Return a type in full: std_srvs/Trigger is std_srvs/srv/Trigger for a service."""
    if name.count('/') != 1:
        return name
    folder = {'service': 'srv', 'action': 'action', 'publish': 'msg'}[kind]
    return name.replace('/', f'/{folder}/')


def _check_texts(document: Document, place: Place, value: Any, declaration: Declaration) -> None:
    for inner, text in texts_of(value):
        where = (*place, *inner)
        try:
            names = names_in(text)
        except ValueError as error:
            document.problem(where, str(error))
            continue
        for name in names:
            parameter = declaration.parameters.get(name)
            if parameter is None:
                known = ', '.join(declaration.parameters) or 'none'
                document.problem(
                    where, f'saw {{{name}}}, which is no parameter of {declaration.name}; '
                    f'it has {known}')
            elif whole(text) is None and not parameter.required and (
                    parameter.spec.get('default') is None):
                document.problem(
                    where, f'saw {{{name}}} within a text, but this parameter may be absent; '
                    'give it a default or make it required')

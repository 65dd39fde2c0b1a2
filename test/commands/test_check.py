# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from plexus_bridge.commands.check import command_problems
from plexus_bridge.config.document import place_text
from plexus_bridge.config.map import load_map
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.layout import String

LAYOUTS = {
    ('p/srv/Set', 'Request'): Message('p/srv/Set request', (
        ('data', PRIMITIVES['bool']), ('level', PRIMITIVES['uint8']))),
    ('p/srv/Set', 'Response'): Message('p/srv/Set response', (
        ('success', PRIMITIVES['bool']), ('code', PRIMITIVES['int32']), ('message', String()))),
    ('p/action/Go', 'Goal'): Message('p/action/Go goal', (('x', PRIMITIVES['float64']),)),
    ('p/action/Go', 'Result'): Message('p/action/Go result', (('ok', PRIMITIVES['bool']),)),
    ('p/action/Go', 'Feedback'): Message('p/action/Go feedback', (('d', PRIMITIVES['float64']),)),
    ('p/msg/Text', ''): Message('p/msg/Text', (('data', String()),))}


def layout_of(name: str, part: str) -> Message:
    try:
        return LAYOUTS[name, part]
    except KeyError:
        raise MappingError(f'type {name}: package {name[:1]} is not installed here') from None


def problems(tmp_path, commands: str) -> list[str]:
    file = tmp_path / 'robot.yaml'
    file.write_text(f'version: 1\ncommands:\n{commands}')
    return [f'{place_text(place)}: {text}' for rule in load_map(file).commands
            for place, text in command_problems(rule, layout_of)]


def test_commands_that_fit_their_types_have_no_problem(tmp_path):
    assert problems(tmp_path, '''
  - {name: a, service: {name: /a, type: p/Set, request: {data: true, level: "{n}"},
     success: success, result: {code: code}}, params: {n: {type: integer}}}
  - {name: b, action: {name: /b, type: p/Go, goal: {x: "{n}"}, progress: {path: d},
     result: {ok: ok}}, params: {n: {type: number}}}
  - {name: c, publish: {topic: /c, type: p/Text, message: {data: "n is {n}"}},
     params: {n: {type: integer}}}
  - {name: d, service: {name: /whatever_is_offered, request: {anything: 1}}}
  - {name: e, lifecycle: {node: /n, transition: activate}}
''') == []


@pytest.mark.parametrize(('entry', 'told'), [
    ('service: {name: /a, type: q/Set}',
     'commands[0].service.type: type q/srv/Set: package q is not installed here'),
    ('service: {name: /a, type: p/Set, request: {dat: true}}',
     "commands[0].service.request.dat: request: p/srv/Set request has no field 'dat'; "
     "did you mean 'data'?"),
    ('service: {name: /a, type: p/Set, request: {level: 256}}',
     'commands[0].service.request.level: request.level: saw 256, expected uint8, 0 to 255'),
    ('service: {name: /a, type: p/Set, request: {level: "{x}"}}, params: {x: {type: number}}',
     "commands[0].service.request.level: request.level: is uint8, which the parameter 'x' of type "
     'number cannot become'),
    ('service: {name: /a, type: p/Set, success: code}',
     'commands[0].service.success: code is int32, expected a bool'),
    ('service: {name: /a, type: p/Set, result: {a: codes}}',
     "commands[0].service.result.a: codes: p/srv/Set response has no field 'codes'; it has "
     'success, code, message'),
    ('action: {name: /b, type: p/Go, progress: {path: e}}',
     "commands[0].action.progress.path: e: p/action/Go feedback has no field 'e'; it has d"),
    ('steps: [{pause_s: 1}, {publish: {topic: /c, type: p/Text, message: {data: 7}}}]',
     'commands[0].steps[1].publish.message.data: message.data: saw 7, expected a text'),
    ('lifecycle: {node: /n, transition: activat}',
     "commands[0].lifecycle.transition: saw 'activat', expected one of configure, activate, "
     'deactivate, cleanup, shutdown')])
def test_what_does_not_fit_is_told_with_its_place(tmp_path, entry, told):
    assert problems(tmp_path, f'  - {{name: d, {entry}}}\n') == [told]

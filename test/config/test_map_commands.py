# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from plexus_bridge.commands.steps import ActionStep
from plexus_bridge.commands.steps import LifecycleStep
from plexus_bridge.commands.steps import ParameterStep
from plexus_bridge.commands.steps import PauseStep
from plexus_bridge.commands.steps import Progress
from plexus_bridge.commands.steps import PublishStep
from plexus_bridge.commands.steps import ServiceStep
from plexus_bridge.config.map import load_map
from plexus_bridge.config.map import RobotMap
from plexus_bridge.errors import ConfigError


def load(tmp_path: Path, commands: str) -> RobotMap:
    file = tmp_path / 'robot.yaml'
    file.write_text(f'version: 1\ncommands:\n{commands}')
    return load_map(file)


def test_every_kind_of_target_is_read(tmp_path):
    rules = load(tmp_path, '''
  - name: dock
    title: Dock
    danger: dangerous
    expires_in_s: 60
    action:
      name: /dock_robot
      type: nav2_msgs/DockRobot
      goal: {dock_id: "{dock}"}
      progress: {path: distance, from: first, to: 0}
    params: {dock: {type: string, enum: [a, b]}}
  - name: lights
    service: {name: lights, type: std_srvs/SetBool, request: {data: true}, success: false}
  - {name: read_speed, parameter: {node: /base, get: [max_speed]}}
  - {name: beep, publish: {topic: /beep, type: std_msgs/String, message: {data: hello}}}
  - {name: camera, lifecycle: {node: /camera, transition: activate}, timeout_s: 5}
  - name: both
    steps:
      - {service: {name: /a}}
      - {pause_s: 1}
      - {service: {name: /b}}
''').commands
    assert [rule.declaration.name for rule in rules] == [
        'dock', 'lights', 'read_speed', 'beep', 'camera', 'both']
    assert rules[0].declaration.body['params']['dock'] == {
        'type': 'string', 'enum': ['a', 'b'], 'required': True}
    assert rules[0].steps == (ActionStep(
        '/dock_robot', 'nav2_msgs/action/DockRobot', {'dock_id': '{dock}'},
        Progress('distance', 'first', 0.0)),)
    assert rules[1].steps == (
        ServiceStep('lights', 'std_srvs/srv/SetBool', {'data': True}, success=''),)
    assert rules[2].steps == (ParameterStep('/base', get=('max_speed',)),)
    assert rules[3].steps == (PublishStep('/beep', 'std_msgs/msg/String', {'data': 'hello'}),)
    assert rules[4].steps == (LifecycleStep('/camera', 'activate'),)
    assert rules[5].steps == (ServiceStep('/a'), PauseStep(1.0), ServiceStep('/b'))
    assert [rule.timeout_s for rule in rules] == [600, 30, 30, 30, 5, 30]


@pytest.mark.parametrize(('entry', 'told'), [
    ('{name: Dock, service: {name: /a}}', '3:6: commands[0].name: saw "Dock", expected: Lower'),
    ('{name: dock}', '3:5: commands[0]: saw no target, expected one of service, action'),
    ('{name: d, service: {name: /a}, pause_s: 1}', 'saw service, pause_s, expected one of'),
    ('{name: d, steps: [{}]}', 'steps[0]: saw no target'),
    ('{name: d, steps: [{service: {name: /a}, pause_s: 1}]}', 'steps[0]: saw service, pause_s'),
    ('{name: d, service: {name: "/a b"}}', 'service.name: saw "/a b", expected: Name of'),
    ('{name: d, service: {name: /a, sucess: x}}', "did you mean 'success'?"),
    ('{name: d, service: {name: /a, request: {x: "{speed}"}}}',
     'commands[0].service.request.x: saw {speed}, which is no parameter of d; it has none'),
    ('{name: d, service: {name: /a, request: {x: "{"}}}', 'a brace stands alone'),
    ('{name: d, service: {name: /a, request: {x: "at {p}"}}, '
     'params: {p: {type: string, required: false}}}', 'this parameter may be absent'),
    ('{name: d, parameter: {node: /n}}', 'saw neither set nor get'),
    ('{name: d, service: {name: /a}, params: {p: {type: integer, default: 1.5}}}',
     'params.p.default'),
    ('{name: d, service: {name: /a}, params: {p: {type: string, minimum: 1}}}', "'minimum'"),
    ('{name: d, service: {name: /a}, expires_in_s: 1}', 'expires_in_s'),
    ('{name: d, service: {name: /a}, danger: deadly}', 'danger: saw "deadly"'),
    ('{name: d, lifecycle: {node: /n, transition: "{t}"}}', 'no parameter of d')])
def test_what_is_wrong_is_told_with_its_place(tmp_path, entry, told):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f'  - {entry}\n')
    assert told in str(caught.value)


def test_a_name_that_stands_twice_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"5:6: commands\[1\].name: 'd' stands here"):
        load(tmp_path, '\n' + 2 * '  - {name: d, service: {name: /a}}\n')


def test_the_names_of_driving_are_taken_where_there_is_driving(tmp_path):
    command = '  - {name: stop, service: {name: /a}}\n'
    assert load(tmp_path, command).commands
    with pytest.raises(ConfigError, match="'stop' is a command of teleop"):
        load(tmp_path, f'{command}teleop: {{topic: /cmd_vel, limits: {{linear.x: [-1, 1]}}}}\n')


def test_17_params_are_too_many(tmp_path):
    params = ', '.join(f'p{i}: {{type: boolean}}' for i in range(17))
    with pytest.raises(ConfigError, match='params'):
        load(tmp_path, f'  - {{name: d, service: {{name: /a}}, params: {{{params}}}}}\n')


@pytest.mark.parametrize(('progress', 'value', 'first', 'percent'), [
    (Progress('p'), 40, 0, 40), (Progress('p', 'first', 0.0), 2.5, 10.0, 75),
    (Progress('p', 'first', 0.0), 12.0, 10.0, 0), (Progress('p', 0.0, 1.0), 7.0, 0, 100),
    (Progress('p', 'first', 5.0), 5.0, 5.0, 0)])
def test_progress_is_read_from_feedback(progress, value, first, percent):
    assert progress.percent(value, first) == percent

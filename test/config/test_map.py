# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Maps: what is read out of them, and what is said when they are wrong."""

from __future__ import annotations

import json
from pathlib import Path
import re

from hypothesis import event
from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st
import jsonschema
import pytest

from plexus_bridge.config.document import load_schema
from plexus_bridge.config.map import load_map
from plexus_bridge.config.map import SCHEMA
from plexus_bridge.errors import ConfigError
from plexus_bridge.mapping.rules import Sampling

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(tmp_path):
    def load_text(text: str, environment=None):
        file = tmp_path / 'robot.yaml'
        file.write_text(text)
        return load_map(file, environment or {})

    return load_text


@pytest.fixture
def problems(load, tmp_path):
    """Return what is said of a map, without the folder."""
    def problems_of(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text)
        return [line.removeprefix(f'{tmp_path}/') for line in str(caught.value).splitlines()]

    return problems_of


def test_a_map_is_read_with_its_defaults(load):
    robot = load('''
version: 1
source_id: husky-01
gateway: {url: https://gateway.example.com}
tags: {site: lab}
metrics:
  - topic: battery_state
    type: sensor_msgs/BatteryState
    tags: {part: battery}
    lane: bulk
    fields:
      - {path: voltage, metric: battery.voltage, unit: V, scale: 2, lane: state}
      - {path: percentage, metric: battery.percent, tags: {site: field}}
  - topic: /imu/data
    sampling: {mode: every}
    timestamp: receive
delivery: {flush_ms: 100}
''')
    battery, imu = robot.metrics
    assert robot.source_id == 'husky-01'
    assert robot.gateway_url == 'https://gateway.example.com'
    assert battery.type == 'sensor_msgs/msg/BatteryState'
    assert battery.sampling == Sampling('latest', 10.0)
    voltage, percent = battery.fields
    assert (voltage.scale, voltage.offset, voltage.lane, percent.lane) == (2, 0, 'state', 'bulk')
    assert voltage.tags == {'site': 'lab', 'part': 'battery', 'unit': 'V'}
    assert percent.tags == {'site': 'field', 'part': 'battery'}
    assert (imu.sampling.mode, imu.timestamp, imu.fields) == ('every', 'receive', ())
    assert (robot.delivery.flush_ms, robot.delivery.max_disk_mb) == (100, 256)


def test_what_a_wrong_key_stands_beside_is_looked_at_all_the_same(problems):
    told = problems('''version: 1
source_id: x
gateway: {url: "http://a:b"}
metrics:
  - topic: /imu
    fields:
      - {path: a, metric: x, scale: big}
      - {path: "a..b", metric: y}
      - {path: c, metric: z, resend_s: 5}
  - topic: /odom
    sampling: {mode: often}
  - topic: "/{a}/{a}"
video:
  - {topic: /left, camera_id: one}
  - {topic: /right, camera_id: one}
delivery: {flush_ms: 1}
''')
    assert [line.partition(': ')[0] for line in told] == [
        f'robot.yaml:{place}' for place in (
            '3:11', '7:30', '8:10', '9:30', '11:16', '12:5', '15:21', '16:12')]
    assert 'expected a number' in told[1]
    assert 'cannot be understood from character 2 on' in told[2]
    assert 'has no meaning without deadband' in told[3]


def test_every_problem_is_told_at_once_with_its_line_and_column(problems):
    assert problems('''version: 2
sorce_id: x
metrics:
  - topic: /imu/data
    sampling: {mode: latst}
    feilds: []
  - topic: 7
  - fields:
      - {path: "a..b", metric: x, scale: big}
''') == [
        'robot.yaml:1:1: version: saw 2, expected 1',
        "robot.yaml:2:1: sorce_id: unknown key 'sorce_id'; did you mean 'source_id'?",
        'robot.yaml:5:16: metrics[0].sampling.mode: saw "latst", expected latest, every, window; '
        "did you mean 'latest'?",
        "robot.yaml:6:5: metrics[0].feilds: unknown key 'feilds'; did you mean 'fields'?",
        'robot.yaml:7:5: metrics[1].topic: saw 7, expected a text; put it in quotes: "7"',
        "robot.yaml:8:5: metrics[2]: 'topic' is missing",
        'robot.yaml:9:35: metrics[2].fields[0].scale: saw "big", expected a number',
    ]


@pytest.mark.parametrize(('text', 'expected'), [
    ('a: [1\nb: 2', 'robot.yaml:2:2: is not YAML: a "," is missing before this, or the "]" that '
     'closes the "[" of line 1, column 4'),
    ('\tversion: 1', 'robot.yaml:1:1: is not YAML: a tab stands here; lines are indented with '
     'spaces only'),
    ('', 'robot.yaml: saw nothing, expected a mapping'),
    ('- 1', 'robot.yaml:1:1: saw [1], expected a mapping'),
    ('version: 1\nversion: 1', 'robot.yaml:2:1: version: stands here a second time'),
    ('version: 1\nmetrics: [{topic: /a, fields: [{path: "a..b", metric: m}]}]',
     "robot.yaml:2:33: metrics[0].fields[0].path: path 'a..b': cannot be understood from "
     'character 2 on (\'..b\'); expected a form such as "a.b", "a[3]", "a[-1]", "a[1:4]", '
     '"a[*].b" or "a[name=left].b"'),
    ('version: 1\nmetrics: [{topic: /a, sampling: {mode: every, rate_hz: 3}}]',
     'robot.yaml:2:47: metrics[0].sampling.rate_hz: has no meaning with mode every; it belongs '
     'to mode latest'),
    ('version: 1\nsource_id: 0123abcd-0123-0123-0123-0123456789ab',
     "robot.yaml:2:1: source_id: saw '0123abcd-0123-0123-0123-0123456789ab', which "
     'has the shape of a UUID; the platform takes those for its own ids, so choose a name such '
     'as "husky-01"'),
    ('version: 1\ngateway: {url: "${NOWHERE}"}',
     'robot.yaml:2:16: gateway.url: ${NOWHERE} is not set; set this environment variable'),
    ('version: 1\ngateway: {url: "http://h:99999"}',
     "robot.yaml:2:11: gateway.url: saw 'http://h:99999': Port out of range 0-65535; expected "
     'an address such as https://gateway.example.com or http://127.0.0.1:8787'),
    ('version: 1\ndelivery: {max_disk_mb: .inf}',
     'robot.yaml:2:25: delivery.max_disk_mb: saw inf, expected a finite number'),
    (f'version: 1\ndelivery: {{max_disk_mb: {"9" * 400}}}',
     'robot.yaml:2:25: delivery.max_disk_mb: saw a number beyond 1.8e308, expected a finite '
     'number'),
    ('version: 1\nmetrics: [{topic: /a, fields: [{path: a, metric: m, scale: .nan}]}]',
     'robot.yaml:2:60: metrics[0].fields[0].scale: saw nan, expected a finite number'),
    ('version: 1\nsource_id: !!bool foo',
     'robot.yaml:2:12: source_id: saw "foo", which cannot be read as bool: \'foo\''),
    ('version: 1\ntags: {a: "\\ud800"}',
     "robot.yaml:2:11: tags.a: saw '\\ud800', which holds half a surrogate pair and so is no "
     'text'),
    ('version: 1\ntags: {[1]: a}',
     'robot.yaml:2:7: tags: has a key that is a list or mapping, expected a text'),
    ('version: 1\nx: ' + '[' * 60 + ']' * 60,
     'robot.yaml:2:54: is nested too deeply; expected at most 50 levels'),
    ('version: 1\nx: ' + '[' * 3000 + ']' * 3000,
     'robot.yaml: is nested too deeply; expected at most 50 levels'),
    ('version: 1\nmetrics: [{topic: /a, fields: [{path: a, metric: m, as: celcius}]}]',
     'robot.yaml:2:53: metrics[0].fields[0].as: saw "celcius", expected rpy, yaw, norm, degrees, '
     'celsius, bool, count, min, max, mean, std, a percentile such as p50 or p99.9; did you mean '
     "'celsius'?"),
    ('version: 1\nmetrics: [{topic: /a, fields: [{path: a, metric: m, as: [norm, degres]}]}]',
     'robot.yaml:2:64: metrics[0].fields[0].as[1]: saw "degres", expected rpy, yaw, norm, '
     'degrees, celsius, bool, count, min, max, mean, std, a percentile such as p50 or p99.9; did '
     "you mean 'degrees'?"),
    ('version: 1\nmetrics: [{topic: /a, fields: [{path: a, metric: m, deadband: -1}]}]',
     'robot.yaml:2:53: metrics[0].fields[0].deadband: saw -1, expected: Values that differ from '
     "the last one sent by no more than this are left out: a number in the metric's unit, or a "
     "part of the last value such as '2%'."),
    ('version: 1\nx: &a\n  - *a', "robot.yaml:2:1: x: unknown key 'x'; expected one of "
     f'{", ".join(load_schema(SCHEMA)["properties"])}'),
])
def test_a_wrong_map_is_explained(problems, text, expected):
    assert expected in problems(text)


@pytest.mark.parametrize('topic', ['/1abc', '1abc', '/a/1b', '~/1', '/{a}/1', '/'])
def test_names_that_no_topic_can_have_are_told(problems, topic):
    assert problems(f'version: 1\nmetrics: [{{topic: "{topic}"}}]')[0].startswith(
        f'robot.yaml:2:12: metrics[0].topic: saw "{topic}", expected: Topic name, such as')


@pytest.mark.parametrize('topic', ['/a1/_b', '~/a', '/{a}1/*2', '/**/a', 'x'])
def test_names_that_a_topic_can_have_are_taken(load, topic):
    assert load(f'version: 1\nmetrics: [{{topic: "{topic}"}}]').metrics[0].topic == topic


def test_aliases_that_make_much_of_little_are_refused(problems):
    bomb = 'a0: &a0 [1,1,1,1,1,1,1,1,1]\n' + ''.join(
        f'a{i}: &a{i} [{",".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 9))
    assert 'holds too much, aliases followed' in problems(bomb)[0]


def test_numbers_are_read_as_everybody_writes_them(load):
    robot = load('''
version: 1
metrics:
  - topic: /a
    fields:
      - {path: a, metric: m, bit: 3.0, scale: 1e-3, offset: -2E+2}
      - {path: b, metric: n, unit: "1e3"}
delivery: {flush_ms: 50.0}
''')
    first, second = robot.metrics[0].fields
    assert (first.scale, first.offset, second.tags['unit']) == (0.001, -200, '1e3')
    assert (type(first.bit), type(robot.delivery.flush_ms)) == (int, int)


def tags(name: str, count: int) -> str:
    return '{' + ', '.join(f'{name}{index}: x' for index in range(count)) + '}'


@pytest.mark.parametrize(('rule', 'column', 'place'), [
    (f'tags: {tags("r", 5)}', 11, 'metrics[0]'),
    (f'tags: {tags("r", 5)}, fields: [{{path: a, metric: m, unit: V}}]', 75,
     'metrics[0].fields[0]')])
def test_more_tags_than_a_point_may_have_are_told(problems, rule, column, place):
    # One too many spoils not only its point, but the whole frame that the point is in.
    told = problems(f'version: 1\ntags: {tags("m", 10)}\nmetrics: [{{topic: /a, {rule}}}]')
    assert told == [
        f'robot.yaml:3:{column}: {place}: saw 16 tags with those of the map, the rule and the '
        "unit, expected at most 15, and one is kept for 'clock', which marks simulated time"]


def test_as_many_tags_as_a_point_may_have_are_taken(load):
    assert load(f'version: 1\ntags: {tags("m", 10)}\n'
                f'metrics: [{{topic: /a, tags: {tags("r", 4)}}}]').metrics


PIECES = st.sampled_from([
    'version: 1\n', 'metrics:\n', ' - ', 'topic: /a\n', '   fields:\n',
    '    - {path: a, metric: m', ', scale: ', ', bit: ', ', deadband: ', ', values: {', '}', '{',
    '[', ']', ': ', '\n', '  ', '"', '\\ud800', '\\U99999999', '!!timestamp ', '!!bool ',
    '!!int ', '!!float ', '!!binary ', '!!set ', '!!omap ', '!!python/name:os.system ', '""',
    'foo', '&a ', '*a', '<<: ', '? ', '.nan', '1e400', '-', '0x', '1:20', '2020-99-99',
    'delivery: {max_disk_mb: ', 'tags: ', 'gateway: {url: ', 'http://[', 'source_id: ', '007',
    '~', '%YAML 9.9\n', '---\n', '|', '\t', '#'])


@settings(max_examples=400, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(
    st.lists(PIECES, max_size=25).map(''.join),
    st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=25).map(
        lambda pieces: 'version: 1\n' + ''.join(pieces))))
def test_whatever_the_text_nothing_but_a_config_error_comes(tmp_path, text):
    file = tmp_path / 'robot.yaml'
    file.write_text(text, encoding='utf-8', errors='replace')
    try:
        assert load_map(file, {}).document.value['version'] == 1
    except ConfigError:
        event('refused')


def test_a_missing_file_is_told_with_the_folder_that_was_searched(tmp_path):
    with pytest.raises(ConfigError, match='no such file; the working directory is'):
        load_map(tmp_path / 'nowhere.yaml')


def test_environment_variables_are_put_in(load):
    robot = load('version: 1\nsource_id: "${NAME}-01"', {'NAME': 'husky'})
    assert robot.source_id == 'husky-01'


def test_the_schema_is_a_schema_and_describes_every_key():
    schema = load_schema(SCHEMA)
    jsonschema.Draft7Validator.check_schema(schema)

    def undescribed(node: dict, place: str) -> list[str]:
        missing = []
        for name, part in node.get('properties', {}).items():
            target = part
            if '$ref' in part:
                target = schema
                for step in part['$ref'].split('/')[1:]:
                    target = target[step]
            if 'description' not in target and name != 'tags' and name != 'sampling':
                missing.append(f'{place}.{name}')
            missing += undescribed(part, f'{place}.{name}')
        return missing

    assert undescribed(schema, '') == []
    assert [name for definition in schema['$defs'].values()
            for name in undescribed(definition, '')] == []


@pytest.mark.parametrize(
    'file', sorted((ROOT / 'config').glob('*.yaml')), ids=lambda file: file.name)
def test_every_map_that_we_ship_is_right(file):
    assert load_map(file).metrics


def test_the_map_in_the_documentation_is_right(load):
    blocks = re.findall(r'```yaml\n(.*?)```', (ROOT / 'doc' / 'map.md').read_text(), re.DOTALL)
    maps = [load(block if block.startswith('version') else f'version: 1\n{block}')
            for block in blocks]
    assert len(maps[0].metrics) == 5
    assert max(len(robot_map.events) for robot_map in maps) == 8


def test_the_schema_can_be_read_by_any_editor():
    json.loads((ROOT / 'plexus_bridge' / 'config' / SCHEMA).read_text())


def test_braces_in_a_name_that_nothing_can_fill_are_told(problems):
    assert problems('''version: 1
metrics:
  - topic: /{part}/data
    fields:
      - {path: a, metric: "x.{prt}"}
      - {path: a, metric: "x.{part}"}
      - {path: "position[*]", key: name, metric: "{name}.at.{part}"}
  - topic: /a
    fields: [{path: b, metric: "{b}"}]
''') == [
        "robot.yaml:5:19: metrics[0].fields[0].metric: {prt} in 'x.{prt}' is neither a wildcard "
        'of the topic nor the last field of key; expected {part}',
        "robot.yaml:9:24: metrics[1].fields[0].metric: {b} in '{b}' is neither a wildcard of the "
        'topic nor the last field of key; expected none here']


def test_two_values_of_one_name_at_one_time_are_told(problems):
    assert problems('''version: 1
metrics:
  - topic: /odom
    fields:
      - {path: position.x, metric: at}
      - {path: position.y, metric: at}
      - {path: position.z, metric: at, tags: {axis: z}}
  - topic: /odom
    fields: [{path: position.x, metric: at}, {path: position.z, metric: at}]
  - topic: /elsewhere
    fields: [{path: position.y, metric: at}]
''') == [
        "robot.yaml:6:28: metrics[0].fields[1].metric: saw 'at' again, which is that of "
        'metrics[0].fields[0] with the same tags: of two values at one time a gateway keeps one; '
        'expected another name or tag',
        "robot.yaml:9:65: metrics[1].fields[1].metric: saw 'at' again, which is that of "
        'metrics[0].fields[0] with the same tags: of two values at one time a gateway keeps one; '
        'expected another name or tag']

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Maps: what is read out of them, and what is said when they are wrong."""

from __future__ import annotations

import json
from pathlib import Path
import re

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
        'robot.yaml:7:5: metrics[1].topic: saw 7, expected a text',
        "robot.yaml:8:5: metrics[2]: 'topic' is missing",
        'robot.yaml:9:35: metrics[2].fields[0].scale: saw "big", expected a number',
    ]


@pytest.mark.parametrize(('text', 'expected'), [
    ('a: [1\nb: 2', "robot.yaml:2:2: is not YAML: expected ',' or ']', but got ':'"),
    ('\tversion: 1', "robot.yaml:1:1: is not YAML: found character '\\t' that cannot start any "
     'token'),
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
    ('version: 1\nx: &a\n  - *a', "robot.yaml:2:1: x: unknown key 'x'; expected one of version, "
     'source_id, gateway, tags, metrics, delivery'),
])
def test_a_wrong_map_is_explained(problems, text, expected):
    assert expected in problems(text)


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
                target = {**schema['$defs'][part['$ref'].rpartition('/')[2]], **part}
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
    assert blocks
    for block in blocks:
        assert len(load(block).metrics) == 5


def test_the_schema_can_be_read_by_any_editor():
    json.loads((ROOT / 'plexus_bridge' / 'config' / SCHEMA).read_text())

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Stories of maps and messages, one in each folder of test/cases.

A folder has map.yaml and messages.yaml, and either expected.yaml (the points, and what was
counted) or error.txt (lines that the errors must contain). Anyone can add one; no code is
needed. In messages.yaml, what a message leaves out is zero or empty, `types` may define own
message types, and `time_ms` is when a message was received (default: the first at
1790000000000, each 100 ms after the one before).
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import math
from pathlib import Path
from typing import Any

from cdr import write_cdr
import pytest
from rosbags.typesys import get_types_from_msg
import yaml

from plexus_bridge.authoring.dry_run import dry_run
from plexus_bridge.authoring.report import problems_text
from plexus_bridge.authoring.source import Definitions
from plexus_bridge.authoring.source import SourceMessage
from plexus_bridge.authoring.source import SourceTopic
from plexus_bridge.config.map import load_map
from plexus_bridge.errors import ConfigError

CASES = Path(__file__).parent / 'cases'
BEGIN_MS = 1_790_000_000_000


class CaseSource:
    """The messages of one folder."""

    seconds = 1.0

    def __init__(self, folder: Path):
        self.name = folder.name
        content = yaml.safe_load((folder / 'messages.yaml').read_text())
        own: dict[str, Any] = {}
        for name, definition in content.get('types', {}).items():
            own.update(get_types_from_msg(definition.replace('===', '=' * 80), name))
        self._definitions = Definitions(own)
        self.layout = self._definitions.layout
        self._content = content['messages']
        self.topics: dict[str, SourceTopic] = {}
        for entry in self._content:
            known = self.topics.get(entry['topic'])
            types = {entry['type'], *(known.types if known else ())}
            self.topics[entry['topic']] = SourceTopic(entry['topic'], tuple(sorted(types)), 1)

    def messages(self, topics) -> Iterator[SourceMessage]:
        for index, entry in enumerate(self._content):
            if entry['topic'] in topics:
                time_ms = entry.get('time_ms', BEGIN_MS + index * 100)
                data = bytes.fromhex(entry['cdr']) if 'cdr' in entry else write_cdr(
                    self.layout(entry['type']), entry.get('message', {}))
                yield SourceMessage(entry['topic'], time_ms * 1_000_000, data)


@pytest.mark.parametrize('folder', sorted(CASES.iterdir()), ids=lambda folder: folder.name)
def test_case(folder: Path):
    points: list[dict] = []
    errors: list[str] = []
    counted: dict[str, int] = {}
    try:
        robot_map = load_map(folder / 'map.yaml', {})
        result = dry_run(robot_map, CaseSource(folder), points.append)
        errors = list(problems_text(robot_map, result))
        counted = dict(result.counters.dropped())
    except ConfigError as error:
        errors = str(error).splitlines()
    if (folder / 'error.txt').exists():
        expected = (folder / 'error.txt').read_text().splitlines()
        assert [error.rpartition('map.yaml:')[2] for error in errors] == expected
        return
    expected = yaml.safe_load((folder / 'expected.yaml').read_text())
    assert errors == []
    assert in_order(map(plain, points)) == in_order(expected.get('points', []))
    assert counted == expected.get('dropped', {})


def in_order(points: Iterable[dict]) -> list[dict]:
    """Return points by time and metric: within one message their order means nothing."""
    return sorted(points, key=lambda point: (point['timestamp'], point['metric']))


def plain(point: dict) -> dict[str, Any]:
    """Return a point as expected.yaml has it: metrics without class, values to nine digits."""
    shown = {key: value for key, value in point.items()
             if key != 'class' or value != 'metric'}
    if isinstance(shown['value'], float):
        shown['value'] = float(f'{shown["value"]:.9g}')
        assert math.isfinite(shown['value'])
    return shown


def test_every_case_says_what_it_expects():
    for folder in CASES.iterdir():
        names = {file.name for file in folder.iterdir()}
        assert {'map.yaml', 'messages.yaml'} <= names, folder
        assert len(names & {'expected.yaml', 'error.txt'}) == 1, folder

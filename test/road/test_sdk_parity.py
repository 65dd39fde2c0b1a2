# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The same program with the official SDK and with ours: what it hears, and what is stored."""

from __future__ import annotations

from collections.abc import Iterator
import inspect
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from local_gateway import LocalGateway
from local_gateway import serving
import plexus
import pytest

import plexus_bridge

SCENARIO = Path(__file__).with_name('sdk_scenario.py')


class Peer:
    """One run of the scenario: its package, its source, and what it told."""

    def __init__(self, package: str, gateway: LocalGateway, home: Path):
        self.source = f'parity-{package.replace("_", "-")}'
        self.gateway = gateway
        self.process = subprocess.Popen(
            [sys.executable, str(SCENARIO), package, self.source], stdout=subprocess.PIPE,
            text=True, env={**os.environ, **gateway.environment(home), 'PLEXUS_QUIET': '1'})
        self.told: dict[str, Any] = {}

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == 'ready\n'

    def finish(self) -> None:
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, output
        self.told = json.loads(output.splitlines()[-1])

    def stored(self) -> dict[str, Any]:
        """Return all that the gateway has of the source, but for stamps of now."""
        series = {metric: self.gateway.columns(self.source, metric)
                  for metric in self.gateway.get(f'/v1/sources/{self.source}/metrics')}
        series['run.temp'].pop('timestamp_ms')
        runs = self.gateway.get('/api/runs', source_id=self.source)['runs']
        return {
            'series': series,
            'events': [{key: event[key] for key in ('metric', 'value', 'timestamp_ms', 'tags')
                        if key in event} for event in self.gateway.raw_events(self.source)],
            'runs': sorted([run['name'], run['status'], run['tags'], run['metadata'],
                            (run['test_result'] or {}).get('passed')] for run in runs)}


@pytest.fixture(scope='module')
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Peer]]:
    """Both programs, at the same time against one gateway."""
    folder = tmp_path_factory.mktemp('parity')
    with serving(folder) as gateway:
        both = [Peer(package, gateway, folder / package)
                for package in ('plexus', 'plexus_bridge')]
        for peer in both:
            peer.ready()
            answer = gateway.request('POST', f'/v1/sources/{peer.source}/commands', json={
                'command': 'tare', 'params': {'cell': 2}})
            assert answer.status_code == 200, answer.text
        for peer in both:
            peer.finish()
        yield both


def test_the_same_program_hears_the_same_from_both(peers):
    official, ours = peers
    assert ours.told == official.told


def test_the_gateway_stores_the_same_from_both(peers):
    official, ours = peers
    stored = official.stored()
    assert ours.stored() == stored
    assert len(stored['series']['fast']['value']) == 3001
    assert len(stored['events']) == 8
    assert [run[0] for run in stored['runs']] == ['bench-1', 'bench-2']


def test_every_public_name_of_the_sdk_is_ours_too():
    assert {'Plexus', *plexus.__all__} - set(dir(plexus_bridge)) == set()


@pytest.mark.parametrize('name', sorted(
    name for name in dir(plexus.Plexus) if not name.startswith('_') and not name.isupper()))
def test_every_method_takes_what_the_sdks_takes(name):
    theirs, ours = getattr(plexus.Plexus, name), getattr(plexus_bridge.Plexus, name)
    assert callable(theirs) == callable(ours)
    if callable(theirs):
        taken = inspect.signature(ours).parameters
        for index, (parameter, what) in enumerate(inspect.signature(theirs).parameters.items()):
            assert parameter in taken or what.kind is what.VAR_KEYWORD
            if what.kind is what.POSITIONAL_OR_KEYWORD:
                assert list(taken)[index] == parameter


def test_the_constructor_takes_what_the_sdks_takes():
    theirs = list(inspect.signature(plexus.Plexus).parameters)
    assert list(inspect.signature(plexus_bridge.Plexus).parameters)[:len(theirs)] == theirs

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The same program with the official SDK and with ours: what it hears, and what is stored."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
import re
import subprocess
import sys
import time
from typing import Any

import plexus
import pytest
import requests

import plexus_bridge

SCENARIO = Path(__file__).with_name('sdk_scenario.py')


class Peer:
    """One run of the scenario: its package, its source, and what it told."""

    def __init__(self, package: str, url: str, key: str, home: Path):
        self.package = package
        self.source = f'parity-{package.replace("_", "-")}'
        self.url = url
        self.key = key
        home.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, str(SCENARIO), package, self.source, '3'], stdout=subprocess.PIPE,
            text=True, env={
                **os.environ, 'HOME': str(home), 'PLEXUS_HOME': str(home / '.plexus'),
                'PYTHONPATH': str(Path(__file__).parents[2]), 'PLEXUS_QUIET': '1',
                'PLEXUS_API_KEY': key, 'PLEXUS_ENDPOINT': url, 'PLEXUS_GATEWAY_URL': url,
                'PLEXUS_GATEWAY_WS_URL': url.replace('http', 'ws', 1)})
        self.told: dict[str, Any] = {}

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(
            method, self.url + path, headers={'x-api-key': self.key}, timeout=20, **options)

    def ready(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == 'ready\n'

    def finish(self) -> None:
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, output
        self.told = json.loads(output.splitlines()[-1])

    def stored(self) -> dict[str, Any]:
        """Return all that the gateway has of the source, but for stamps of now."""
        window = {'start': 1, 'end': 9 * 10**15}
        base = f'/v1/sources/{self.source}'
        series = {}
        for metric in self.request('GET', f'{base}/metrics').json():
            answer = self.request('GET', f'{base}/metrics/query', params={
                **window, 'metrics': metric, 'interval': 'raw'}).json()
            series[metric] = answer['series'][metric]
        series['run.temp'].pop('timestamp_ms')
        events = self.request('GET', f'{base}/events', params=window).json()
        runs = self.request('GET', '/api/runs', params={'source_id': self.source}).json()['runs']
        return {
            'series': series,
            'events': [{key: event[key] for key in ('metric', 'value', 'timestamp_ms', 'tags')
                        if key in event} for event in events],
            'runs': sorted([run['name'], run['status'], run['tags'], run['metadata'],
                            (run['test_result'] or {}).get('passed')] for run in runs)}


@pytest.fixture(scope='module')
def peers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Both programs, at the same time against one gateway."""
    folder = tmp_path_factory.mktemp('parity')
    log = folder / 'log'
    with log.open('wb') as output:
        gateway = subprocess.Popen(
            [sys.executable, '-m', 'plexus_bridge.gateway.serve', '--port', '0', '--data',
             str(folder / 'data')], stdout=output, stderr=subprocess.STDOUT, env={
                 **os.environ, 'PLEXUS_HOME': str(folder / 'home'), 'PYTHONUNBUFFERED': '1',
                 'PYTHONPATH': str(Path(__file__).parents[2])})
    try:
        deadline = time.monotonic() + 20
        while 'Ctrl+C' not in log.read_text():
            assert gateway.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)
        found = re.search(r'http://127\.0\.0\.1:\d+', log.read_text())
        assert found
        key = (folder / 'data' / 'key').read_text().strip()
        both = [Peer(package, found[0], key, folder / package)
                for package in ('plexus', 'plexus_bridge')]
        for peer in both:
            peer.ready()
            answer = peer.request('POST', f'/v1/sources/{peer.source}/commands', json={
                'command': 'tare', 'params': {'cell': 2}})
            assert answer.status_code == 200, answer.text
        for peer in both:
            peer.finish()
        yield both
    finally:
        gateway.terminate()
        gateway.wait(20)


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


def test_the_constructor_takes_what_the_sdks_takes():
    theirs = list(inspect.signature(plexus.Plexus).parameters)
    assert list(inspect.signature(plexus_bridge.Plexus).parameters)[:len(theirs)] == theirs

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The platform's own SDK, unchanged, against the local gateway: nothing but its address is set."""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path
import re
import subprocess
import sys
from typing import Any
import urllib.request

import pytest

NOW_MS = 1_790_000_000_000

SENDER = '''
import json, sys
from plexus import Plexus

px = Plexus(source_id='kiln-7')
assert px.send('zone1.temp_c', 812.5, timestamp=1790000000.0, tags={'zone': '1'})
link = px._ws
assert link.wait_authenticated(10)
assert px.send_batch([
    ('imu.accel_x', 0.125, 1790000000.001), ('imu.accel_y', -3, 1790000000.002),
    ('zone1.temp_c', 813)], timestamp=1790000001.0)
with px.batch() as batch:
    for index in range(1000):
        batch.send('counter', index, timestamp=1790000000.0 + index)
assert px.event('fault', 'E-stop triggered', timestamp=1790000002.0)
assert px.event('state_change', {'from': 'IDLE', 'to': 'RUNNING'}, timestamp=1790000003.0)
assert px.send('robot.state', 'RUNNING', timestamp=1790000004.0)
told = {'acks_enabled': link.acks_enabled, 'frames': link._seq,
        'all_acknowledged': link.wait_for_acks(10), 'unacked': link.unacked_points,
        'offset_ms': link.clock_offset_ms, 'dropped': px.dropped_points,
        'buffered': px.buffer_size()}
px.close()
print(json.dumps(told))
'''


@pytest.fixture
def gateway(start, wait_until, tmp_path: Path) -> tuple[str, str]:
    """Address and key of a real gateway process."""
    program = start('plexus_bridge.gateway.serve', '--port', '0', '--data', str(tmp_path / 'data'))
    wait_until(lambda: 'Ctrl+C' in program.output, 'the gateway serves')
    found = re.search(r'http://\S+', program.output)
    assert found, program.output
    return found[0], (tmp_path / 'data' / 'key').read_text().strip()


def sdk(script: str, gateway: tuple[str, str], home: Path) -> dict[str, Any]:
    """Run a script of the SDK with a home of its own; it prints one JSON object."""
    url, key = gateway
    home.mkdir(exist_ok=True)
    result = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, 'HOME': str(home), 'PLEXUS_API_KEY': key, 'PLEXUS_ENDPOINT': url,
             'PLEXUS_GATEWAY_URL': url, 'PLEXUS_GATEWAY_WS_URL': url.replace('http', 'ws', 1)})
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return told


def read(gateway: tuple[str, str], path: str) -> Any:
    url, key = gateway
    request = urllib.request.Request(url + path, headers={'x-api-key': key})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def test_metrics_batches_and_events_are_acknowledged_and_read_back(
        gateway: tuple[str, str], tmp_path: Path):
    told = sdk(SENDER, gateway, tmp_path / 'sdk_home')

    # The acknowledged way was taken, all of it was answered, and nothing went over HTTP.
    assert told.pop('frames') >= 6
    assert abs(told.pop('offset_ms')) < 1000
    assert told == {'acks_enabled': True, 'all_acknowledged': True, 'unacked': 0, 'dropped': 0,
                    'buffered': 0}
    counters = read(gateway, '/v1/gateway')['counters']
    assert counters['socket_points'] == counters['points_stored'] == 1007
    assert 'http_points' not in counters
    assert 'socket_refused' not in counters

    assert read(gateway, '/v1/sources') == {'devices': [
        {'source_id': 'kiln-7', 'online': False, 'last_seen_ms': NOW_MS + 999_000}]}
    assert read(gateway, '/v1/sources/kiln-7/metrics') == [
        'counter', 'imu.accel_x', 'imu.accel_y', 'zone1.temp_c']
    assert read(gateway, '/v1/sources/kiln-7/metrics/latest') == {'metrics': {
        'counter': 999, 'imu.accel_x': 0.125, 'imu.accel_y': -3, 'zone1.temp_c': 813}}
    window = f'start={NOW_MS}&end={NOW_MS + 10**6}'
    series = read(
        gateway, f'/v1/sources/kiln-7/metrics/query?interval=raw&{window}')['series']
    assert series.pop('counter') == {
        'timestamp_ms': [NOW_MS + 1000 * index for index in range(1000)],
        'value': list(range(1000))}
    assert series == {
        'imu.accel_x': {'timestamp_ms': [NOW_MS + 1], 'value': [0.125]},
        'imu.accel_y': {'timestamp_ms': [NOW_MS + 2], 'value': [-3]},
        'zone1.temp_c': {'timestamp_ms': [NOW_MS, NOW_MS + 1000], 'value': [812.5, 813]}}
    events = read(gateway, f'/v1/sources/kiln-7/events?{window}')
    assert [(event['metric'], event['value']) for event in events] == [
        ('fault', 'E-stop triggered'), ('state_change', '{"from":"IDLE","to":"RUNNING"}'),
        ('robot.state', 'RUNNING')]


def test_without_the_socket_the_sdk_gets_through_over_http(
        gateway: tuple[str, str], tmp_path: Path):
    script = '''
import json
from plexus import Plexus
px = Plexus(source_id='kiln-8', ws_url='ws://127.0.0.1:9')
assert px.send_batch([(f'm{index}', index) for index in range(200)])
print(json.dumps({'dropped': px.dropped_points}))
px.close()
'''
    assert sdk(script, gateway, tmp_path / 'sdk_home') == {'dropped': 0}
    counters = read(gateway, '/v1/gateway')['counters']
    assert counters['http_points'] == counters['points_stored'] == 200
    assert len(read(gateway, '/v1/sources/kiln-8/metrics')) == 200


def test_a_wrong_key_is_told_to_the_sdk(gateway: tuple[str, str], tmp_path: Path):
    script = '''
import json
from plexus import AuthenticationError, Plexus
px = Plexus(source_id='kiln-9', api_key='plx_wrong')
try:
    px.send('a', 1)
except AuthenticationError as error:
    print(json.dumps({'error': str(error)}))
px.close()
'''
    assert sdk(script, gateway, tmp_path / 'sdk_home')['error']
    assert read(gateway, '/v1/sources') == {'devices': []}


def test_the_sdk_is_a_version_that_acknowledges():
    version = importlib.metadata.version('plexus-python')
    assert tuple(map(int, version.split('.')[:2])) >= (0, 16)


RUNS = '''
import json
from plexus import Plexus

px = Plexus(source_id='kiln-7')
limit = {'metric': 'zone1.temp_c', 'operator': '<', 'value': 900, 'label': 'stays cool'}
with px.run('glaze 4', tags={'build': 'a41f'}, pass_criteria=[limit]) as run:
    px.send('zone1.temp_c', 812.5)
    px.send('zone1.temp_c', 813.0)
    assert px._ws.wait_for_acks(10)
opened = px.start_run('glaze 5', metadata={'batch': 5}, pass_criteria=[limit])
px.send('zone1.temp_c', 950)
assert px._ws.wait_for_acks(10)
failed = px.end_run(opened)
try:
    with px.run('glaze 6') as broken:
        raise RuntimeError('power cut')
except RuntimeError:
    pass
fleet = px.end_run(px.start_run('all kilns', source_id=None)['id'], status='aborted')
px.close()
print(json.dumps({'passed': run['id'], 'failed': failed, 'broken': broken['id'], 'fleet': fleet}))
'''


def test_runs_are_judged_and_aborted_by_an_exception(gateway: tuple[str, str], tmp_path: Path):
    told = sdk(RUNS, gateway, tmp_path / 'sdk_home')
    passed = read(gateway, f'/api/runs/{told["passed"]}')['run']
    assert (passed['status'], passed['source_id'], passed['tags']) == (
        'completed', 'kiln-7', {'build': 'a41f'})
    assert (passed['test_result']['passed'], passed['test_result']['points']) == (True, 2)
    [result] = told['failed']['test_result']['criteria_results']
    assert (result['label'], result['passed'], result['points'], result['max']) == (
        'stays cool', False, 1, 950)
    broken = read(gateway, f'/api/runs/{told["broken"]}')['run']
    assert (broken['status'], broken['ended_at'] is None) == ('aborted', False)
    assert (told['fleet']['source_id'], told['fleet']['status']) == (None, 'aborted')

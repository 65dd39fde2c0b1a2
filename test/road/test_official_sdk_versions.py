# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The official SDK's whole surface, in its newest and in two old versions, each unchanged."""

from __future__ import annotations

import base64
from collections.abc import Callable
from collections.abc import Iterator
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

from gateway_client import free_port
from gateway_client import GatewayClient
import pytest
import requests
import websocket

ROOT = Path(__file__).parents[2]
DEVICE = ROOT / 'test' / 'support' / 'sdk_device.py'
# Made by scripts/env.sh; the newest version is installed as any other library.
OLD_SDKS = Path(sys.prefix) / 'old-sdks'
NEWEST = 'newest'
NOW_MS = 1_790_000_000_000


class SdkDevice:
    """A process with one version of the SDK in it."""

    def __init__(self, version: str, port: int, key: str, home: Path):
        path = [] if version == NEWEST else [str(OLD_SDKS / version)]
        home.mkdir()
        with (home / 'stderr').open('w') as log:
            self._process = subprocess.Popen(
                [sys.executable, DEVICE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, text=True, env={
                    **os.environ, 'HOME': str(home), 'PYTHONPATH': os.pathsep.join(path),
                    'PLEXUS_API_KEY': key, 'PLEXUS_ENDPOINT': f'http://127.0.0.1:{port}',
                    'PLEXUS_GATEWAY_URL': f'http://127.0.0.1:{port}',
                    'PLEXUS_GATEWAY_WS_URL': f'ws://127.0.0.1:{port}'})
        self._home = home
        self.hello = self._hear()

    def do(self, deed: str, **more: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({'do': deed, **more}) + '\n')
        self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, (self._home / 'stderr').read_text()
        told: dict[str, Any] = json.loads(line)
        return told

    def end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(20)


class Gateway(GatewayClient):
    """A gateway process that can be killed and started again."""

    def __init__(self, folder: Path):
        self.port = free_port()
        super().__init__(self.port, folder)
        self._folder = folder
        self._log = folder / 'gateway.log'

    def start(self) -> None:
        with self._log.open('wb') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'plexus_bridge.gateway.serve', '--port', str(self.port),
                 '--data', self._folder / 'gateway'], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env={**os.environ, 'PYTHONUNBUFFERED': '1'}, cwd=ROOT)
        wait(lambda: 'Ctrl+C' in self._log.read_text(), 'the gateway serves')

    def end(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        self._process.wait(20)


def wait(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, f'after 20 s still not so: {what}'
        time.sleep(0.01)


@pytest.fixture(scope='module', params=[NEWEST, '0.7.1', '0.5.2'])
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    if found != NEWEST and not (OLD_SDKS / found).is_dir():
        pytest.skip(f'plexus-python {found} is not in {OLD_SDKS}: `make env` puts it there')
    return found


@pytest.fixture(scope='module')
def gateway(version: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for each version; the tests below follow each other in their order."""
    gateway = Gateway(tmp_path_factory.mktemp('gateway'))
    gateway.start()
    yield gateway
    gateway.end(signal.SIGTERM)


@pytest.fixture(scope='module')
def sdk(version: str, gateway: Gateway,
        tmp_path_factory: pytest.TempPathFactory) -> Iterator[SdkDevice]:
    device = SdkDevice(
        version, gateway.port, gateway.key, tmp_path_factory.mktemp('sdk') / 'home')
    assert device.hello['live'], 'the socket is open'
    if version != NEWEST:
        assert device.hello['version'] == version
    yield device
    device.end()


def post(gateway: Gateway, path: str, body: object) -> requests.Response:
    return requests.post(gateway.url + path, json=body, timeout=20,
                         headers={'x-api-key': gateway.key})


def test_points_and_events(sdk: SdkDevice, gateway: Gateway):
    sdk.do('send_all')
    wait(lambda: len(gateway.get('/v1/sources/rig-1/metrics')) == 4, 'all is stored')
    assert gateway.series('rig-1', 'zone1.temp_c', NOW_MS, NOW_MS + 1) == [(NOW_MS, 812.5)]
    assert gateway.series('rig-1', 'imu.y', NOW_MS, NOW_MS + 2000) == [(NOW_MS + 1000, -3)]
    [event] = gateway.get('/v1/sources/rig-1/events', tail=9)
    assert (event['metric'], json.loads(event['value']), event['timestamp_ms']) == (
        'fault', {'code': 7}, NOW_MS + 2000)


def test_a_legacy_command(sdk: SdkDevice, gateway: Gateway):
    ended = []
    for cell in (2, 13):
        answer = post(gateway, '/v1/sources/rig-1/commands',
                      {'command': 'tare', 'params': {'cell': cell}})
        assert (answer.status_code, answer.json()['queued']) == (200, True)
        path = f'/v1/sources/rig-1/command-runs/{answer.json()["run_id"]}'
        wait(lambda path=path: gateway.get(path)['run']['state'] in ('succeeded', 'failed'),
                   'the handler has answered')
        ended.append(gateway.get(path)['run'])
    assert ended[0]['result'] == {'command': 'tare', 'cell': 2}
    assert 'load cell offline' in ended[1]['error_message']


def test_declared_commands(sdk: SdkDevice, gateway: Gateway):
    told = gateway.get('/v1/sources/rig-1/commands')
    if not told['commands']:
        # Versions before 0.12 declare nothing: they tell names.
        assert [each['name'] for each in told['legacy']] == ['tare']
        answer = post(gateway, '/v1/sources/rig-1/command-runs', {'command': 'tare'})
        assert answer.status_code == 404
        return
    assert [each['name'] for each in told['commands']] == ['heat', 'fail']
    answer = post(gateway, '/v1/sources/rig-1/command-runs', {
        'command': 'heat', 'params': {'target_c': 900}, 'confirm': True, 'wait_s': 20})
    assert answer.status_code == 200, answer.text
    run = answer.json()['run']
    assert (run['state'], run['result']) == (
        'succeeded', {'target_c': 900.0, 'mode': 'ramp', 'attempt': 1})
    statuses = gateway.get(f'/v1/sources/rig-1/command-runs/{run["run_id"]}')['run']['statuses']
    assert [each['state'] for each in statuses] == [
        'acknowledged', 'running', 'progress', 'progress', 'succeeded']
    assert statuses[3]['message'] == 'there'
    failed = post(gateway, '/v1/sources/rig-1/command-runs', {
        'command': 'fail', 'wait_s': 20}).json()['run']
    assert (failed['error_code'], failed['error_message']) == (
        'handler_error', 'ValueError: out of gas')
    refused = post(gateway, '/v1/sources/rig-1/command-runs', {
        'command': 'heat', 'params': {'target_c': 9000}, 'confirm': True})
    assert refused.status_code == 400


def test_runs(sdk: SdkDevice, gateway: Gateway):
    told = sdk.do('run')
    if 'runs' not in told:
        [point] = gateway.get('/v1/sources/rig-1/metrics/latest')['metrics'].keys() & {
            'motor.temp_c'}
        assert point == 'motor.temp_c'
        return
    verdicts = {name: run['test_result']['passed'] for name, run in told['runs'].items()}
    assert verdicts == {'cool': True, 'too hot': False}
    listed = gateway.get('/api/runs', source_id='rig-1')['runs']
    assert {run['name']: run['status'] for run in listed} == {
        'cool': 'completed', 'too hot': 'completed'}


def viewer(gateway: Gateway) -> websocket.WebSocket:
    socket = websocket.create_connection(
        f'ws://127.0.0.1:{gateway.port}/v1/sources/rig-1/video/stream?camera_id=front',
        timeout=20)
    socket.send(json.dumps({'type': 'auth', 'api_key': gateway.key}))
    assert json.loads(socket.recv())['type'] == 'init'
    return socket


def test_video_frame_by_frame(sdk: SdkDevice, gateway: Gateway):
    socket = viewer(gateway)
    assert sdk.do('show')['queued']
    frame = json.loads(socket.recv())
    assert (frame['source_id'], frame['camera_id']) == ('rig-1', 'front')
    assert base64.b64decode(frame['frame']) == bytes.fromhex('FFD8FFE000000000FFD9')
    socket.close()


def test_thermal_video(sdk: SdkDevice, gateway: Gateway):
    pytest.importorskip('cv2', reason='thermal frames are coloured by OpenCV: pip install '
                                      'opencv-python-headless')
    if sdk.hello['version'].startswith('0.5.'):
        return  # came with 0.6.1
    socket = viewer(gateway)
    assert sdk.do('show_heat')['sent']
    frame = json.loads(socket.recv())
    assert (frame['video_type'], frame['sensor_width'], frame['temp_max'], frame['temps']) == (
        'thermal', 2, 30.25, [20.0, 21.5, 22.0, 30.25])
    socket.close()


def numbers(gateway: Gateway) -> set[float]:
    """The numbered points that are stored."""
    return {value for _, value in gateway.series('rig-1', 'number', NOW_MS, NOW_MS + 10**6)}


def test_what_was_sent_during_an_outage_is_there_afterwards(sdk: SdkDevice, gateway: Gateway):
    sdk.do('send_numbers', **{'from': 0, 'to': 50})
    wait(lambda: numbers(gateway) == set(range(50)), 'the first are stored')
    gateway.end(signal.SIGKILL)
    # What versions without acknowledgements write into a socket before they notice that it is
    # dead is lost: these points are to show them.
    sdk.do('send_numbers', **{'from': 50, 'to': 55})
    told = sdk.do('send_numbers', **{'from': 55, 'to': 70})
    assert told['buffered'] >= 15
    gateway.start()
    assert sdk.do('flush')['buffered'] == 0
    sdk.do('send_numbers', **{'from': 70, 'to': 80})
    acknowledges = tuple(map(int, sdk.hello['version'].split('.')[:2])) >= (0, 16)
    expected = set(range(80)) - (set() if acknowledges else set(range(50, 55)))
    wait(lambda: expected <= numbers(gateway), 'all is there')


def test_close_is_quick_and_leaves_nothing_behind(sdk: SdkDevice, gateway: Gateway):
    sdk.do('send_numbers', **{'from': 100, 'to': 105})
    assert sdk.do('close')['took_s'] < 3, 'longer means that the close frame was not answered'
    wait(lambda: not gateway.get('/v1/sources/rig-1')['online'], 'it is gone')
    wait(lambda: set(range(100, 105)) <= numbers(gateway), 'all is stored')

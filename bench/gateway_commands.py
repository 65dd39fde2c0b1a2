# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
How long a command takes through the local gateway: operator → device → operator.

A real gateway process, a device process that answers each command at once with `succeeded`, and
an operator over his socket or one kept HTTP connection, at a joystick's rate and as fast as it
goes; also while the device sends telemetry. The yardstick of the same run is a bare WebSocket
echo: what the same two hops cost with nothing done in between.

    python bench/gateway_commands.py [--commands 100] [--rate 20]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import http.client
import json
import multiprocessing
import os
from pathlib import Path
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

import websocket
from websockets.sync.server import serve

DECLARATION = {
    'name': 'drive', 'params': {'linear_x': {'type': 'number', 'required': True}},
    'danger': 'normal', 'idempotent': False, 'expires_in_s': 30.0, 'concurrency': 'accept'}
SOURCE = 'bench-robot'
TELEMETRY_HZ = 50
POINTS = 100


def device(port: int, key: str, telemetry: bool, ready: Any) -> None:
    """Answer every command at once; send telemetry beside it if asked."""
    link = websocket.create_connection(f'ws://127.0.0.1:{port}/ws/device', timeout=60)
    link.send(json.dumps({
        'type': 'device_auth', 'api_key': key, 'source_id': SOURCE, 'acks': True, 'protocol': 1,
        'commands': [DECLARATION]}))
    link.recv()
    ready.set()
    if telemetry:
        threading.Thread(target=send_telemetry, args=(link,), daemon=True).start()
    while True:
        message = json.loads(link.recv())
        if message['type'] == 'command_run':
            link.send(json.dumps({'type': 'command_status', 'run_id': message['run_id'], 'seq': 1,
                                  'state': 'succeeded', 'result': {}}))


def send_telemetry(link: websocket.WebSocket) -> None:
    seq = 0
    while True:
        seq += 1
        stamp = time.time_ns() // 1_000_000
        points = [{'metric': f'm{index}', 'value': seq, 'timestamp': stamp}
                  for index in range(POINTS)]
        link.send(json.dumps({'type': 'telemetry', 'seq': seq, 'points': points}))
        time.sleep(1 / TELEMETRY_HZ)


@contextlib.contextmanager
def gateway(folder: Path) -> Iterator[tuple[int, str]]:
    """Start a gateway; gives its port and key."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'plexus_bridge.gateway.serve', '--port', '0', '--data', folder],
        stdout=subprocess.PIPE, text=True, env={**os.environ, 'PYTHONUNBUFFERED': '1'})
    assert process.stdout is not None
    try:
        found = re.search(r'http://127\.0\.0\.1:(\d+)', process.stdout.readline())
        assert found
        while 'Ctrl+C' not in process.stdout.readline():
            pass
        yield int(found[1]), (folder / 'key').read_text().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def robot(port: int, key: str, telemetry: bool) -> Iterator[None]:
    ready = multiprocessing.Event()
    process = multiprocessing.Process(target=device, args=(port, key, telemetry, ready))
    process.start()
    try:
        assert ready.wait(20)
        yield
    finally:
        process.kill()
        process.join()


def by_socket(port: int, key: str) -> Callable[[], None]:
    """Return one command over the operator's socket, to its end."""
    link = websocket.create_connection(
        f'ws://127.0.0.1:{port}/v1/sources/{SOURCE}/operate', timeout=60)
    link.send(json.dumps({'type': 'auth', 'api_key': key}))
    link.recv()

    def command() -> None:
        link.send(json.dumps({'type': 'command', 'command': 'drive',
                              'params': {'linear_x': 0.5}}))
        told: dict[str, Any] = {}
        while told.get('state') != 'succeeded':
            told = json.loads(link.recv())
            assert told['type'] != 'refused', told

    return command


def by_http(port: int, key: str) -> Callable[[], None]:
    """Return one command over a kept HTTP connection, to its end."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    body = json.dumps({'command': 'drive', 'params': {'linear_x': 0.5}, 'wait_s': 20})

    def command() -> None:
        connection.request('POST', f'/v1/sources/{SOURCE}/command-runs', body, {'x-api-key': key})
        answer = connection.getresponse()
        told = json.load(answer)
        assert answer.status == 200, told

    return command


@contextlib.contextmanager
def bare_echo() -> Iterator[Callable[[], None]]:
    """Give one round trip there and back, twice: the same two hops."""
    with serve(lambda link: [link.send(message) for message in link], '127.0.0.1', 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        link = websocket.create_connection(f'ws://127.0.0.1:{port}', timeout=60)

        def command() -> None:
            for _ in range(2):
                link.send('{"type":"command","command":"drive","params":{"linear_x":0.5}}')
                link.recv()

        yield command
        link.close()
        server.shutdown()


def measure(command: Callable[[], None], count: int, rate: float | None) -> list[float]:
    """Return how many ms each command took."""
    took = []
    due = time.perf_counter()
    for _ in range(count):
        begin = time.perf_counter()
        command()
        took.append((time.perf_counter() - begin) * 1000)
        if rate:
            due += 1 / rate
            time.sleep(max(0.0, due - time.perf_counter()))
    return took


def show(name: str, took: list[float], yardstick: float) -> None:
    ordered = sorted(took)
    p50, p99 = statistics.median(ordered), ordered[int(0.99 * (len(ordered) - 1))]
    print(f'{name:<44}{p50:8.2f}{p99:9.2f}{ordered[-1]:9.2f}{p50 / yardstick:9.1f}x')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else '')
    parser.add_argument('--commands', type=int, default=100)
    parser.add_argument('--rate', type=float, default=20.0)
    args = parser.parse_args()
    print(f'{"ms for a command and its answer":<44}{"p50":>8}{"p99":>9}{"most":>9}{"bare":>10}')
    with bare_echo() as command:
        took = measure(command, args.commands, None)
        yardstick = statistics.median(took)
        show('bare echo, two round trips', took, yardstick)
    with tempfile.TemporaryDirectory() as folder, gateway(Path(folder)) as (port, key):
        for telemetry in (False, True):
            beside = f', {TELEMETRY_HZ * POINTS} points/s beside' if telemetry else ''
            with robot(port, key, telemetry):
                for name, open_road in (('socket', by_socket), ('HTTP', by_http)):
                    for rate in (args.rate, None):
                        speed = f'{rate:g} Hz' if rate else 'on end'
                        took = measure(open_road(port, key), args.commands, rate)
                        show(f'{name}, {speed}{beside}', took, yardstick)


if __name__ == '__main__':
    main()

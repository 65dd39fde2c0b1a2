# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What the Python API takes and costs, beside the official SDK: `send`, `send_batch`, `batch`.

Each way in a process of its own against one real gateway. "in" is how fast calls return, "through"
until the gateway has confirmed all, "CPU" that of the sending process. Then how fast a backlog of
an outage goes out, and how busy that keeps sender and gateway: this gateway stores every point,
and at about a whole core it is what bounds a drain (delivery.py has one that stores nothing).
The yardstick of the run is a loop of json.dumps.

    python bench/python_api.py [--points 100000] [--sends 20000] [--backlog 200000]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'test' / 'support'))

from bridge_cpu import cpu_seconds  # noqa: E402
from local_gateway import LocalGateway  # noqa: E402
from local_gateway import serving  # noqa: E402

PACKAGES = ('plexus', 'plexus_bridge')
CHANNELS = 50
FIRST_STAMP_MS = 1_790_000_000_000


def send(px: Any, points: int) -> None:
    for index in range(points):
        px.send('send.value', index * 0.5, timestamp=FIRST_STAMP_MS + index)


def send_batch(px: Any, points: int) -> None:
    names = [f'batch.value{channel}' for channel in range(CHANNELS)]
    for index in range(points // CHANNELS):
        px.send_batch([(name, index * 0.5) for name in names], timestamp=FIRST_STAMP_MS + index)


def batch(px: Any, points: int) -> None:
    with px.batch() as sender:
        for index in range(points):
            sender.send('stream.value', index * 0.5, timestamp=FIRST_STAMP_MS + index)


WAYS = {'send': send, 'send_batch': send_batch, 'batch': batch}


def measure(package: str, way: str, points: int) -> None:
    """Run in a process of its own; prints seconds in, through, and of CPU."""
    api = importlib.import_module(package)
    px = api.Plexus(source_id=f'bench-{package.replace("_", "-")}-{way.replace("_", "-")}')
    px.send('warm.up', 1)
    time.sleep(1.0)  # so that the SDK, too, is connected and idle
    cpu = time.process_time()
    started = time.perf_counter()
    WAYS[way](px, points)
    taken = time.perf_counter() - started
    confirm(px, package)
    through = time.perf_counter() - started
    print(json.dumps([taken, through, time.process_time() - cpu]))
    os._exit(0)


def confirm(px: Any, package: str) -> None:
    """Wait until nothing is unconfirmed any more."""
    deadline = time.perf_counter() + 120
    while time.perf_counter() < deadline:
        unconfirmed = px.buffer_size() + (px._ws.unacked_points if package == 'plexus' else 0)
        if not unconfirmed:
            return
        if px.buffer_size() and package == 'plexus':
            px.flush_buffer()
        time.sleep(0.002)
    raise SystemExit('not confirmed within 120 s')


def fill(package: str, points: int) -> None:
    """Leave a backlog as an outage does."""
    api = importlib.import_module(package)
    px = api.Plexus(source_id=f'outage-{package.replace("_", "-")}', timeout=0.5,
                    retry_config=api.RetryConfig(max_retries=0))
    for start in range(0, points, 5000):
        with contextlib.suppress(api.PlexusError):
            px.send_batch([('backlog', index, FIRST_STAMP_MS + index)
                           for index in range(start, start + 5000)])
    while px.buffer_size() < points:
        time.sleep(0.01)
    time.sleep(0.3)
    os._exit(0)


def drain(package: str, points: int) -> None:
    """Print how long a backlog takes until all of it is confirmed."""
    api = importlib.import_module(package)
    px = api.Plexus(source_id=f'outage-{package.replace("_", "-")}')
    cpu = time.process_time()
    started = time.perf_counter()
    px.send('after', 1)
    confirm(px, package)
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, seconds, time.process_time() - cpu]))
    os._exit(0)


def run(gateway: LocalGateway, folder: Path, what: str, package: str, way: str, points: int,
        **environment: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, __file__, '--part', what, package, way, str(points)], check=True,
        stdout=subprocess.PIPE, text=True, env={
            **os.environ, **gateway.environment(folder / package), 'PLEXUS_QUIET': '1',
            **environment})
    return json.loads(done.stdout) if done.stdout else []


def yardstick() -> float:
    """Return how many points a second json.dumps writes here."""
    point = {'class': 'metric', 'metric': 'send.value', 'value': 0.5, 'timestamp': FIRST_STAMP_MS}
    started = time.perf_counter()
    for _ in range(100_000):
        json.dumps(point)
    return 100_000 / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--points', type=int, default=100_000)
    parser.add_argument('--sends', type=int, default=20_000)
    parser.add_argument('--backlog', type=int, default=200_000)
    parser.add_argument('--part', nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        what, package, way, points = arguments.part
        {'measure': lambda: measure(package, way, int(points)),
         'fill': lambda: fill(package, int(points)),
         'drain': lambda: drain(package, int(points))}[what]()
        return
    print(f'yardstick: json.dumps of one point, {yardstick():,.0f} a second')
    print(f'{"points a second":14}{"SDK in":>12}{"ours in":>12}{"SDK through":>14}'
          f'{"ours through":>14}{"SDK CPU":>12}{"ours CPU":>12}   (us of CPU a point)')
    offline = {'PLEXUS_GATEWAY_URL': 'http://127.0.0.1:9',
               'PLEXUS_GATEWAY_WS_URL': 'ws://127.0.0.1:9'}
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as gateway:
        for way in WAYS:
            points = arguments.sends if way == 'send' else arguments.points
            show(way, points, [run(gateway, Path(name), 'measure', package, way, points)
                               for package in PACKAGES])
        for package in PACKAGES:
            run(gateway, Path(name), 'fill', package, '-', arguments.backlog, **offline)
        results, busy = [], []
        for package in PACKAGES:
            before = cpu_seconds(gateway.pid)
            results.append(run(gateway, Path(name), 'drain', package, '-', arguments.backlog))
            busy.append(cpu_seconds(gateway.pid) - before)
        show('backlog', arguments.backlog, results)
        for package, (seconds, _, own), its in zip(PACKAGES, results, busy, strict=True):
            print(f'    {package:14} {own / seconds:.0%} of a core itself, gateway '
                  f'{its / seconds:.0%}')


def show(way: str, points: int, results: list[list[float]]) -> None:
    (sdk_in, sdk_through, sdk_cpu), (our_in, our_through, our_cpu) = results
    print(f'{way:14}{points / sdk_in:12,.0f}{points / our_in:12,.0f}'
          f'{points / sdk_through:14,.0f}{points / our_through:14,.0f}'
          f'{sdk_cpu / points * 1e6:12.1f}{our_cpu / points * 1e6:12.1f}'
          f'   in x{sdk_in / our_in:.1f}, through x{sdk_through / our_through:.1f}, '
          f'CPU x{sdk_cpu / our_cpu:.1f}', flush=True)


if __name__ == '__main__':
    main()

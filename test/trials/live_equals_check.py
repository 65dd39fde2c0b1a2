# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Whether a recording's metrics by `plexus-bridge check --bag` are those that the live road gives.

The recording is played on a real graph, bridged, and stored by the local gateway; what is stored
is then compared, value by value and stamp by stamp, with what the dry run of the same map gives.
Ends with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

from plexus_bridge.authoring.dry_run import dry_run
from plexus_bridge.authoring.source import BagSource
from plexus_bridge.bags import Bag
from plexus_bridge.config.map import load_map
from plexus_bridge.points import Point

Values = dict[tuple[str, str, int], float]


def by_dry_run(map_file: Path, bag: str) -> Values:
    """Return values by metric, tags and stamp as the dry run gives them."""
    values: Values = {}

    def keep(point: Point) -> None:
        tags = json.dumps(dict(point.get('tags', {})), sort_keys=True)
        values[point['metric'], tags, point['timestamp']] = point['value']

    with Bag(bag) as opened:
        dry_run(load_map(map_file), BagSource(opened), keep)
    return values


def stored(database: Path) -> Values:
    """Return values by metric, tags and stamp as the gateway keeps them."""
    with sqlite3.connect(f'file:{database}?mode=ro', uri=True) as connection:
        return {(metric, json.dumps(json.loads(tags or '{}'), sort_keys=True), stamp): value
                for metric, tags, stamp, value in connection.execute(
                    'SELECT metric, tags, timestamp_ms, value FROM sample '
                    'JOIN series ON series.id = sample.series')
                if not metric.startswith('plexus.')}


def write_map(file: Path, bag: str, url: str) -> None:
    """Write a map with every message of every topic by the built-in maps."""
    with Bag(bag) as opened:
        topics = sorted({topic.name for topic in opened.topics})
    rules = ''.join(f'  - {{topic: {name}, sampling: {{mode: every}}}}\n' for name in topics)
    file.write_text(f'version: 1\nsource_id: played-01\ngateway: {{url: "{url}"}}\n'
                    f'metrics:\n{rules}')


def settled_count(database: Path) -> int:
    """Return how many values are stored when no more come for some seconds."""
    count, since = -1, time.monotonic()
    while time.monotonic() - since < 5:
        time.sleep(0.5)
        if (now := len(stored(database))) != count:
            count, since = now, time.monotonic()
    return count


def live(folder: Path, bag: str, port: int, rate: float) -> Values:
    """Play, bridge and store; return what was stored."""
    url = f'http://127.0.0.1:{port}'
    environment = {**os.environ, 'PLEXUS_HOME': str(folder / 'plexus'), 'HOME': str(folder),
                   'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
                   'PYTHONPATH': os.pathsep.join(sys.path), 'ROS_LOG_DIR': str(folder / 'ros')}
    processes: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        with (folder / 'log').open('ab') as log:
            processes.append(subprocess.Popen(
                [sys.executable, '-m', *arguments], stdout=log, stderr=log, env=environment))
        return processes[-1]

    try:
        start('plexus_bridge.gateway.serve', '--port', str(port))
        for _ in range(200):
            try:
                urllib.request.urlopen(f'{url}/health', timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        environment['PLEXUS_API_KEY'] = (
            folder / 'plexus' / 'gateway' / 'key').read_text().strip()
        start('plexus_bridge.nodes.bridge', '--ros-args', '-p',
              f'config_file:={folder / "map.yaml"}')
        start('plexus_bridge.cli', 'play', bag, '--rate', str(rate)).wait()
        database = next((folder / 'plexus' / 'gateway').glob('*.db'))
        settled_count(database)
        return stored(database)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)
        print((folder / 'log').read_text()[-1500:], file=sys.stderr)


def main() -> int:
    """Compare and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('bag')
    parser.add_argument('--rate', type=float, default=20.0)
    parser.add_argument('--port', type=int, default=8896)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_map(folder / 'map.yaml', args.bag, f'http://127.0.0.1:{args.port}')
        expected = by_dry_run(folder / 'map.yaml', args.bag)
        got = live(folder, args.bag, args.port, args.rate)
    missing = expected.keys() - got.keys()
    more = got.keys() - expected.keys()
    other = [key for key in expected.keys() & got.keys() if expected[key] != got[key]]
    print(f'{len(expected)} values by the dry run, {len(got)} by the live road; {len(missing)} '
          f'missing, {len(more)} more, {len(other)} different')
    for what, keys in (('missing', missing), ('more', more), ('different', other)):
        for key in sorted(keys)[:5]:
            print(f'{what}: {key} {expected.get(key)} {got.get(key)}')
    return int(bool(missing or more or other))


if __name__ == '__main__':
    sys.exit(main())

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
How long the local gateway takes to answer about ten million points, and what live viewers cost.

Fills a database as a gateway would have (one robot, 50 metrics, 24 hours), rolls it up, then asks
a real gateway process over HTTP: one hour raw, 24 hours of all metrics in automatic intervals; the
yardstick is the same taken from the samples alone. Then 20 viewers look at a source that sends.

    python bench/gateway_queries.py [--points 10000000] [--viewers 20]
"""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
import socket
import statistics
import tempfile
import threading
import time
from typing import Any
import urllib.request

from gateway_ingest import cpu_seconds
from gateway_ingest import Device
from gateway_ingest import framed
from gateway_ingest import gateway

from plexus_bridge.counters import Counters
from plexus_bridge.gateway.storage import rollups
from plexus_bridge.gateway.storage.schema import open_writer
from plexus_bridge.gateway.storage.schema import transaction
from plexus_bridge.gateway.storage.writer import Batch
from plexus_bridge.gateway.storage.writer import Writer
from plexus_bridge.points import ReceivedPoint

SERIES = 50
DAY_MS = 86_400_000
SOURCE = 'bench-robot'
FRAMES_PER_SECOND = 50


def fill(path: Path, total: int, end_ms: int) -> None:
    """Store `total` points of the last day as a running gateway would, and roll them up."""
    connection = open_writer(path)
    writer = Writer(connection, Counters(), lambda outcomes: None)
    names = [f'robot.joint_{index:02}.position' for index in range(SERIES)]
    rounds = total // SERIES
    step = DAY_MS / rounds
    for first in range(0, rounds, 1000):
        points = [
            ReceivedPoint('metric', name, (number * 37 + index) % 1000 / 7,
                          int(end_ms - DAY_MS + number * step), None)
            for number in range(first, min(first + 1000, rounds))
            for index, name in enumerate(names)]
        writer._write([Batch([(SOURCE, points)], end_ms, None)])
    minutes = rollups.stale_minutes(connection, end_ms)
    begin = time.perf_counter()
    with transaction(connection):
        writer.marks.roll_up_minutes(minutes)
        writer.marks.roll_up_hours(rollups.stale_hours(connection, end_ms))
    seconds = time.perf_counter() - begin
    print(f'rolled up {total:,} points in {len(minutes):,} minutes: '
          f'{seconds / total * 1e6:.2f} µs per point', flush=True)
    connection.close()


def asked(port: int, key: str, path: str) -> tuple[float, Any]:
    """Return the median milliseconds of an answer, and the answer."""
    request = urllib.request.Request(f'http://127.0.0.1:{port}{path}', headers={'x-api-key': key})
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        with urllib.request.urlopen(request, timeout=120) as answer:
            body = answer.read()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times), json.loads(body)


def measure_queries(port: int, key: str, database: Path, total: int) -> None:
    """Print how long queries take, beside the same statistics from the samples themselves."""
    query = f'/v1/sources/{SOURCE}/metrics/query'
    for title, path in (
            ('1 h raw, all metrics', f'{query}?last=1h&interval=raw'),
            ('1 h raw, one metric', f'{query}?last=1h&interval=raw&metrics='
                                    'robot.joint_07.position'),
            ('24 h automatic, all metrics', f'{query}?last=24h'),
            ('24 h automatic, one metric', f'{query}?last=24h&metrics=robot.joint_07.position'),
            ('24 h by hours, all metrics', f'{query}?last=24h&interval=1h'),
            ('latest values', f'/v1/sources/{SOURCE}/metrics/latest')):
        milliseconds, body = asked(port, key, path)
        rows = sum(len(columns['timestamp_ms']) for columns in body.get('series', {}).values())
        print(f'{title:30} {milliseconds:8.1f} ms  {rows:6} rows', flush=True)
    connection = open_writer(database)
    begin = time.perf_counter()
    connection.execute(
        'SELECT series, timestamp_ms / 600000, min(value), max(value), avg(value), count(*) '
        'FROM sample GROUP BY 1, 2').fetchall()
    print(f'{"the same from all samples":30} {(time.perf_counter() - begin) * 1e3:8.1f} ms  '
          f'({total:,} points)', flush=True)
    connection.close()


class Viewer(threading.Thread):
    """Counts the points that come on a live stream; bare sockets, since 20 share this process."""

    def __init__(self, port: int, key: str, stop: threading.Event):
        super().__init__(daemon=True)
        self.points = 0
        self.delays: list[float] = []
        self._stop_asked = stop
        self._socket = socket.create_connection(('127.0.0.1', port), timeout=60)
        self._socket.sendall(
            f'GET /v1/sources/{SOURCE}/metrics/stream HTTP/1.1\r\nHost: localhost\r\n'
            'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
            'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'.encode())
        self._stream = self._socket.makefile('rb')
        while self._stream.readline().strip():
            pass
        self._socket.sendall(framed({'type': 'auth', 'api_key': key}))

    def run(self) -> None:
        while not self._stop_asked.is_set():
            payload = self._frame()
            if payload is None:
                return
            self.points += payload.count(b'"timestamp"')
            newest = payload.rfind(b'"timestamp":') + 12
            self.delays.append(time.time() * 1e3 - int(payload[newest:newest + 13]))

    def _frame(self) -> bytes | None:
        head = self._stream.read(2)
        if len(head) < 2 or head[0] & 15 != 1:
            return None
        length = head[1]
        if length >= 126:
            length = int.from_bytes(self._stream.read(2 if length == 126 else 8), 'big')
        return self._stream.read(length)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self._stream.close()
        self._socket.close()


def measure_fan_out(
        process: Any, port: int, key: str, viewers: int, rate: int, seconds: float) -> None:
    """Print what it costs to show `rate` points a second to a number of viewers."""
    stop = threading.Event()
    watching = [Viewer(port, key, stop) for _ in range(viewers)]
    for viewer in watching:
        viewer.start()
    device = Device(port, key, SOURCE)
    per_frame = rate // FRAMES_PER_SECOND
    begin, cpu = time.perf_counter(), cpu_seconds(process)
    frames = int(seconds * FRAMES_PER_SECOND)
    for seq in range(1, frames + 1):
        stamp = int(time.time() * 1000)
        device.send(framed({'type': 'telemetry', 'seq': seq, 'points': [
            {'class': 'metric', 'metric': f'live.{index}', 'value': index / 7, 'timestamp': stamp}
            for index in range(per_frame)]}))
        device.receive()
        time.sleep(max(0.0, begin + seq / FRAMES_PER_SECOND - time.perf_counter()))
    elapsed = time.perf_counter() - begin
    cpu = cpu_seconds(process) - cpu
    time.sleep(0.2)  # the last flush
    stop.set()
    device.close()
    for viewer in watching:
        viewer.close()
    delays = sorted(delay for viewer in watching for delay in viewer.delays) or [float('nan')]
    seen = sum(viewer.points for viewer in watching)
    share = seen / (frames * per_frame * viewers) if viewers else 1.0
    print(f'{viewers:2} viewers, {rate:6,} points/s: {cpu / elapsed:5.0%} of a core, {share:6.1%} '
          f'shown, {delays[len(delays) // 2]:.0f} ms after their stamps '
          f'(99 %: {delays[len(delays) * 99 // 100]:.0f} ms)', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--points', type=int, default=10_000_000)
    parser.add_argument('--viewers', type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = folder / 'gateway.db'
        fill(database, args.points, int(time.time() * 1000))
        print(f'database: {database.stat().st_size / args.points:.1f} bytes per point', flush=True)
        with gateway(folder) as (process, port, key):
            measure_queries(port, key, database, args.points)
            for viewers in (0, 1, args.viewers):
                measure_fan_out(process, port, key, viewers, 1_000, 5.0)
            measure_fan_out(process, port, key, args.viewers, 10_000, 5.0)


if __name__ == '__main__':
    main()

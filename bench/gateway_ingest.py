# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
How many points a second the local gateway takes over the device socket and over HTTP.

Starts a real gateway process, sends prepared frames within the window of the official SDK (32
frames, 10,000 points) and reads the gateway's own CPU time. Every point is acknowledged, over
HTTP by the answer, before its sender goes on. The yardstick of the same run is a
bare `executemany` of the same rows with a commit for each frame.

    python bench/gateway_ingest.py [--points 500000] [--frame 100] [--devices 8] [--road ws]
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator
import contextlib
import http.client
import json
import os
from pathlib import Path
import random
import re
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

WINDOW_FRAMES = 32
WINDOW_POINTS = 10_000
SERIES = 50
FIRST_STAMP_MS = 1_790_000_000_000


class Device:
    """One device's socket: frames go out unmasked in effect (key 0), so sending costs nothing."""

    def __init__(self, port: int, key: str, source_id: str):
        self._socket = socket.create_connection(('127.0.0.1', port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(
            b'GET /ws/device HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n'
            b'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
            b'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n')
        self._stream = self._socket.makefile('rb')
        while self._stream.readline().strip():
            pass
        self.send(framed({
            'type': 'device_auth', 'api_key': key, 'source_id': source_id, 'acks': True}))
        assert self.receive()['type'] == 'authenticated'

    def send(self, frame: bytes) -> None:
        self._socket.sendall(frame)

    def receive(self) -> dict[str, object]:
        _, length = self._stream.read(2)
        if length == 126:
            length = struct.unpack('!H', self._stream.read(2))[0]
        message: dict[str, object] = json.loads(self._stream.read(length))
        return message

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def deliver(self, frames: list[bytes], points: int) -> list[float]:
        """Send all frames within the window; return seconds from sending to acknowledgement."""
        window = min(WINDOW_FRAMES, WINDOW_POINTS // points)
        sent: deque[float] = deque()
        delays = []
        acknowledged = 0
        for number, frame in enumerate(frames, 1):
            self.send(frame)
            sent.append(time.perf_counter())
            while number - acknowledged >= window or (number == len(frames) and sent):
                answer = self.receive()
                assert answer['type'] == 'telemetry_ack', answer
                now = time.perf_counter()
                while acknowledged < int(str(answer['seq'])):
                    acknowledged += 1
                    delays.append(now - sent.popleft())
        return delays


class HttpDevice:
    """One device's connection for POST /ingest; it has one request on its way at a time."""

    def __init__(self, port: int, key: str, source_id: str):
        self._connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
        self._source_id = source_id
        self._headers = {'x-api-key': key, 'Content-Type': 'application/json'}

    def close(self) -> None:
        self._connection.close()

    def deliver(self, bodies: list[bytes], points: int) -> list[float]:
        """Post all bodies; return seconds from sending to the answer."""
        delays = []
        for body in bodies:
            begin = time.perf_counter()
            self._connection.request(
                'POST', '/ingest', body % self._source_id.encode(), self._headers)
            with self._connection.getresponse() as answer:
                assert json.loads(answer.read())['count'] == points
            delays.append(time.perf_counter() - begin)
        return delays


def framed(message: dict[str, object]) -> bytes:
    """Return a WebSocket text frame masked with a key of zeros."""
    payload = json.dumps(message, separators=(',', ':')).encode()
    if len(payload) < 126:
        return struct.pack('!BB', 0x81, 0x80 | len(payload)) + b'\0\0\0\0' + payload
    if len(payload) < 65536:
        return struct.pack('!BBH', 0x81, 0xFE, len(payload)) + b'\0\0\0\0' + payload
    return struct.pack('!BBQ', 0x81, 0xFF, len(payload)) + b'\0\0\0\0' + payload


def prepared_points(total: int, points: int) -> Iterator[list[dict[str, object]]]:
    """Yield samples of 50 series, 20 ms apart, as a robot at 50 Hz sends them."""
    names = [f'robot.joint_{index:02}.position' for index in range(SERIES)]
    values = random.Random(1)
    for first in range(0, total, points):
        yield [{'class': 'metric', 'metric': names[index % SERIES],
                'value': round(values.uniform(-3, 3), 6),
                'timestamp': FIRST_STAMP_MS + index // SERIES * 20}
               for index in range(first, first + points)]


def prepared_frames(total: int, points: int) -> list[bytes]:
    """Return telemetry frames for the device socket."""
    return [framed({'type': 'telemetry', 'seq': seq, 'points': part})
            for seq, part in enumerate(prepared_points(total, points), 1)]


def prepared_bodies(total: int, points: int) -> list[bytes]:
    """Return bodies for POST /ingest, with a place for the source's name."""
    return [b'{"source_id":"%s","points":' + json.dumps(part, separators=(',', ':')).encode()
            + b'}' for part in prepared_points(total, points)]


@contextlib.contextmanager
def gateway(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """Run a gateway process; yields it with its port and key."""
    process = subprocess.Popen(
        [sys.executable, '-m', 'plexus_bridge.gateway.serve', '--port', '0', '--data', folder],
        stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = 0
    for line in process.stdout:
        found = re.search(r'http://127\.0\.0\.1:(\d+)', line)
        port = int(found[1]) if found else port
        if 'Ctrl+C' in line:
            break
    try:
        yield process, port, (folder / 'key').read_text().strip()
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    fields = Path(f'/proc/{process.pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def resident_mb(process: subprocess.Popen[str]) -> float:
    pages = int(Path(f'/proc/{process.pid}/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def bare_inserts(total: int, points: int, folder: Path) -> tuple[float, float]:
    """Return points/s and CPU µs per point of `executemany` and a synced commit for each frame."""
    connection = sqlite3.connect(folder / 'bare.db', isolation_level=None)
    connection.executescript(
        'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE sample '
        '(series, timestamp_ms, value, PRIMARY KEY (series, timestamp_ms)) WITHOUT ROWID')
    frames = [
        [(index % SERIES, FIRST_STAMP_MS + index // SERIES * 20, index / 7)
         for index in range(first, first + points)] for first in range(0, total, points)]
    begin, cpu = time.perf_counter(), time.process_time()
    for rows in frames:
        connection.execute('BEGIN IMMEDIATE')
        connection.executemany('INSERT OR IGNORE INTO sample VALUES (?, ?, ?)', rows)
        connection.execute('COMMIT')
    seconds = time.perf_counter() - begin
    connection.close()
    return total / seconds, (time.process_time() - cpu) / total * 1e6


def measure(road: str, total: int, points: int, devices: int) -> None:
    """Print one line for one road (`ws` or `http`), size of frame and number of devices."""
    prepared, kind = (prepared_frames, Device) if road == 'ws' else (prepared_bodies, HttpDevice)
    frames = prepared(total // devices, points)
    delays: list[float] = []
    with tempfile.TemporaryDirectory() as name, gateway(Path(name)) as (process, port, key):
        sockets = [kind(port, key, f'bench-{index}') for index in range(devices)]
        threads = [
            threading.Thread(target=lambda device=device: delays.extend(
                device.deliver(frames, points))) for device in sockets]
        begin, cpu = time.perf_counter(), cpu_seconds(process)
        for thread in threads:
            thread.start()
        memory = [resident_mb(process)]
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
                memory.append(resident_mb(process))
        seconds = time.perf_counter() - begin
        cpu = cpu_seconds(process) - cpu
        for device in sockets:
            device.close()
        bare, bare_cpu = bare_inserts(total, points, Path(name))
    sent = len(frames) * points * devices
    delays.sort()
    print(f'{road:4} {devices} device(s), frames of {points:5} points: '
          f'{sent / seconds:9,.0f} points/s, {cpu / sent * 1e6:5.2f} µs CPU per point, '
          f'{cpu / seconds:4.0%} of a core; '
          f'acknowledged after {delays[len(delays) // 2] * 1e3:.1f} ms '
          f'(99 %: {delays[len(delays) * 99 // 100] * 1e3:.1f} ms); '
          f'{memory[len(memory) // 2]:.0f} MB of memory half-way, {memory[-1]:.0f} at the end | '
          f'bare executemany: {bare:9,.0f} points/s, {bare_cpu:.2f} µs', flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--points', type=int, default=500_000, help='points in all')
    parser.add_argument('--frame', type=int, action='append', help='points in one frame')
    parser.add_argument('--devices', type=int, action='append')
    parser.add_argument('--road', choices=['ws', 'http'], action='append')
    args = parser.parse_args()
    for road in args.road or ('ws', 'http'):
        for devices in args.devices or (1, 8):
            for points in args.frame or (100, 1000):
                measure(road, args.points, points, devices)


if __name__ == '__main__':
    main()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What it costs to lose nothing: the journal, and draining it after an outage.

`journal`: processor time for collecting, encoding and flushing points at 5,000 a second, with
`durability: outage` while all is delivered (nothing is written) against `always`. `drain`: a
gateway that does nothing but acknowledge, a backlog from an outage, how fast it is delivered and
with how much memory, against the buffer of the official SDK on the same backlog and gateway, and
who of sender and gateway is busy meanwhile. Into a gateway that stores what it gets, the gateway
is the bound (python_api.py). Each measurement is a process of its own; what the journal costs a
whole bridge tells durability.py.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'bench')]
FIRST_MS = 1_790_000_000_000
METRICS = 20
FLUSH_S = 0.1


def resident_mb() -> float:
    """Return the resident memory of this process in MB."""
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmRSS'):
            return int(line.split()[1]) / 1000
    return 0.0


def serve() -> None:
    """Be a gateway that acknowledges everything at once; prints its port, then points per line."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import serve as serve_sockets
    from websockets.sync.server import ServerConnection

    def script(connection: ServerConnection) -> None:
        hello = json.loads(connection.recv())
        connection.send(json.dumps({
            'type': 'authenticated', 'source_id': hello['source_id'],
            'server_time_ms': time.time_ns() // 1_000_000, 'acks': True}))
        try:
            while True:
                message = connection.recv()
                if message[:19] == '{"type":"telemetry"' or '"telemetry"' in message[:200]:
                    seq = int(message[message.index('"seq":') + 6:].split(',')[0].strip(' }'))
                    connection.send(f'{{"type":"telemetry_ack","seq":{seq}}}')
        except ConnectionClosed:
            pass

    with serve_sockets(script, '127.0.0.1', 0, max_size=1 << 21) as server:
        print(server.socket.getsockname()[1], flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()


class Robot:
    """Lanes, journal and outbox, and a link if there is a gateway."""

    def __init__(self, folder: Path, durability: str, port: int | None):
        from plexus_bridge.client.link import Link
        from plexus_bridge.counters import Counters
        from plexus_bridge.delivery.durability import Durability
        from plexus_bridge.delivery.journal import Journal
        from plexus_bridge.delivery.lanes import Lanes
        from plexus_bridge.delivery.outbox import Outbox
        from plexus_bridge.mapping.sinks import MetricName
        from plexus_bridge.protocol.device import Hello

        self.counters = Counters()
        self.lanes = Lanes(self.counters)
        self.journal = Journal(folder / 'robot.db', 1 << 30, self.counters)
        self.outbox = Outbox(self.lanes, self.journal, self.counters, Durability(durability))
        self.add = self.lanes.sinks['state'].add_rows(
            [MetricName(f'robot.joint{index}.position', {'unit': 'rad'})
             for index in range(METRICS)])
        self.link = None if port is None else Link(
            f'http://127.0.0.1:{port}', Hello('plx_bench', 'bench-01', 'bench', '0'), self.outbox,
            self.counters, user_agent='bench')

    def make(self, points: int, stamp: int) -> int:
        """Collect about so many points, as rows; returns the next stamp."""
        for _ in range(max(1, points // METRICS)):
            stamp += 1
            self.add((*(0.001 * stamp + index for index in range(METRICS)), stamp))
        return stamp

    def close(self) -> None:
        """Stop as the bridge does."""
        if self.link:
            self.link.stop(1.0)
        self.outbox.flush(everything=True)
        self.journal.close()


def journal_cost(durability: str, port: int, rate: int, seconds: float) -> dict[str, float]:
    """Return microseconds of processor time per point, of the whole process, all delivered."""
    with tempfile.TemporaryDirectory() as folder:
        robot = Robot(Path(folder), durability, port)
        assert robot.link
        robot.link.start()
        stamp, made = FIRST_MS, 0
        started = next_flush = time.monotonic()
        used = time.process_time()
        while (now := time.monotonic()) - started < seconds:
            next_flush += FLUSH_S
            stamp = robot.make(int(rate * FLUSH_S), stamp)
            made += int(rate * FLUSH_S)
            robot.outbox.flush()
            time.sleep(max(0.0, next_flush - time.monotonic()))
        used = time.process_time() - used
        delivered = robot.counters['points_acknowledged']
        robot.close()
    return {'us_per_point': used / made * 1e6, 'percent': 100 * used / (now - started),
            'delivered': delivered / made}


def drain(points: int, port: int) -> dict[str, float]:
    """Return how fast a backlog leaves and how much memory it takes."""
    with tempfile.TemporaryDirectory() as folder:
        robot = Robot(Path(folder), 'always', None)
        stamp = FIRST_MS
        for _ in range(points // 600):  # an outage's worth of flushes
            stamp = robot.make(600, stamp)
            robot.outbox.flush()
        kept = robot.journal.points
        robot.close()
        robot = Robot(Path(folder), 'always', port)
        assert robot.link
        peak = before = resident_mb()
        used, started = time.process_time(), time.monotonic()
        robot.link.start()
        while robot.journal.points:
            time.sleep(FLUSH_S)
            robot.outbox.flush()
            peak = max(peak, resident_mb())
        elapsed, used = time.monotonic() - started, time.process_time() - used
        robot.close()
    return {'points_per_s': kept / elapsed, 'us_per_point': used / kept * 1e6, 'seconds': elapsed,
            'mb_before': before, 'mb_peak': peak, 'points': kept}


def drain_sdk(points: int, port: int) -> dict[str, float]:
    """The same by the official SDK: its buffer on disk, filled, then flushed."""
    os.environ['PLEXUS_GATEWAY_WS_URL'] = f'ws://127.0.0.1:{port}'
    os.environ['PLEXUS_GATEWAY_URL'] = f'http://127.0.0.1:{port}'
    import plexus

    with tempfile.TemporaryDirectory() as folder:
        client = plexus.Plexus(
            api_key='plx_bench', source_id='bench-01', buffer_path=f'{folder}/buffer.db',
            max_buffer_size=points + 1)
        buffer: Any = client._buffer
        for start in range(0, points, 5000):
            buffer.add([{
                'class': 'metric', 'metric': f'robot.joint{index % METRICS}.position',
                'value': 0.001 * index, 'timestamp': FIRST_MS + index // METRICS,
                'tags': {'unit': 'rad'}} for index in range(start, min(start + 5000, points))])
        kept = client.buffer_size()
        peak = before = resident_mb()
        used, started = time.process_time(), time.monotonic()
        client.send('first', 1.0)
        while client.buffer_size():
            client.flush_buffer()
            peak = max(peak, resident_mb())
        elapsed, used = time.monotonic() - started, time.process_time() - used
        client.close()
    return {'points_per_s': kept / elapsed, 'us_per_point': used / kept * 1e6, 'seconds': elapsed,
            'mb_before': before, 'mb_peak': peak, 'points': kept}


def measure(what: str, *arguments: object) -> dict[str, float]:
    """Run one measurement in a process of its own, beside a gateway of its own."""
    from bridge_cpu import cpu_seconds

    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, 'HOME': home, 'PLEXUS_HOME': f'{home}/plexus',
                       'PYTHONPATH': str(ROOT)}
        gateway = subprocess.Popen(
            [sys.executable, __file__, '--serve'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=environment)
        try:
            assert gateway.stdout
            port = gateway.stdout.readline().strip()
            before = cpu_seconds(gateway.pid)
            done = subprocess.run(
                [sys.executable, __file__, '--measure', what, port, *map(str, arguments)],
                stdout=subprocess.PIPE, text=True, env=environment, check=True)
            used = cpu_seconds(gateway.pid) - before
        finally:
            gateway.communicate('')
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    found['gateway_cpu_s'] = used
    return found


def run_measurement(what: str, port: int, arguments: list[str]) -> dict[str, float]:
    """Be one measurement."""
    if what == 'journal':
        return journal_cost(arguments[0], port, int(arguments[1]), float(arguments[2]))
    return (drain if what == 'drain' else drain_sdk)(int(arguments[0]), port)


def main() -> None:
    """Measure all and print rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--serve', action='store_true', help='used by the benchmark itself')
    parser.add_argument('--measure', nargs='+', help='used by the benchmark itself')
    parser.add_argument('--rate', type=int, default=5000, help='points per second')
    parser.add_argument('--seconds', type=float, default=10.0)
    parser.add_argument('--points', type=int, default=1_000_000)
    parser.add_argument('--sdk-points', type=int, default=100_000, help='its time grows with it')
    args = parser.parse_args()
    if args.serve:
        serve()
        return
    if args.measure:
        what, port, *arguments = args.measure
        print(json.dumps(run_measurement(what, int(port), arguments)))
        return
    costs = {name: [measure('journal', name, args.rate, args.seconds) for _ in range(3)]
             for name in ('outage', 'always')}
    best = {name: min(cost['us_per_point'] for cost in found) for name, found in costs.items()}
    for name, cost in best.items():
        print(f'journal, {args.rate} points/s, {name:7} {cost:6.2f} us per point, '
              f'{cost * args.rate / 1e4:5.2f} % of a core, whole process')
    print(f'always costs {best["always"] / best["outage"] - 1:+.0%}, which is '
          f'{(best["always"] - best["outage"]) * args.rate / 1e4:.2f} % of a core')
    rows = {'ours': measure('drain', args.points),
            'SDK': measure('drain_sdk', args.sdk_points)}
    for name, row in rows.items():
        print(f'drain of {row["points"]:9.0f} points, {name:5}{row["points_per_s"]:9.0f} each s, '
              f'{row["us_per_point"]:6.2f} us each, resident {row["mb_before"]:.0f} MB before, '
              f'{row["mb_peak"]:.0f} MB at most; '
              f'{row["us_per_point"] * row["points"] / 1e6 / row["seconds"]:.0%} of a core '
              f'itself, gateway {row["gateway_cpu_s"] / row["seconds"]:.0%}')
    print(f'ours drains {rows["ours"]["points_per_s"] / rows["SDK"]["points_per_s"]:.1f} times '
          'as fast')


if __name__ == '__main__':
    main()

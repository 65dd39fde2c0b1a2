# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
CPU and memory of the bridge as a process: idle, and at so many Imu messages per second.

Everything is real: publisher, bridge and gateway are processes of their own. What is measured is
the process' own user and system time (all threads, those of the middleware too), so what the
others need on the same cores does not count. It is divided by the messages that were published,
or, for who delivers them, by those whose six values arrived at the gateway.

In the same run stand (see subjects.py) the limit, which takes messages as often as the bridge does
and does nothing with them; the same fifty times a second; and the obvious bridge by rclpy
callbacks and the official SDK, which hands on as often as ours does. All but that one hear the
same messages at the same time, so that what else the machine does falls on all of them alike; that
one needs a core for itself. The limit has neither a graph to watch nor an executor for services;
"idle %" tells what those cost.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple
import urllib.request

ROOT = Path(__file__).parents[1]
FIELDS = ('angular_velocity.x', 'angular_velocity.y', 'angular_velocity.z',
          'linear_acceleration.x', 'linear_acceleration.y', 'linear_acceleration.z')
LIMITS = ('limit', 'limit50')
SUBJECTS = (*LIMITS, 'bridge', 'sdk')
# Whole bridges, by what they write to disk.
DURABILITIES = {'bridge': 'always', 'bridge_outage': 'outage'}


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process, with the threads that it had."""
    # Linux' clock of another process (clock_getcpuclockid): in nanoseconds, where /proc counts
    # hundredths of a second.
    return time.clock_gettime(~pid << 3 | 2)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS'):
            return int(line.split()[1]) / 1000
    return 0.0


def publish(rate: int, topics: int, seconds: float) -> None:
    """Publish serialised Imu messages, best effort, evenly over the topics."""
    import rclpy
    from rclpy.node import Node
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import Imu

    rclpy.init()
    node = Node('bench_publisher')
    message = Imu()
    message.header.frame_id = 'imu_link'
    publishers = [node.create_publisher(Imu, f'/bench/imu{index}', qos_profile_sensor_data)
                  for index in range(topics)]
    while any(publisher.get_subscription_count() == 0 for publisher in publishers):
        time.sleep(0.05)
    started = time.monotonic()
    sent = 0
    while (now := time.monotonic() - started) < seconds:
        while sent < now * rate:
            message.header.stamp = node.get_clock().now().to_msg()
            message.angular_velocity.z = sent * 0.001
            publishers[sent % topics].publish(serialize_message(message))
            sent += 1
        time.sleep(0.002)
    rclpy.shutdown()


def write_map(path: Path, url: str, topics: int, durability: str) -> None:
    """Write a map with six values of every message of every topic."""
    fields = ', '.join(f'{{path: {field}, metric: "imu{{0}}.{field}"}}' for field in FIELDS)
    rules = ''.join(
        f'  - topic: /bench/imu{index}\n    sampling: {{mode: every}}\n'
        f'    fields: [{fields.replace("{0}", str(index))}]\n' for index in range(topics))
    path.write_text(f'version: 1\nsource_id: bench-{durability}\n'
                    f'gateway: {{url: "{url}"}}\ndelivery: {{durability: {durability}}}\n'
                    f'metrics:\n{rules}')


class Road:
    """A gateway and some subjects in a folder and ROS domain of their own."""

    def __init__(self, folder: Path, subjects: Sequence[str], topics: int, port: int):
        self._folder = folder
        self._url = url = f'http://127.0.0.1:{port}'
        self.environment = {
            **os.environ, 'PLEXUS_HOME': str(folder / 'plexus'), 'HOME': str(folder),
            'PYTHONPATH': str(ROOT), 'ROS_DOMAIN_ID': '95', 'PLEXUS_GATEWAY_URL': url,
            'PLEXUS_GATEWAY_WS_URL': url.replace('http', 'ws'),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'ROS_LOG_DIR': str(folder / 'ros')}
        self._gateway = self._start('-m', 'plexus_bridge.gateway.serve', '--port', str(port))
        while not answers(url):
            time.sleep(0.05)
        self.environment['PLEXUS_API_KEY'] = (
            folder / 'plexus' / 'gateway' / 'key').read_text().strip()
        self._subjects = {subject: self._start_subject(subject, topics) for subject in subjects}
        time.sleep(3)  # their start is not what is measured

    def _start_subject(self, subject: str, topics: int) -> subprocess.Popen[bytes]:
        if subject not in DURABILITIES:
            return self._start(str(ROOT / 'bench' / 'subjects.py'), subject, str(topics))
        robot_map = self._folder / f'{subject}.yaml'
        write_map(robot_map, self._url, topics, DURABILITIES[subject])
        return self._start('-m', 'plexus_bridge.nodes.bridge', '--ros-args', '-r',
                           f'__node:={subject}', '-p', f'config_file:={robot_map}')

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / 'log').open('ab') as log:
            return subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log,
                                    env=self.environment, cwd=self._folder)

    def measure(self, seconds: float) -> tuple[dict[str, float], float]:
        """Return CPU by subject, in parts of a core, and messages per second that each sent."""
        before = self._cpu_seconds()
        points = self._points()
        started = time.monotonic()
        time.sleep(seconds)
        after = self._cpu_seconds()
        elapsed = time.monotonic() - started
        senders = sum(subject not in LIMITS for subject in self._subjects)
        arrived = (self._points() - points) / len(FIELDS) / elapsed / max(senders, 1)
        return {name: (after[name] - before[name]) / elapsed for name in after}, arrived

    def _cpu_seconds(self) -> dict[str, float]:
        return {name: cpu_seconds(process.pid) for name, process in self._subjects.items()}

    def resident_mb(self, subject: str) -> float:
        """Return the resident memory of a subject in MB."""
        return resident_mb(self._subjects[subject].pid)

    def _points(self) -> int:
        """Return how many points the gateway has received."""
        request = urllib.request.Request(
            f'{self._url}/v1/gateway', headers={'x-api-key': self.environment['PLEXUS_API_KEY']})
        with urllib.request.urlopen(request, timeout=10) as answer:
            counters = json.load(answer)['counters']
        received: int = counters.get('socket_points', 0) + counters.get('http_points', 0)
        return received

    def close(self) -> None:
        """End them all."""
        for process in (*self._subjects.values(), self._gateway):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answers(url: str) -> bool:
    """Tell whether the gateway is up."""
    try:
        urllib.request.urlopen(f'{url}/health', timeout=1).close()
    except OSError:
        return False
    return True


class Measured(NamedTuple):
    """A subject's CPU in parts of a core, idle and busy, and what came of it."""

    idle: float
    busy: float
    memory_mb: float
    arrived: float


def run(subjects: Sequence[str], rate: int, topics: int, seconds: float, port: int
        ) -> dict[str, Measured]:
    """Measure subjects at one load, all at the same time."""
    with tempfile.TemporaryDirectory() as name:
        road = Road(Path(name), subjects, topics, port)
        try:
            idle, _ = road.measure(3)
            publisher = subprocess.Popen(
                [sys.executable, __file__, '--publish', str(rate), '--topics', str(topics),
                 '--seconds', str(seconds + 5)], env=road.environment)
            time.sleep(4)
            busy, arrived = road.measure(seconds)
            measured = {
                subject: Measured(idle[subject], busy[subject], road.resident_mb(subject), arrived)
                for subject in subjects}
            publisher.wait(seconds + 60)
        finally:
            road.close()
    return measured


def print_rows(measured: Mapping[str, Measured], rate: int, topics: int) -> None:
    """Print a row for each subject of a load."""
    costs = {
        # What does not arrive costs nothing; a limit keeps nothing, so all count there.
        name: one.busy / (rate if name in LIMITS else max(one.arrived, 1)) * 1e6
        for name, one in measured.items()}
    for name, one in measured.items():
        arrived = '' if name in LIMITS else f'{one.arrived:.0f}'
        ratios = ''.join(f'{costs[name] / costs[limit]:11.2f}' if limit in costs else ' ' * 11
                         for limit in LIMITS)
        print(f'{rate:6} {topics:6}  {name:8}{100 * one.idle:8.2f}{100 * one.busy:8.2f}'
              f'{one.memory_mb:6.0f}{arrived:>11}{costs[name]:12.1f}{ratios}', flush=True)


def main() -> None:
    """Measure the loads that were asked for and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--publish', type=int, default=0, help='used by the benchmark itself')
    parser.add_argument('--rates', type=int, nargs='+', default=[1000, 3000, 5000])
    parser.add_argument('--topics', type=int, nargs='+', default=[20, 200])
    parser.add_argument('--subjects', nargs='+', default=list(SUBJECTS), choices=SUBJECTS)
    parser.add_argument('--seconds', type=float, default=8.0)
    parser.add_argument('--port', type=int, default=8895)
    args = parser.parse_args()
    if args.publish:
        publish(args.publish, args.topics[0], args.seconds)
        return
    print(f'{"msg/s":>6} {"topics":>6}  {"":8}{"idle %":>8}{"busy %":>8}{"MB":>6}{"arrived/s":>11}'
          f'{"us/message":>12}{"x limit":>11}{"x limit50":>11}')
    together = [subject for subject in args.subjects if subject != 'sdk']
    alone = [subject for subject in args.subjects if subject == 'sdk']
    for topics in args.topics:
        for rate in args.rates:
            measured: dict[str, Measured] = {}
            for subjects in (together, alone):
                if subjects:
                    measured |= run(subjects, rate, topics, args.seconds, args.port)
            print_rows(measured, rate, topics)


if __name__ == '__main__':
    main()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
CPU and memory of the bridge as a process: idle, and at so many Imu messages per second.

Everything is real: publisher, bridge and gateway are processes of their own. CPU is the bridge's
own user and system time, so what the others need on the same cores does not count.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = Path(__file__).parents[1]
FIELDS = ('angular_velocity.x', 'angular_velocity.y', 'angular_velocity.z',
          'linear_acceleration.x', 'linear_acceleration.y', 'linear_acceleration.z')


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and its threads."""
    fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


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
    print(sent, flush=True)
    rclpy.shutdown()


def write_map(path: Path, url: str, topics: int) -> None:
    """Write a map with six values of every message of every topic."""
    fields = ', '.join(f'{{path: {field}, metric: "imu{{0}}.{field}"}}' for field in FIELDS)
    rules = ''.join(
        f'  - topic: /bench/imu{index}\n    sampling: {{mode: every}}\n'
        f'    fields: [{fields.replace("{0}", str(index))}]\n' for index in range(topics))
    path.write_text(f'version: 1\nsource_id: bench-01\ngateway: {{url: "{url}"}}\n'
                    f'metrics:\n{rules}')


class Road:
    """A gateway and a bridge in a folder and ROS domain of their own."""

    def __init__(self, folder: Path, topics: int, port: int):
        self.environment = {
            **os.environ, 'PLEXUS_HOME': str(folder / 'plexus'), 'PYTHONPATH': str(ROOT),
            'ROS_DOMAIN_ID': '95', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'ROS_LOG_DIR': str(folder / 'ros')}
        url = f'http://127.0.0.1:{port}'
        self.gateway = self.start(folder, 'plexus_bridge.gateway.serve', '--port', str(port))
        while not answers(url):
            time.sleep(0.05)
        write_map(folder / 'map.yaml', url, topics)
        self.bridge = self.start(
            folder, 'plexus_bridge.nodes.bridge', '--ros-args', '-p',
            f'config_file:={folder / "map.yaml"}')
        time.sleep(3)  # its start is not what is measured

    def start(self, folder: Path, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a module of ours; its output goes to a file in the folder."""
        with (folder / f'{module}.log').open('wb') as log:
            return subprocess.Popen([sys.executable, '-m', module, *arguments], stdout=log,
                                    stderr=log, env=self.environment, cwd=folder)

    def measure(self, seconds: float) -> tuple[float, float]:
        """Return the bridge's CPU in percent of a core, and its resident memory in MB."""
        before = cpu_seconds(self.bridge.pid)
        started = time.monotonic()
        time.sleep(seconds)
        used = cpu_seconds(self.bridge.pid) - before
        return 100 * used / (time.monotonic() - started), resident_mb(self.bridge.pid)

    def close(self) -> None:
        """End both."""
        for process in (self.bridge, self.gateway):
            process.terminate()
            process.wait(20)


def answers(url: str) -> bool:
    """Tell whether the gateway is up."""
    try:
        urllib.request.urlopen(f'{url}/health', timeout=1).close()
    except OSError:
        return False
    return True


def run(rate: int, topics: int, seconds: float, port: int) -> None:
    """Measure one load and print a row."""
    with tempfile.TemporaryDirectory() as name:
        road = Road(Path(name), topics, port)
        try:
            idle, _ = road.measure(3)
            publisher = subprocess.Popen(
                [sys.executable, __file__, '--publish', str(rate), '--topics', str(topics),
                 '--seconds', str(seconds + 4)], env=road.environment)
            time.sleep(3)
            busy, memory = road.measure(seconds)
            publisher.wait(seconds + 30)
        finally:
            road.close()
    print(f'{rate:6} msg/s  {topics:4} topics  idle {idle:5.1f} %  busy {busy:5.1f} % of a core  '
          f'{busy / 100 / rate * 1e6:6.1f} us/message  {memory:6.1f} MB')


def main() -> None:
    """Measure the loads that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--publish', type=int, default=0, help='used by the benchmark itself')
    parser.add_argument('--rates', type=int, nargs='+', default=[1000])
    parser.add_argument('--topics', type=int, default=20)
    parser.add_argument('--seconds', type=float, default=8.0)
    parser.add_argument('--port', type=int, default=8895)
    args = parser.parse_args()
    if args.publish:
        publish(args.publish, args.topics, args.seconds)
        return
    for rate in args.rates:
        run(rate, args.topics, args.seconds, args.port)


if __name__ == '__main__':
    main()

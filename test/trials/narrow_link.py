# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Two cameras of 1920x1080 at 30 Hz, a thermal one of 64x48, 500 metrics a second and events, over a
link of 1 Mbit/s.

Publishers, bridge, link and gateway are processes of their own. The link is a proxy that passes on
so many bytes per second and takes no more into its buffers than a modem does. Prints how late
metrics, events and pictures arrive; exit 1 if a metric is later than 1 s, an event later than
100 ms, or more than one picture in twenty older than 500 ms.

    python test/trials/narrow_link.py [--bytes-per-s 125000] [--seconds 30]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'bench'), str(ROOT / 'test' / 'support')]

import numpy as np  # noqa: E402
from throttle import Throttle  # noqa: E402
from video_gateway import VideoGateway  # noqa: E402

METRIC_HZ = 50
FIELDS = tuple(f'{part}.{axis}' for part, axes in (
    ('angular_velocity', 'xyz'), ('linear_acceleration', 'xyz'), ('orientation', 'xyzw'))
    for axis in axes)
WARM_UP_S = 6.0
CAMERAS = ('front', 'rear', 'oven')
LIMITS = {'metric': 1.0, 'event': 0.1, 'picture': 0.5}


def publish_telemetry(seconds: float) -> None:
    """Publish METRIC_HZ stamped messages of ten mapped values, and an event now and then."""
    import rclpy
    from rclpy.node import Node
    from rclpy.signals import SignalHandlerOptions
    from sensor_msgs.msg import Image
    from sensor_msgs.msg import Imu
    from std_msgs.msg import String

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = Node('trial_robot')
    imu = node.create_publisher(Imu, '/trial/imu', 10)
    oven = node.create_publisher(Image, '/trial/oven', 1)
    mode = node.create_publisher(String, '/trial/mode', 10)
    while not (imu.get_subscription_count() and mode.get_subscription_count()):
        time.sleep(0.05)
    message = Imu()
    due = time.monotonic()
    end = due + seconds
    count = 0
    while due < end:
        message.header.stamp = node.get_clock().now().to_msg()
        message.angular_velocity.z = count * 0.001
        imu.publish(message)
        count += 1
        if count % 5 == 0:
            oven.publish(Image(header=message.header, height=48, width=64, encoding='16UC1',
                               step=128, data=temperatures(count)))
        if count % 17 == 0:  # about three a second, at no fixed moment of anything else
            mode.publish(String(data=f'{time.time_ns() // 1_000_000}'))
        due += 1 / METRIC_HZ
        time.sleep(max(0.0, due - time.monotonic()))
    rclpy.shutdown()


def temperatures(count: int) -> bytes:
    """Return 64x48 hundredths of a kelvin, in which something warm goes round."""
    y, x = np.mgrid[0:48, 0:64]
    warm = 1500 * np.exp(-((x - 32 - 20 * np.cos(count / 50)) ** 2 + (y - 24) ** 2) / 60)
    noise = np.random.default_rng(count).integers(0, 20, warm.shape)
    return bytes((29_000 + warm + noise).astype(np.uint16).tobytes())


def write_map(path: Path, url: str) -> None:
    fields = ', '.join(f'{{path: {name}, metric: "imu.{name}"}}' for name in FIELDS)
    path.write_text(f'''version: 1
source_id: trial-01
gateway: {{url: "{url}"}}
metrics:
  - {{topic: /trial/imu, sampling: {{mode: every}}, fields: [{fields}]}}
events:
  - {{topic: /trial/mode}}
video:
  - {{topic: /bench/image, camera_id: front, rate_hz: 30}}
  - {{topic: /bench/image1, camera_id: rear, rate_hz: 30}}
  - {{topic: /trial/oven, camera_id: oven, thermal: {{}}}}
''')


class Trial:
    """All processes of one run, in a folder and a ROS domain of their own."""

    def __init__(self, folder: Path, bytes_per_s: float, seconds: float):
        self.gateway = VideoGateway()
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **os.environ, 'PLEXUS_HOME': str(folder / 'plexus'), 'HOME': str(folder),
            'PYTHONPATH': str(ROOT), 'ROS_DOMAIN_ID': '72', 'PLEXUS_API_KEY': 'plx_trial',
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'ROS_LOG_DIR': str(folder / 'ros')}
        link = self._start(
            [__file__, '--proxy', str(self.gateway.port), '--bytes-per-s', str(bytes_per_s)],
            stdout=subprocess.PIPE)
        assert link.stdout is not None
        write_map(folder / 'map.yaml', f'http://127.0.0.1:{int(link.stdout.readline())}')
        self._start(['-m', 'plexus_bridge.nodes.bridge', '--ros-args', '-p',
                     f'config_file:={folder / "map.yaml"}'], 'fastdds_bridge.xml')
        self._start([str(ROOT / 'bench' / 'video.py'), '--publish', '1920x1080', '--topics', '2',
                     '--seconds', str(seconds + 60)], 'fastdds.xml')
        self._start([__file__, '--publish', '--seconds', str(seconds + 60)], 'fastdds_bridge.xml')

    def _start(self, command: list[str], profile: str = 'fastdds_bridge.xml', **how: Any
               ) -> subprocess.Popen[bytes]:
        with (self._folder / 'log').open('ab') as log:
            how.setdefault('stdout', log)
            process = subprocess.Popen(
                [sys.executable, *command], stderr=log, cwd=self._folder, env={
                    **self._environment,
                    'FASTDDS_DEFAULT_PROFILES_FILE': str(ROOT / 'config' / profile)}, **how)
        self._processes.append(process)
        return process

    @property
    def log(self) -> str:
        return (self._folder / 'log').read_text()

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.gateway.close()


def spread(name: str, lateness: Sequence[float]) -> str:
    ordered = sorted(lateness)
    if not ordered:
        return f'{name:10} none'
    return (f'{name:10}{len(ordered):7}' + ''.join(
        f'{ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000:9.0f}'
        for part in (0.5, 0.95, 0.99)) + f'{ordered[-1] * 1000:9.0f}')


def run(bytes_per_s: float, seconds: float) -> bool:
    """Run and print; True if all limits were kept."""
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name), bytes_per_s, seconds)
        try:
            if not trial.gateway.arrivals.first_picture.wait(40):
                raise SystemExit(f'no picture came\n{trial.log}')
            time.sleep(WARM_UP_S)
            trial.gateway.arrivals.clear()
            time.sleep(seconds)
            pictures = list(trial.gateway.arrivals.pictures)
            sizes = list(trial.gateway.arrivals.sizes)
            points = list(trial.gateway.arrivals.points)
        finally:
            trial.close()
    metrics = [at - stamp / 1000 for at, stamp, metric, _ in points if metric.startswith('imu.')]
    events = [at - stamp / 1000 for at, stamp, _, kind in points if kind == 'event']
    ages = sorted(at - stamp / 1000 for at, stamp, _, _ in pictures)
    print(f'link of {bytes_per_s * 8 / 1e6:g} Mbit/s, {seconds:g} s')
    print(f'{"":10}{"count":>7}{"p50 ms":>9}{"p95 ms":>9}{"p99 ms":>9}{"max ms":>9}')
    for kind, lateness in (('metrics', metrics), ('events', events), ('pictures', ages)):
        print(spread(kind, lateness))
    for camera in CAMERAS:
        mine = [(size, pixels) for (_, _, size, of), pixels in zip(pictures, sizes, strict=True)
                if of == camera]
        if mine:
            print(f'{camera}: {len(mine) / seconds:.1f} pictures/s, '
                  f'{sum(size for size, _ in mine) / len(mine) / 1000:.1f} kB each, last '
                  f'{mine[-1][1][0]}x{mine[-1][1][1]}')
    expected = METRIC_HZ * len(FIELDS) * seconds
    kept = {
        'every metric within 1 s': bool(metrics) and max(metrics) <= LIMITS['metric'],
        'no metric missing': len(metrics) >= expected * 0.97,
        'every event within 100 ms': bool(events) and max(events) <= LIMITS['event'],
        'pictures p95 within 500 ms':
            bool(ages) and ages[int(len(ages) * 0.95)] <= LIMITS['picture'],
        'every camera': {of for _, _, _, of in pictures} == set(CAMERAS)}
    for what, so in kept.items():
        print(f'{"holds " if so else "BROKEN"} {what}')
    return all(kept.values())


def main() -> int:
    """Run as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--bytes-per-s', type=float, default=125_000.0)
    parser.add_argument('--seconds', type=float, default=30.0)
    parser.add_argument('--proxy', type=int, default=0, help='used by the trial itself')
    parser.add_argument('--publish', action='store_true', help='used by the trial itself')
    args = parser.parse_args()
    if args.proxy:
        print(Throttle(args.proxy, args.bytes_per_s).port, flush=True)
        threading.Event().wait()
    elif args.publish:
        publish_telemetry(args.seconds)
    else:
        return 0 if run(args.bytes_per_s, args.seconds) else 1
    return 0


if __name__ == '__main__':
    sys.exit(main())

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A real robot's recording goes all the way: played, bridged, stored, and read back whole."""

from __future__ import annotations

from pathlib import Path

from gateway_client import free_port
from gateway_client import GatewayClient
import pytest
from rosbags.highlevel import AnyReader

from plexus_bridge.authoring.dry_run import dry_run
from plexus_bridge.authoring.source import BagSource
from plexus_bridge.bags import Bag
from plexus_bridge.config.map import load_map

HUSKY = Path(__file__).parents[2].parent / 'shared' / 'data' / 'husky'
WANTED = {
    '/imu/data': ('imu.acceleration', lambda message: message.linear_acceleration.x),
    '/fix': ('gps.latitude', lambda message: message.latitude),
    '/husky_velocity_controller/odom': ('speed', lambda message: message.twist.twist.linear.x),
}
MAP = '''
version: 1
source_id: husky-01
gateway: {{url: "{url}"}}
metrics:
  - topic: /imu/data
    sampling: {{mode: every}}
    fields: [{{path: linear_acceleration.x, metric: imu.acceleration}}]
  - topic: /fix
    sampling: {{mode: every}}
    fields: [{{path: latitude, metric: gps.latitude}}]
  - topic: /husky_velocity_controller/odom
    type: nav_msgs/msg/Odometry
    sampling: {{mode: every}}
    fields:
      - {{path: twist.twist.linear.x, metric: speed}}
      - {{path: twist.twist.linear, metric: changes, as: norm, deadband: 0.05, resend_s: 5}}
      - path: pose.pose.orientation
        metric: heading
        as: [yaw, degrees]
        unit: deg
        sampling: {{mode: window, window_s: 10, stats: [mean, std, min, count]}}
  - topic: /imu/*
    sampling: {{mode: every}}
  - topic: /fix
    sampling: {{mode: every}}
    fields: [{{path: status.status, metric: gps.status, values: {{-1: NONE, 0: FIX}}}}]
'''


def recorded() -> dict[str, list[tuple[int, float]]]:
    """Return (header stamp in ms, value) of every message, read by rosbags alone."""
    samples: dict[str, list[tuple[int, float]]] = {metric: [] for metric, _ in WANTED.values()}
    with AnyReader([HUSKY]) as bag:
        for connection, _, data in bag.messages():
            metric, value_of = WANTED[connection.topic]
            message = bag.deserialize(data, connection.msgtype)
            stamp = message.header.stamp
            samples[metric].append(
                (stamp.sec * 1000 + stamp.nanosec // 1_000_000, value_of(message)))
    return samples


def dry_run_metrics(robot_map: Path) -> dict[str, list[tuple[int, float]]]:
    """Return what a dry run on the recording gives: (stamp, value) by metric."""
    points: dict[str, list[tuple[int, float]]] = {}
    with Bag(HUSKY) as bag:
        dry_run(load_map(robot_map), BagSource(bag), lambda point: points.setdefault(
            f'{point["class"]} {point["metric"]}', []).append(
                (point['timestamp'], point['value'])))
    return points


@pytest.mark.road
@pytest.mark.skipif(not HUSKY.is_dir(), reason=f'the recording {HUSKY} is not on this machine')
def test_every_sample_of_a_real_recording_is_stored_and_as_the_dry_run_says(
        start, tmp_path, ros_environment, wait_until):
    port = free_port()
    gateway = GatewayClient(port, Path(ros_environment['PLEXUS_HOME']))
    start('plexus_bridge.gateway.serve', '--port', str(port))
    wait_until(gateway.is_up, 'the gateway answers')
    robot_map = tmp_path / 'husky.yaml'
    robot_map.write_text(MAP.format(url=gateway.url))
    bridge = start('plexus_bridge.nodes.bridge', '--ros-args', '-p', f'config_file:={robot_map}')
    play = start('plexus_bridge.nodes.play', str(HUSKY), '--rate', '20',
                 '--wait-for-subscribers', '30')
    assert play.wait(120) == 0, play.output
    assert bridge.stop() == 0, bridge.output
    for metric, samples in recorded().items():
        first, last = min(samples)[0], max(samples)[0]
        stored = gateway.series('husky-01', metric, first, last + 1)
        assert len(stored) == len(samples), f'{metric}\n{bridge.output}'
        assert stored == sorted(samples), metric
    expected = dry_run_metrics(robot_map)
    assert len(expected) == 3 + 1 + 4 + 9 + 1
    for name, samples in expected.items():
        kind, metric = name.split()
        stored = gateway.series('husky-01', metric, min(samples)[0], max(samples)[0] + 1) \
            if kind == 'metric' else [
                (event['timestamp_ms'], event['value'])
                for event in gateway.get('/v1/sources/husky-01/events', tail=100, name=metric)]
        assert stored == sorted(samples), f'{name}: live and dry run differ'

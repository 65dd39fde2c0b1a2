# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The gateway dies and returns, the bridge dies and returns: what was taken in is not lost."""

from __future__ import annotations

from pathlib import Path
import signal

from gateway_client import free_port
from gateway_client import GatewayClient
import pytest
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Temperature

from plexus_msgs.msg import BridgeStatus

FIRST_MS = 1_790_000_000_000
MAP = '''version: 1
source_id: robot-1
gateway: {{url: "{url}"}}
metrics:
  - topic: /t
    sampling: {{mode: every}}
    fields: [{{path: temperature, metric: t}}]
'''


class Publisher:
    """Publishes one temperature for every millisecond of header time."""

    def __init__(self, graph):
        self._graph = graph
        self._publisher = graph.node.create_publisher(Temperature, '/t', QoSProfile(depth=1000))
        self.count = 0

    def publish(self, number: int) -> None:
        for _ in range(number):
            self._publish_one(self.count)
            self.count += 1

    def _publish_one(self, index: int) -> None:
        message = Temperature(temperature=float(index))
        stamp = FIRST_MS + index
        message.header.stamp.sec = stamp // 1000
        message.header.stamp.nanosec = stamp % 1000 * 1_000_000
        self._publisher.publish(message)

    def meet(self, status: list[BridgeStatus]) -> int:
        """
        Publish the first sample until a bridge has it; return how many messages it counts then.

        A bridge that was killed stays on the graph for a while, so counting subscribers would
        not do; the gateway takes the same sample any number of times.
        """
        status.clear()

        def heard() -> bool:
            if len(status) < 2 or not status[-1].rules[0].messages:
                self._publish_one(0)
                return False
            return status[-1].rules[0].messages == status[-2].rules[0].messages

        self._graph.spin_until(heard, 'the bridge hears us')
        messages: int = status[-1].rules[0].messages
        return messages


@pytest.fixture
def status(graph):
    return graph.collect(BridgeStatus, '/plexus_bridge/status')


@pytest.fixture
def publisher(graph):
    return Publisher(graph)


@pytest.fixture
def road(start, tmp_path, ros_environment, wait_until):
    """Return a gateway client, and functions that start gateway and bridge."""
    port = free_port()
    gateway = GatewayClient(port, Path(ros_environment['PLEXUS_HOME']))
    robot_map = tmp_path / 'robot.yaml'
    robot_map.write_text(MAP.format(url=gateway.url))

    def start_gateway():
        program = start('plexus_bridge.gateway.serve', '--port', str(port))
        wait_until(gateway.is_up, 'the gateway answers')
        return program

    def start_bridge():
        return start(
            'plexus_bridge.nodes.bridge', '--ros-args', '-p', f'config_file:={robot_map}')

    return gateway, start_gateway, start_bridge


def stored(gateway: GatewayClient, count: int) -> list[float]:
    if not gateway.knows('robot-1'):
        return []
    return [value for _, value in gateway.series('robot-1', 't', FIRST_MS, FIRST_MS + count)]


def taken_in(status, count: int) -> bool:
    return bool(status) and status[-1].rules[0].messages >= count


@pytest.mark.road
def test_a_gateway_that_is_killed_again_and_again_gets_everything(road, graph, status, publisher):
    gateway, start_gateway, start_bridge = road
    server = start_gateway()
    bridge = start_bridge()
    before = publisher.meet(status)
    for _ in range(3):
        publisher.publish(300)
        server.stop(signal.SIGKILL)
        publisher.publish(300)
        graph.spin_until(
            lambda: taken_in(status, before + publisher.count), f'taken in; {bridge.output}')
        server = start_gateway()
    graph.spin_until(lambda: stored(gateway, publisher.count) == list(range(publisher.count)),
                     f'all of it stored; {bridge.output}', 30)
    assert bridge.stop() == 0, bridge.output


@pytest.mark.road
def test_a_bridge_that_is_killed_sends_what_it_had_flushed(road, graph, status, publisher):
    gateway, start_gateway, start_bridge = road
    start_gateway().stop()  # it has made its key; from here on the link is down
    for _ in range(3):
        bridge = start_bridge()
        before = publisher.meet(status) - publisher.count
        publisher.publish(300)
        graph.spin_until(
            lambda before=before: taken_in(status, before + publisher.count), 'taken in')
        graph.spin_for(0.4)  # flush_ms is 100: what a kill may cost is over by now
        bridge.stop(signal.SIGKILL)
    start_gateway()
    bridge = start_bridge()
    graph.spin_until(lambda: stored(gateway, publisher.count) == list(range(publisher.count)),
                     f'all of it stored; {bridge.output}', 30)
    assert bridge.stop() == 0, bridge.output

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A look at the running graph: what `plexus-bridge check --live` and `init` go by."""

from __future__ import annotations

from collections.abc import Iterator
import threading
import time

import pytest
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Temperature
from std_msgs.msg import String

from plexus_bridge import cli
from plexus_bridge.ros.survey import survey

RATE_HZ = 50


@pytest.fixture
def temperature(graph) -> Iterator[Publisher]:
    """Somebody who publishes at a steady rate, on a thread."""
    publisher = graph.node.create_publisher(Temperature, '/steady', 10)
    ended = threading.Event()

    def publish() -> None:
        due = time.monotonic()
        while not ended.wait(max(0.0, due - time.monotonic())):
            publisher.publish(Temperature())
            due += 1 / RATE_HZ

    thread = threading.Thread(target=publish)
    thread.start()
    yield publisher
    ended.set()
    thread.join()


@pytest.mark.usefixtures('temperature')
def test_rates_are_those_of_the_time_of_listening_and_not_of_discovery():
    with survey(2.0) as found:
        count = found.topics['/steady'].count
        assert 2.0 <= found.seconds < 2.2
        assert count / found.seconds == pytest.approx(RATE_HZ, rel=0.05)
        assert len(list(found.messages(['/steady']))) == count


def test_cameras_are_tried_on_the_graph_as_all_rules_are(graph, tmp_path, capsys):
    graph.node.create_publisher(Temperature, '/heat', 1)
    file = tmp_path / 'm.yaml'
    file.write_text('version: 1\nvideo:\n  - {topic: /heat, camera_id: a}\n'
                    '  - {topic: /heta, camera_id: b}\n')
    assert cli.main(['check', '--live', '--seconds', '0.2', '--strict', str(file)]) == 1
    told = capsys.readouterr()
    assert 'camera a (/heat) gives nothing: saw sensor_msgs/msg/Temperature, expected' in told.out
    assert 'camera b (/heta) gives nothing: no such topic in the graph' in told.out
    assert told.err == 'plexus-bridge check: 2 rules give nothing, see above\n'


def test_what_was_published_before_for_those_who_come_late_is_there(graph):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    graph.node.create_publisher(String, '/description', latched).publish(String(data='robot'))
    with survey(0.5) as found:
        assert found.topics['/description'].count == 1
        assert len(list(found.messages(['/description']))) == 1

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Two bridges of one name on one graph."""

from __future__ import annotations

import logging

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
import pytest
from rclpy.node import Node

from plexus_bridge.ros.namesakes import BELIEVED_AFTER_S
from plexus_bridge.ros.namesakes import Namesakes

ME = ('test', '/')


def names_of(node: Node) -> list[tuple[str, str]]:
    return node.get_node_names_and_namespaces()


def test_a_second_node_of_our_name_is_told_once_and_in_diagnostics(
        graph, caplog: pytest.LogCaptureFixture):
    arrived = graph.collect(DiagnosticArray, '/diagnostics')
    namesakes = Namesakes(graph.node, 'sim-01')
    elsewhere = Node('test', namespace='/other', context=graph.node.context)
    namesakes.poll(0.0)
    namesakes.poll(BELIEVED_AFTER_S + 1)
    assert not caplog.records, 'a name in another namespace is another name'
    other = Node('test', context=graph.node.context)
    graph.spin_until(lambda: names_of(graph.node).count(ME) == 2, 'found')
    now = 100.0
    namesakes.poll(now)
    assert not caplog.records, 'it may be one that was killed a moment ago'
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            now += BELIEVED_AFTER_S
            namesakes.poll(now)
    assert [record.levelname for record in caplog.records] == ['ERROR']
    assert 'saw 2 nodes named /test on this graph, expected one' in caplog.text

    def newest() -> bytes | None:
        nonlocal now
        now += 10.0
        namesakes.poll(now)
        return arrived[-1].status[0].level if arrived else None

    graph.spin_until(lambda: newest() == DiagnosticStatus.ERROR, 'told in diagnostics')
    other.destroy_node()
    graph.spin_until(lambda: names_of(graph.node).count(ME) == 1, 'gone')
    graph.spin_until(lambda: newest() == DiagnosticStatus.OK, 'all is well')
    elsewhere.destroy_node()

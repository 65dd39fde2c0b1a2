# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Sees whether another node has our name: both then answer the same services."""

from __future__ import annotations

import logging

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.publisher import Publisher

log = logging.getLogger(__name__)

PERIOD_S = 4.0
# A bridge that was killed stays on the graph until its lease is over, 20 s in some middlewares.
BELIEVED_AFTER_S = 24.0


class Namesakes:
    """
    Warns in the log once, and in ``/diagnostics`` as long as it lasts, of nodes with our name.

    `poll` is for the thread that polls.
    """

    def __init__(self, node: Node, hardware_id: str):
        self._node = node
        self._hardware_id = hardware_id
        self._next_look = 0.0
        self._seen_since: float | None = None
        self._told = False
        self._publisher: Publisher | None = None

    def poll(self, now: float) -> None:
        """Look at the graph if it is time to; `now` is monotonic seconds."""
        if now < self._next_look:
            return
        self._next_look = now + PERIOD_S
        others = self._others()
        if not others:
            self._seen_since = None
            if self._told:
                self._told = False
                self._publish(DiagnosticStatus.OK, 'no other node has this name')
            return
        if self._seen_since is None:
            self._seen_since = now
        if now - self._seen_since < BELIEVED_AFTER_S:
            return
        name = self._node.get_fully_qualified_name()
        text = (f'saw {others + 1} nodes named {name} on this graph, expected one: they share '
                f'{name}/emergency_stop and {name}/status; give each robot a namespace or a '
                'ROS_DOMAIN_ID of its own, or end the other bridge')
        if not self._told:
            self._told = True
            log.error('%s', text)
        self._publish(DiagnosticStatus.ERROR, text)

    def _others(self) -> int:
        mine = self._node.get_name(), self._node.get_namespace()
        named: int = self._node.get_node_names_and_namespaces().count(mine)
        return max(0, named - 1)

    def _publish(self, level: bytes, message: str) -> None:
        if self._publisher is None:
            self._publisher = self._node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        array = DiagnosticArray()
        array.header.stamp = self._node.get_clock().now().to_msg()
        array.status = [DiagnosticStatus(
            level=level, name=f'{self._node.get_name()}: name', message=message,
            hardware_id=self._hardware_id)]
        self._publisher.publish(array)

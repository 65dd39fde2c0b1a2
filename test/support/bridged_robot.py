# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A node beside a running bridge, for what it asks of the bridge."""

from __future__ import annotations

from typing import Any

from gateway_client import GatewayClient
from rclpy.action import ActionClient


class BridgedRobot:
    """A node beside a running bridge, and the gateway that it reports to."""

    def __init__(self, graph: Any, gateway: GatewayClient, bridge: Any):
        self.graph = graph
        self.gateway = gateway
        self.bridge = bridge

    def call(self, kind: Any, service: str, **fields: Any) -> Any:
        return self.graph.call(kind, f'/plexus_bridge/{service}', kind.Request(**fields))

    def commands(self) -> list[str]:
        return [command['name'] for command in
                self.gateway.get('/v1/sources/robot-1/commands')['commands']]

    def goal(self, kind: Any, name: str, feedback: list[Any], **fields: Any) -> Any:
        client = ActionClient(self.graph.node, kind, f'/plexus_bridge/{name}')
        self.graph.spin_until(client.server_is_ready, f'{name} is offered')
        sent = client.send_goal_async(
            kind.Goal(**fields), feedback_callback=lambda msg: feedback.append(msg.feedback))
        self.graph.spin_until(sent.done, 'the goal is taken')
        return sent.result()

    def result(self, handle: Any) -> Any:
        future = handle.get_result_async()
        self.graph.spin_until(future.done, f'the goal has ended; {self.bridge.output}')
        return future.result().result

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A node of the test's own on the same graph as the processes that it starts."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import time
from typing import Any
import warnings

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

# rosidl_generator_py brings a lark that imports what Python 3.11 calls deprecated. That is not our
# business, but warnings are errors in our tests; imported once, it warns no more.
with warnings.catch_warnings():
    warnings.simplefilter('ignore', DeprecationWarning)
    import rosidl_generator_py  # noqa: F401


class Graph:
    """A node and its executor; everything happens within `spin_until`, on the test's thread."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor):
        self.node = node
        self._executor = executor

    def collect(self, kind: type[Any], topic: str, qos: Any = 100, *, raw: bool = False,
                ) -> list[Any]:
        """Return a list that grows by what arrives on a topic."""
        arrived: list[Any] = []
        self.node.create_subscription(kind, topic, arrived.append, qos, raw=raw)
        return arrived

    def spin_until(
            self, condition: Callable[[], object], what: str, seconds: float = 20.0, *,
            look_s: float = 0.05) -> None:
        """
        Serve the node until the condition holds; fail with `what` after `seconds`.

        It is looked at after each message, and every `look_s` in any case.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f'after {seconds} s still not so: {what}')
            self._executor.spin_once(timeout_sec=look_s)

    def spin_for(self, seconds: float) -> None:
        """Serve the node for some time: only where the test is about time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def call(self, kind: type[Any], service: str, request: Any) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(kind, service)
        self.spin_until(client.service_is_ready, f'service {service} is there')
        future = client.call_async(request)
        self.spin_until(future.done, f'service {service} answers')
        self.node.destroy_client(client)
        return future.result()


@pytest.fixture
def graph(ros_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    """The test's own node, in the domain of `ros_environment`."""
    for name in ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_LOG_DIR'):
        monkeypatch.setenv(name, ros_environment[name])
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node('test', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    yield Graph(node, executor)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)

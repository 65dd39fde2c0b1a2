# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`simulated_robot`: a robot for trying things out, as real on the ROS graph as any other."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import sys
import threading

from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from plexus_bridge.errors import ConfigError
from plexus_bridge.exit_codes import EXIT_CONFIGURATION
from plexus_bridge.ros.simulation import SimulatedRobot
from plexus_bridge.ros.start import parameters_told
from plexus_bridge.ros.start import ros_begun
from plexus_bridge.stopping import StopRequest


def main(args: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    try:
        with ros_begun(args), StopRequest() as stop:
            return _run(stop)
    except ConfigError as error:
        print(f'simulated_robot: {error}', file=sys.stderr)
        return EXIT_CONFIGURATION


def _run(stop: StopRequest) -> int:
    with parameters_told():
        node = Node('simulated_robot')
        robot = SimulatedRobot(node)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=_serve, args=(executor,), name='services')
    thread.start()
    try:
        node.get_logger().info('ready')
        robot.run(stop)
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()
    return 0


def _serve(executor: SingleThreadedExecutor) -> None:
    # When the context goes first, that is the same as being told to stop.
    with contextlib.suppress(ExternalShutdownException):
        executor.spin()


if __name__ == '__main__':
    sys.exit(main())

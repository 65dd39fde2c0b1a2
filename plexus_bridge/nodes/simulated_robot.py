# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`simulated_robot`: a robot for trying things out, as real on the ROS graph as any other."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import sys
import threading

import rclpy
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.exceptions import InvalidParameterValueException
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from plexus_bridge.ros.simulation import SimulatedRobot
from plexus_bridge.stopping import StopRequest

EXIT_CONFIGURATION = 78


def main(args: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        with StopRequest() as stop:
            return _run(stop)
    finally:
        rclpy.try_shutdown()


def _run(stop: StopRequest) -> int:
    node = Node('simulated_robot')
    try:
        robot = SimulatedRobot(node)
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f'simulated_robot: a parameter cannot be used: {error}', file=sys.stderr)
        node.destroy_node()
        return EXIT_CONFIGURATION
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

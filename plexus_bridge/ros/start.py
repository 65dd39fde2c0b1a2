# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS begun and ended around a program of ours, and what it says of wrong arguments told once."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager

import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.exceptions import ParameterException
from rclpy.signals import SignalHandlerOptions

from plexus_bridge.errors import ConfigError


@contextmanager
def ros_begun(args: Sequence[str] | None) -> Iterator[None]:
    """Begin ROS with a command line, its own for None; ConfigError if ROS cannot read it."""
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:  # RCLError and UnknownROSArgsError have public names nowhere
        rclpy.try_shutdown()
        raise ConfigError(
            f'the arguments after --ros-args cannot be used: {error}; expected such as '
            '-p name:=value or -r __ns:=/robot1') from None
    try:
        yield
    finally:
        rclpy.try_shutdown()


@contextmanager
def parameters_told() -> Iterator[None]:
    """Make a ConfigError of what rclpy says of parameters and names while a node is made."""
    try:
        yield
    except (ParameterException, NameValidationException) as error:
        raise ConfigError(
            f'a ROS parameter or name cannot be used: {error}; a text that looks like a number '
            'needs quotes of its own: -p source_id:="\'007\'"') from None

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge play BAG`: publishes a rosbag2 or MCAP recording on the ROS graph."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import math
import sys

from rclpy.node import Node
from rclpy.utilities import remove_ros_args

from plexus_bridge.bags import Bag
from plexus_bridge.errors import BagError
from plexus_bridge.errors import ConfigError
from plexus_bridge.exit_codes import EXIT_CONFIGURATION
from plexus_bridge.ros.playback import Playback
from plexus_bridge.ros.playback import Report
from plexus_bridge.ros.start import parameters_told
from plexus_bridge.ros.start import ros_begun
from plexus_bridge.stopping import StopRequest

FLUSH_S = 10.0
# Subscribers that are there already are matched within this time.
PATIENCE_S = 3.0


def _fail(text: str) -> int:
    print(f'plexus-bridge play: {text}', file=sys.stderr)
    return 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add('bag', metavar='BAG', help='rosbag2 folder, or a single .mcap or .db3 file')
    add('--rate', type=_positive, default=1.0, metavar='N', help='times as fast as recorded')
    add('--loop', action='store_true', help='begin again at the end, until Ctrl+C')
    add('--topics', nargs='+', default=(), metavar='TOPIC', help='only these topics')
    add('--wait-for-subscribers', type=float, default=None, metavar='SECONDS',
        help='begin when every topic has one; fail if that takes longer (default: wait up to '
             f'{PATIENCE_S:g} s, then play to whoever is there)')
    add('--clock', action='store_true', help="publish the recording's time on /clock")


def _positive(text: str) -> float:
    value = float(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f'{text} is not greater than 0')
    return value


def run(args: argparse.Namespace, ros_args: Sequence[str] | None = None) -> int:
    """Play until the end, SIGINT or SIGTERM; return the exit code."""
    try:
        with Bag(args.bag) as bag, StopRequest() as stop:
            bag.messages(args.topics)  # names that are not there are told before ROS is started
            with ros_begun(ros_args or []):
                with parameters_told():
                    node = Node('plexus_play')
                try:
                    return _play(args, Playback(
                        node, bag, args.topics, rate=args.rate, clock=args.clock), bag, stop)
                finally:
                    node.destroy_node()
    except BagError as error:
        return _fail(str(error))
    except ConfigError as error:
        _fail(str(error))
        return EXIT_CONFIGURATION


def _play(args: argparse.Namespace, playback: Playback, bag: Bag, stop: StopRequest) -> int:
    for topic, reason in playback.skipped.items():
        print(f'plexus-bridge play: {topic} is skipped: {reason}', file=sys.stderr)
    if not playback.topics:
        return _fail(f'{bag.path}: nothing of it can be played')
    wanted = args.wait_for_subscribers
    lonely = playback.wait_for_subscribers(stop, PATIENCE_S if wanted is None else wanted)
    if wanted and lonely and not stop.requested:
        return _fail(f'after {wanted:g} s nobody subscribes to '
                     f'{", ".join(lonely)}; leave topics out with --topics')
    report = Report(playback, bag)
    try:
        while not stop.requested:
            playback.play(stop, report.progress)
            if not args.loop or not playback.count:
                break
    finally:
        lacking = playback.flush(1.0 if stop.requested else FLUSH_S)
        report.end()
    if lacking and not stop.requested:
        print(f'plexus-bridge play: not everything was acknowledged on {", ".join(lacking)}: '
              'a subscriber did not keep up or went away', file=sys.stderr)
    return 0


def main() -> int:
    """Run as a program of its own, as `ros2 run` does: ROS arguments are for ROS."""
    parser = argparse.ArgumentParser(prog='play', description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(remove_ros_args(sys.argv)[1:]), sys.argv)


if __name__ == '__main__':
    sys.exit(main())

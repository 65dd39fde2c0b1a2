# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The bridge: a robot's map, the ROS graph and a gateway, put together."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
import sys

from plexus_bridge.errors import ConfigError
from plexus_bridge.errors import JournalError
from plexus_bridge.exit_codes import EXIT_CONFIGURATION
from plexus_bridge.exit_codes import EXIT_FAILURE
from plexus_bridge.ros.bridge import Bridge
from plexus_bridge.ros.bridge import BridgeNode
from plexus_bridge.ros.start import ros_begun
from plexus_bridge.stopping import StopRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``plexus-bridge run``."""
    parser.add_argument('config_file', metavar='MAP', help="the robot's map (YAML)")
    parser.add_argument('--source-id', default='', help="overrides the map's source_id")
    parser.add_argument('--gateway-url', default='', help="overrides the map's gateway url")
    parser.add_argument(
        'ros_args', nargs='*', metavar='ROS_ARG', help='after --: arguments for ROS 2, such as '
        '--ros-args -r __ns:=/robot1')


def run(args: argparse.Namespace) -> int:
    """Run the bridge as ``plexus-bridge run`` asks."""
    given = {'config_file': args.config_file, 'source_id': args.source_id,
             'gateway_url': args.gateway_url}
    # ROS reads values as YAML, of which JSON is a part: 007 and "a: b.yaml" stay what they are.
    parameters = [part for name, value in given.items() if value
                  for part in ('-p', f'{name}:={json.dumps(value)}')]
    return main([sys.argv[0], *args.ros_args, '--ros-args', *parameters])


def main(args: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    try:
        with ros_begun(args), StopRequest() as stop, BridgeNode() as node:
            bridge = Bridge(node)
            bridge.run(stop)
    except ConfigError as error:
        print(f'plexus-bridge cannot start:\n{error}', file=sys.stderr)
        return EXIT_CONFIGURATION
    except JournalError as error:
        print(f'plexus-bridge cannot start: {error}', file=sys.stderr)
        return EXIT_FAILURE
    return 0


if __name__ == '__main__':
    sys.exit(main())

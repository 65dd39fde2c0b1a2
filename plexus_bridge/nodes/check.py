# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge check MAP`: every problem with its line, and what would come out of the map."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import sys

from plexus_bridge.authoring.dry_run import dry_run
from plexus_bridge.authoring.film import film
from plexus_bridge.authoring.film import film_text
from plexus_bridge.authoring.report import problems_text
from plexus_bridge.authoring.report import report_text
from plexus_bridge.authoring.source import BagSource
from plexus_bridge.authoring.source import nothing_in
from plexus_bridge.authoring.source import Source
from plexus_bridge.bags import Bag
from plexus_bridge.config.map import load_map
from plexus_bridge.config.map import RobotMap
from plexus_bridge.errors import BagError
from plexus_bridge.errors import ConfigError
from plexus_bridge.exit_codes import EXIT_CONFIGURATION
from plexus_bridge.exit_codes import EXIT_FAILURE
from plexus_bridge.mapping.layout import Message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('map', metavar='MAP', help="the robot's map (YAML)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--bag', metavar='BAG', help='try the map on a recording; needs no ROS')
    source.add_argument('--live', action='store_true', help='try the map on the running graph')
    parser.add_argument('--strict', action='store_true',
                        help='with --bag or --live: exit 1 if a rule gives nothing')
    parser.add_argument('--seconds', type=float, default=5.0, metavar='S',
                        help='how long --live listens (default: 5)')
    parser.add_argument('--namespace', default='/', metavar='NS', help='with --bag or --live: the '
                        "bridge's namespace, which relative topics follow (default: /)")


def run(args: argparse.Namespace) -> int:
    """
    Check the map; 0 if it is right, 78 if not, 1 if it could not be tried.

    A rule that gives nothing is told, and no more: a recording rarely has all topics of a robot.
    With --strict it makes 1.
    """
    try:
        robot_map = load_map(args.map)
        if args.bag:
            with Bag(args.bag) as bag:
                source = BagSource(bag)
                _check_types(robot_map, source.layout)
                return _try(robot_map, source, args)
        _check_types(robot_map)
        if args.live:
            from plexus_bridge.ros.survey import survey
            with survey(args.seconds) as graph:
                return _try(robot_map, graph, args)
        robot_map.document.raise_problems()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_CONFIGURATION
    except BagError as error:
        print(f'plexus-bridge check: {error}', file=sys.stderr)
        return EXIT_FAILURE
    if not (summary := robot_map.summary()):
        print(f'{args.map}: has no rules, so nothing would be sent; plexus-bridge init '
              'proposes some', file=sys.stderr)
        return 0
    print(f'{args.map}: {summary}: no problem found; with --bag or --live it is tried on '
          'messages, and its paths on their types')
    return 0


def _check_types(robot_map: RobotMap, recorded: Callable[[str], Message] | None = None) -> None:
    typed = any(rule.type for rule in robot_map.metrics) or any(
        rule.type for rule in robot_map.events)
    if not typed and not robot_map.commands:
        return
    try:
        from plexus_bridge.ros.command_check import check_commands
        from plexus_bridge.ros.known_types import check_rule_types
    except ImportError:
        named = ' and '.join([*(['rules with "type:"'] if typed else []),
                              *(['commands'] if robot_map.commands else [])])
        print(f'{named}: there is no ROS 2 here, so their types were not looked at',
              file=sys.stderr)
        return
    for line in (*check_rule_types(robot_map, recorded),
                 *(f'command {line}' for line in check_commands(robot_map, recorded))):
        print(f'{line}, so it was not looked at', file=sys.stderr)


def _try(robot_map: RobotMap, source: Source, args: argparse.Namespace) -> int:
    if not source.topics:
        raise BagError(nothing_in(source))
    result = dry_run(robot_map, source, namespace=args.namespace)
    print('\n'.join(report_text(robot_map, result, source)))
    cameras = film(robot_map.video, source, result.counters, namespace=args.namespace)
    for line in film_text(cameras, source.seconds):
        print(line)
    problems = list(problems_text(robot_map, result))
    if problems:
        print('\n'.join(problems), file=sys.stderr)
        return EXIT_CONFIGURATION
    silent = sum(bool(rule.nothing) for rule in result.rules) \
        + sum(not camera.pictures for camera in cameras)
    if args.strict and silent:
        print(f'plexus-bridge check: {silent} rule{" gives" if silent == 1 else "s give"} '
              'nothing, see above', file=sys.stderr)
        return EXIT_FAILURE
    return 0

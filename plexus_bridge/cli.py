# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line, `plexus-bridge COMMAND`: a table of commands, each loaded only when used."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import importlib
import os
import select
import sys
from typing import cast
from typing import NamedTuple
from typing import Protocol

from plexus_bridge import __version__
from plexus_bridge.exit_codes import EXIT_FAILURE
from plexus_bridge.exit_codes import EXIT_INTERRUPTED
from plexus_bridge.exit_codes import EXIT_OUTPUT_CLOSED

_STDOUT = 1


class Command(NamedTuple):
    """One row of the table. The module offers `add_arguments` and `run`, see `CommandModule`."""

    module: str
    help: str


class CommandModule(Protocol):
    """What the module of a command offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's own arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Carry the command out and return the exit code of the process."""


COMMANDS = {
    'init': Command('plexus_bridge.nodes.init', 'write a map for a robot or a recording'),
    'check': Command('plexus_bridge.nodes.check', 'check a map, try it on messages'),
    'pair': Command('plexus_bridge.client.pairing', 'fetch a key from a gateway and keep it'),
    'run': Command('plexus_bridge.nodes.bridge', 'bridge a robot to a gateway by a map'),
    'gateway': Command('plexus_bridge.gateway.serve', 'serve a gateway on this machine'),
    'demo': Command('plexus_bridge.nodes.demo', 'start a gateway, a simulated robot and a bridge'),
    'play': Command('plexus_bridge.nodes.play', 'publish a recording, rosbag2 or MCAP, with ROS'),
}


class Library(NamedTuple):
    """Where an import that is not there can be had from."""

    package: str
    extra: str | None
    # Set where the package of Debian 12 and Ubuntu 24.04 is older than setup.py asks for.
    at_least: str = ''


# By top-level import. No extra: the library belongs to every installation.
LIBRARIES = {
    'can': Library('python3-can', 'hardware'),
    'cantools': Library('', 'hardware'),
    'cv2': Library('python3-opencv', 'images'),
    'fastapi': Library('python3-fastapi', 'gateway', '0.110'),
    'jsonschema': Library('python3-jsonschema', None),
    'numpy': Library('python3-numpy', None),
    'paho': Library('python3-paho-mqtt', 'hardware'),
    'requests': Library('python3-requests', None),
    'rosbags': Library('', 'bags'),
    'smbus2': Library('python3-smbus2', 'hardware'),
    'uvicorn': Library('python3-uvicorn', 'gateway', '0.46'),
    'websocket': Library('python3-websocket', None),
    'websockets': Library('python3-websockets', 'gateway', '12'),
    'yaml': Library('python3-yaml', None),
}

# Top-level imports that ROS 2 brings. An `*_msgs` package is one, too.
ROS_IMPORTS = frozenset({
    'ament_index_python', 'builtin_interfaces', 'launch', 'launch_ros', 'rcl_interfaces', 'rclpy',
    'rosidl_parser', 'std_srvs',
})


def missing_import_message(command: str, error: ImportError) -> str | None:
    """Say what to do about an import that failed; None when it is nothing that a user can cure."""
    name = (error.name or '').partition('.')[0]
    if name == 'plexus_msgs':
        return (f"'{command}' needs the package plexus_msgs, which is not built here ({error}). "
                'Call `make env`, or build it with colcon and source install/setup.bash.')
    if name in ROS_IMPORTS or name.endswith('_msgs'):
        return (f"'{command}' needs ROS 2, and Python finds no {name} ({error}). Source ROS 2 "
                '(. /opt/ros/DISTRO/setup.bash), or call `make env` and use '
                '.venv/bin/plexus-bridge.')
    if name in LIBRARIES:
        return (f"'{command}' needs the Python library {name} ({error}). "
                + where_from(LIBRARIES[name]))
    return None


def where_from(library: Library) -> str:
    """Say how to install a library."""
    by_pip = ('in the source folder of plexus_bridge: '
              + (f"pip install '.[{library.extra}]'" if library.extra else 'pip install .'))
    if not library.package:
        return f'Call, {by_pip}'
    if library.at_least:
        return (f'Call, {by_pip} -- or install {library.package} by apt, if it is '
                f'{library.at_least} or newer there: Debian 12 and Ubuntu 24.04 are too old')
    return f'Call: apt install {library.package} -- or, {by_pip}'


def parser_for(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Build the parser. Only the command that `argv` names is loaded and has its arguments."""
    parser = argparse.ArgumentParser(
        prog='plexus-bridge', description='The ROS 2 side of the Plexus telemetry platform.')
    parser.add_argument('--version', action='version', version=f'plexus-bridge {__version__}')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for name, command in COMMANDS.items():
        of_command = commands.add_parser(name, help=command.help, description=command.help)
        if argv and argv[0] == name:
            load(name).add_arguments(of_command)
    return parser


def load(name: str) -> CommandModule:
    """Import the module of a command. Raises ImportError when something it needs is not there."""
    return cast('CommandModule', importlib.import_module(COMMANDS[name].module))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 ok, 1 failure, 2 usage, 78 configuration."""
    argv = sys.argv[1:] if argv is None else argv
    try:
        args = parser_for(argv).parse_args(argv)
        code = load(args.command).run(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        return EXIT_OUTPUT_CLOSED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ImportError as error:
        message = missing_import_message(argv[0], error)
        if message is None:
            raise
        print(f'plexus-bridge: {message}', file=sys.stderr)
        return EXIT_FAILURE


def _nobody_reads() -> bool:
    """Tell whether the output's reader has gone, such as ``| head``; then throw away the rest."""
    poll = select.poll()
    poll.register(_STDOUT, 0)
    if not any(state & select.POLLERR for _, state in poll.poll(0)):
        return False
    # The interpreter flushes once more as it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
    return True


if __name__ == '__main__':
    sys.exit(main())

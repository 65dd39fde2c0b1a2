# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge demo`: everything on one machine, with one command."""

from __future__ import annotations

import argparse
import math
import os
import sys

from plexus_bridge.demo.demo import Demo
from plexus_bridge.errors import DemoError
from plexus_bridge.stopping import StopRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        '--seconds', type=float, default=math.inf, metavar='N',
        help='end by itself after so long (default: until Ctrl+C)')
    parser.add_argument(
        '--port', type=int, default=8787, help='port of the gateway (default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Run the demo; return the exit code."""
    with StopRequest() as stop:
        try:
            Demo(args.port, os.environ).run(stop, args.seconds)
        except (DemoError, FileNotFoundError) as error:
            print(f'plexus-bridge demo: {error}', file=sys.stderr)
            return 1
    return 0

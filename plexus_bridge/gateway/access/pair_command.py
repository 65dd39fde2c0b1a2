# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge gateway pair`: a code for a device, or a decision about one that shows a code."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
import sys

from plexus_bridge.errors import RequestError
from plexus_bridge.exit_codes import EXIT_FAILURE
from plexus_bridge.gateway.access import device_codes
from plexus_bridge.gateway.access import pairing
from plexus_bridge.gateway.access.key_options import add_folder_argument
from plexus_bridge.gateway.access.key_options import add_key_arguments
from plexus_bridge.gateway.access.key_options import changed
from plexus_bridge.gateway.access.key_options import key_request
from plexus_bridge.gateway.instants import wall_ms


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the key that the device gets, and those of a decision."""
    parser.epilog = ('Without --approve and --deny it prints a code, which counts once and for '
                     f'{pairing.VALID_S // 60} minutes.')
    add_folder_argument(parser)
    add_key_arguments(parser, receive_commands=True)
    decision = parser.add_mutually_exclusive_group()
    decision.add_argument('--approve', metavar='CODE', help='let in the device that shows CODE')
    decision.add_argument('--deny', metavar='CODE', help='turn away the device that shows CODE')


def run(args: argparse.Namespace, database: Path, key_file: Path) -> int:
    """Carry out what is asked for; StoreError if the database cannot be used."""
    now_ms = wall_ms()
    wanted = key_request(args, now_ms)
    try:
        with changed(database) as connection:
            if args.approve or args.deny:
                name = device_codes.decide(
                    connection, args.approve or args.deny, wanted if args.approve else None,
                    now_ms)
            else:
                begun = pairing.begin(connection, wanted, now_ms)
    except RequestError as error:
        print(f'plexus-bridge gateway pair: {error}', file=sys.stderr)
        return EXIT_FAILURE
    if args.approve or args.deny:
        print(f'{"approved" if args.approve else "denied"}: {name or "a device without a name"}')
        return 0
    until = datetime.fromtimestamp(begun.expires_ms / 1000)
    print(begun.code)
    print(f'Counts once, until {until:%H:%M:%S}. On the robot call:\n'
          f'    plexus-bridge pair --code {begun.code} --gateway http://ADDRESS:PORT\n'
          'with the address of this gateway; on this machine --gateway may be left out.',
          file=sys.stderr)
    return 0

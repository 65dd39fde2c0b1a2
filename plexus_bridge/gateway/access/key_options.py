# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the command line says of a key that shall be made, and the database it is made in."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
from pathlib import Path
import re
import sqlite3

from plexus_bridge.errors import PointError
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.access.keys import DEFAULT_SCOPES
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import SCOPES
from plexus_bridge.gateway.storage.schema import open_writer
from plexus_bridge.gateway.storage.schema import transaction
from plexus_bridge.gateway.storage.windows import UNIT_MS
from plexus_bridge.points import check_source_id


def add_folder_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the gateway's folder; before the action it counts as well."""
    parser.add_argument('--data', type=Path, metavar='DIR', default=argparse.SUPPRESS,
                        help='folder of the gateway (default: as for the gateway itself)')


def add_key_arguments(
        parser: argparse.ArgumentParser, *, receive_commands: bool = False) -> None:
    """Add the options that say what a key allows; `receive_commands` is the default of that."""
    parser.add_argument('--name', type=_name, default='', help='what the key is for, as listed')
    parser.add_argument(
        '--scope', action='append', choices=SCOPES, metavar='SCOPE', dest='scopes',
        help="write (send and command), read, or '*' (all, and making keys); may be given more "
             'than once; default: write')
    parser.add_argument(
        '--source-id', type=_source_id, metavar='SLUG', dest='source_id',
        help='limit the key to one device')
    parser.add_argument(
        '--receive-commands', action=argparse.BooleanOptionalAction, dest='receive_commands',
        default=receive_commands, help='let devices with this key declare commands, or not; '
        f'default: {"let them" if receive_commands else "not"}')
    parser.add_argument(
        '--expires', type=_duration, metavar='TIME', dest='expires_ms',
        help='after which the key is no longer accepted: 30m, 12h, 90d; default: never')


def key_request(args: argparse.Namespace, now_ms: int) -> KeyRequest:
    """Return the key that the options ask for."""
    return KeyRequest(
        args.name, frozenset(args.scopes or ()) or DEFAULT_SCOPES, args.receive_commands,
        args.source_id, None if args.expires_ms is None else now_ms + args.expires_ms)


@contextlib.contextmanager
def changed(database: Path) -> Iterator[sqlite3.Connection]:
    """
    Give the database's connection inside of one transaction, beside a gateway that may run.

    StoreError if there is no database, or it cannot be changed.
    """
    if not database.exists():
        raise StoreError(
            f'{database}: is not there; start the gateway once (plexus-bridge gateway), or name '
            'its folder with --data')
    with contextlib.closing(open_writer(database)) as connection:
        try:
            with transaction(connection):
                yield connection
        except sqlite3.Error as error:
            raise StoreError(f'{database}: cannot be changed: {error}') from None


def _duration(text: str) -> int:
    found = re.fullmatch('([1-9][0-9]{0,6})([mhd])', text)
    if not found:
        raise argparse.ArgumentTypeError(f'saw {text!r}, expected a time such as 30m, 12h or 90d')
    return int(found[1]) * UNIT_MS[found[2]]


def _name(text: str) -> str:
    if len(text) > 200 or not text.isprintable():
        raise argparse.ArgumentTypeError('expected at most 200 characters that can be printed')
    return text


def _source_id(text: str) -> str:
    try:
        return check_source_id(text, refuse_uuid=True)
    except PointError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

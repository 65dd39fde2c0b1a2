# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge gateway keys`: keys made, listed and revoked, beside a gateway that may run."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path
import sys

from plexus_bridge.exit_codes import EXIT_FAILURE
from plexus_bridge.gateway.access.key_options import add_folder_argument
from plexus_bridge.gateway.access.key_options import add_key_arguments
from plexus_bridge.gateway.access.key_options import changed
from plexus_bridge.gateway.access.key_options import key_request
from plexus_bridge.gateway.access.keys import create_key
from plexus_bridge.gateway.access.keys import digest
from plexus_bridge.gateway.access.keys import revoke_key
from plexus_bridge.gateway.access.listing import list_keys
from plexus_bridge.gateway.access.listing import ListedKey
from plexus_bridge.gateway.instants import wall_ms

_HEAD = ('ID', 'KEY', 'NAME', 'SCOPES', 'DEVICE', 'COMMANDS', 'CREATED', 'EXPIRES', 'STATE')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `create`, `list` and `revoke`."""
    parser.epilog = ('A gateway that runs takes new keys at once; it refuses revoked ones, and '
                     'drops their sockets, within 2 seconds.')
    actions = parser.add_subparsers(dest='keys_action', required=True, metavar='ACTION')
    create = actions.add_parser('create', help='make a key and print it: it is shown only now')
    add_key_arguments(create)
    listing = actions.add_parser('list', help='list all keys, without the keys themselves')
    revoke = actions.add_parser('revoke', help='have a key no longer accepted')
    revoke.add_argument('key', help='its ID, or the beginning of it, as listed')
    for each in (create, listing, revoke):
        add_folder_argument(each)


def run(args: argparse.Namespace, database: Path, key_file: Path) -> int:
    """Carry out the action; StoreError if the database cannot be used."""
    if args.keys_action == 'create':
        return _create(args, database)
    if args.keys_action == 'revoke':
        return _revoke(args.key, database, key_file)
    return _list(database)


def _create(args: argparse.Namespace, database: Path) -> int:
    now_ms = wall_ms()
    with changed(database) as connection:
        key = create_key(connection, key_request(args, now_ms), now_ms)
    print(key)
    print('This key is shown only now; the gateway keeps its SHA-256 alone.', file=sys.stderr)
    return 0


def _list(database: Path) -> int:
    with changed(database) as connection:
        listed = list_keys(connection)
    rows = [_HEAD, *(_row(each, wall_ms()) for each in listed)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print('  '.join(map(str.ljust, row, widths)).rstrip())
    return 0


def _revoke(wanted: str, database: Path, key_file: Path) -> int:
    with changed(database) as connection:
        found = [each.key for each in list_keys(connection) if each.revoked_ms is None
                 and wanted in (str(each.key.id), each.key.prefix)]
        if len(found) != 1:
            print(f'plexus-bridge gateway keys: saw {wanted!r}, which is '
                  f'{"no key" if not found else "more than one key"} that is accepted; expected '
                  'the ID of one, see `plexus-bridge gateway keys list`', file=sys.stderr)
            return EXIT_FAILURE
        revoke_key(connection, found[0].id, wall_ms())
        [sha256] = connection.execute(
            'SELECT sha256 FROM api_key WHERE id = ?', (found[0].id,)).fetchone()
    print(f'revoked: {found[0].prefix}… {found[0].name}'.rstrip())
    if _key_in(key_file) == bytes(sha256):
        print(f'It is the key in {key_file}: the next start of the gateway puts a new one there.')
    return 0


def _key_in(key_file: Path) -> bytes:
    try:
        return digest(key_file.read_text(encoding='ascii').strip())
    except (OSError, UnicodeDecodeError):
        return b''


def _row(each: ListedKey, now_ms: int) -> tuple[str, ...]:
    key = each.key
    return (str(key.id), f'{key.prefix}…', key.name or '-', ' '.join(sorted(key.scopes)),
            key.source_id or 'all', 'yes' if key.receive_commands else 'no',
            _day(each.created_ms), _day(key.expires_ms), each.state(now_ms))


def _day(stamp_ms: int | None) -> str:
    return '-' if stamp_ms is None else f'{datetime.fromtimestamp(stamp_ms / 1000):%Y-%m-%d %H:%M}'

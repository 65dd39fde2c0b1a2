# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
`plexus-bridge gateway`: opens the folder, binds the address, serves until told to stop.

The web libraries are loaded only when everything else is in order; they are an extra.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import fcntl
import ipaddress
import os
from pathlib import Path
import resource
import socket
import sys
from typing import NamedTuple

from plexus_bridge.errors import ServeError
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway import limits
from plexus_bridge.gateway.access import key_command
from plexus_bridge.gateway.access import pair_command
from plexus_bridge.gateway.access.first_key import ensure_first_key
from plexus_bridge.gateway.access.first_key import FirstKey
from plexus_bridge.gateway.access.keys import KeyRing
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.storage.retention import Retention
from plexus_bridge.gateway.storage.schema import open_writer
from plexus_bridge.gateway.storage.store import Store

DEFAULT_HOST = '127.0.0.1'
DEFAULT_PORT = 8787
DATABASE_NAME = 'gateway.db'
KEY_NAME = 'key'
LOCK_NAME = 'gateway.lock'
BACKLOG = 1024
DAY_MS = 86_400_000


class Action(NamedTuple):
    """Something to do with a gateway's folder other than serving."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Path, Path], int]


ACTIONS = {
    'keys': Action('make, list and revoke keys', key_command.add_arguments, key_command.run),
    'pair': Action('print a code with which a device fetches a key, or decide about a device '
                   'that shows a code', pair_command.add_arguments, pair_command.run),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        '--host', default=DEFAULT_HOST,
        help='address to listen on; the default, %(default)s, is reached from this machine only')
    parser.add_argument(
        '--port', type=_port, default=DEFAULT_PORT,
        help='default: %(default)s; 0 takes a free one')
    parser.add_argument(
        '--data', type=Path, metavar='DIR',
        help='folder of database and key (default: gateway/ in PLEXUS_HOME or ~/.plexus)')
    parser.add_argument(
        '--keep-days', type=_above_zero, metavar='DAYS',
        help='delete what is older, by its own stamps, recordings too (default: keep everything)')
    parser.add_argument(
        '--max-gb', type=_above_zero, metavar='GB',
        help='delete the oldest when the database grows larger (default: keep everything)')
    limits.add_arguments(parser)
    parser.add_argument(
        '--no-results', action='store_true',
        help='keep the states of commands alone, and have devices withhold what they return')
    actions = parser.add_subparsers(
        dest='action', metavar='ACTION', title='instead of serving, for a gateway that may run')
    for name, action in ACTIONS.items():
        of_action = actions.add_parser(name, help=action.help, description=action.help)
        action.add_arguments(of_action)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM, or carry out an action; returns the exit code."""
    folder: Path = args.data or default_folder()
    try:
        if args.action is None:
            _serve(args, folder)
            return 0
        return ACTIONS[args.action].run(args, folder / DATABASE_NAME, folder / KEY_NAME)
    except (ServeError, StoreError) as error:
        print(f'plexus-bridge gateway: {error}', file=sys.stderr)
        return 1


def _serve(args: argparse.Namespace, folder: Path) -> None:
    """Serve until SIGINT or SIGTERM. ImportError where the extra is not installed."""
    from plexus_bridge.gateway.gateway import Gateway
    from plexus_bridge.gateway.gateway import Settings
    from plexus_bridge.gateway.server import serve

    kept = Retention(
        None if args.keep_days is None else round(args.keep_days * DAY_MS),
        None if args.max_gb is None else round(args.max_gb * 1e9))
    allow_many_connections()
    with locked_folder(folder), bound_socket(args.host, args.port) as listener:
        first_key, keys, store = open_folder(folder)
        warn_if_exposed(listener)
        settings = Settings(limits.limits_of(args), store_results=not args.no_results)
        gateway = Gateway(store, keys, kept, settings=settings)
        serve(gateway, listener, lambda: announce(listener, folder, first_key))


def allow_many_connections() -> None:
    """Use as many open files as this process may have: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> int:
    """Run as a program of its own."""
    parser = argparse.ArgumentParser(
        prog='gateway', description='Serve the local gateway until Ctrl+C.')
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except ImportError as error:
        print(f"gateway: {error}; it needs the libraries of the extra 'gateway': in the source "
              "folder of plexus_bridge call pip install '.[gateway]'", file=sys.stderr)
        return 1


def default_folder() -> Path:
    """Return the gateway's folder in the state folder of this user."""
    home = os.environ.get('PLEXUS_HOME')
    return (Path(home) if home else Path.home() / '.plexus') / 'gateway'


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Make the folder and hold it, so that no second gateway uses the same database."""
    try:
        # Each folder that is made is private: data and key lie below it.
        for part in (*reversed(folder.parents), folder):
            if not part.exists():
                part.mkdir(mode=0o700)
        lock = (folder / LOCK_NAME).open('a+')
    except OSError as error:
        raise ServeError(
            f'{folder}: cannot be used for the data: {error.strerror}; name a folder '
            'that you may write to with --data') from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read(20).strip()
            raise ServeError(
                f'{folder}: is in use by another gateway{f" (process {holder})" if holder else ""}'
                '; stop that one, or name another folder with --data') from None
        lock.truncate(0)
        lock.write(f'{os.getpid()}\n')
        lock.flush()
        yield


@contextlib.contextmanager
def bound_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Bind the address; ServeError if it is taken or not one of this machine."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, OverflowError, UnicodeError) as error:
        raise ServeError(f'{host}:{port}: is no address to listen on: {error}') from None
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            # From here on connections wait in line instead of being refused.
            listener.listen(BACKLOG)
        except (OSError, OverflowError) as error:
            reason = getattr(error, 'strerror', None) or error
            raise ServeError(
                f'{host}:{port}: cannot be listened on: {reason}; stop the other program, or '
                'choose another port with --port') from None
        yield listener


def open_folder(folder: Path) -> tuple[FirstKey, KeyRing, Store]:
    """Open the folder's key and database; StoreError if they cannot be used."""
    path = folder / DATABASE_NAME
    with contextlib.closing(open_writer(path)) as connection:
        now_ms = wall_ms()
        first_key = ensure_first_key(connection, folder / KEY_NAME, now_ms)
        keys = KeyRing(connection)
    return first_key, keys, Store(path)


def warn_if_exposed(listener: socket.socket) -> None:
    """Say on stderr what it means to listen on an address that others can reach."""
    host = listener.getsockname()[0]
    if not ipaddress.ip_address(host.partition('%')[0]).is_loopback:
        print(
            f'WARNING: {host} can be reached by other machines, and what they send is not '
            'encrypted: whoever can listen on the network reads the API key and the data, and '
            'with the key can read and write everything. Use it in a network that you trust, or '
            'stay on 127.0.0.1 behind an SSH tunnel or a TLS proxy.', file=sys.stderr, flush=True)


def announce(listener: socket.socket, folder: Path, first_key: FirstKey) -> None:
    """Print where the gateway is, where the key is, and how a bridge gets here."""
    host, port = listener.getsockname()[:2]
    shown = f'[{host}]' if ':' in host else host
    key_path = folder / KEY_NAME
    print(f'Plexus gateway   http://{shown}:{port}')
    print(f'device socket    ws://{shown}:{port}/ws/device')
    print(f'database         {folder / DATABASE_NAME}')
    if first_key.done in ('created', 'exchanged', 'renewed'):
        print(f'API key          {first_key.key}')
        print(f'                 shown only now; kept in {key_path}')
    else:
        print(f'API key          in {key_path}')
    if first_key.done == 'exchanged':
        print('                 (the key that was in the file is revoked: this is a new key)')
    if first_key.done == 'renewed':
        print('                 (the key file was missing: this is a new key; older ones go on '
              'being accepted)')
    print(f'point a bridge at it: gateway: {{url: http://{shown}:{port}}} in its map; on this '
          'machine it finds')
    print('the key by itself, on others set PLEXUS_API_KEY. Ctrl+C stops the gateway.', flush=True)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f'saw {text!r}, expected a number from 0 to 65535')
    return int(text)


def _above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f'saw {text!r}, expected a number above 0')
    return number


if __name__ == '__main__':
    sys.exit(main())

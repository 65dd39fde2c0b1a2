# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The first key, which lies in a file beside the database.

The file (0600) lets a bridge on the same machine in without any set-up; whoever can read it can
read the database beside it as well.
"""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import re
import sqlite3

from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.access.keys import digest
from plexus_bridge.gateway.access.keys import KEY_PREFIX
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import new_key
from plexus_bridge.gateway.access.keys import register_key

_KEY = re.compile(r'[!-~]{8,256}')
_WANTED = KeyRequest('first key', frozenset({'*'}), receive_commands=True)


@dataclass(frozen=True)
class FirstKey:
    """The key in the file, and what had to be done for it: empty if nothing."""

    key: str
    done: str


def ensure_first_key(connection: sqlite3.Connection, path: Path, now_ms: int) -> FirstKey:
    """
    Return the key of the file `path`, making whatever is missing of file and database entry.

    StoreError if the file cannot be read or written or holds no key.
    """
    try:
        if not path.exists():
            lost = connection.execute('SELECT count(*) FROM api_key').fetchone()[0]
            return FirstKey(_make(connection, path, now_ms), 'renewed' if lost else 'created')
        key = path.read_text(encoding='ascii', errors='replace').strip()
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise StoreError(
            f'{path}: cannot be used as the file of the API key: {error.strerror}') from None
    if not _KEY.fullmatch(key):
        raise StoreError(
            f'{path}: saw no API key, expected one line such as {KEY_PREFIX}…; remove the file '
            'and a new key is made')
    row = connection.execute(
        'SELECT revoked_ms FROM api_key WHERE sha256 = ?', (digest(key),)).fetchone()
    if row is None:
        register_key(connection, key, _WANTED, now_ms)
        return FirstKey(key, 'registered')
    if row[0] is not None:
        # Revoked on purpose: this is how the first key is exchanged for another.
        return FirstKey(_make(connection, path, now_ms), 'exchanged')
    return FirstKey(key, '')


def _make(connection: sqlite3.Connection, path: Path, now_ms: int) -> str:
    key = new_key()
    register_key(connection, key, _WANTED, now_ms)
    try:
        _write_private(path, key)
    except OSError as error:
        raise StoreError(
            f'{path}: cannot be used as the file of the API key: {error.strerror}') from None
    return key


def _write_private(path: Path, key: str) -> None:
    # Created with its mode, not given it afterwards: nobody may read it in between.
    part = path.with_name(f'.{path.name}.{os.getpid()}')
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, 'w', encoding='ascii') as file:
        file.write(key + '\n')
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)

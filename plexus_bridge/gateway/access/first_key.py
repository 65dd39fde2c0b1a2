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
from plexus_bridge.gateway.access.keys import KEY_PREFIX
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import KeyRing
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
            key = new_key()
            lost = connection.execute('SELECT count(*) FROM api_key').fetchone()[0]
            register_key(connection, key, _WANTED, now_ms)
            _write_private(path, key)
            return FirstKey(key, 'renewed' if lost else 'created')
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
    known = KeyRing(connection).find(key)
    if known is None:
        register_key(connection, key, _WANTED, now_ms)
    return FirstKey(key, '' if known else 'registered')


def _write_private(path: Path, key: str) -> None:
    # Created with its mode, not given it afterwards: nobody may read it in between.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, 'w', encoding='ascii') as file:
        file.write(key + '\n')

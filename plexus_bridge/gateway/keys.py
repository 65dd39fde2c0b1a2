# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
API keys (protocol section 2): the database keeps their SHA-256, the first key also lies in a file.

The file (0600) lets a bridge on the same machine in without any set-up; whoever can read it can
read the database beside it as well.
"""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
import hmac
import os
from pathlib import Path
import re
import secrets
import sqlite3
import string

from plexus_bridge.errors import StoreError

KEY_PREFIX = 'plx_'
SHOWN_CHARACTERS = 12

_ALPHABET = string.ascii_letters + string.digits
_RANDOM_CHARACTERS = 32
_KEY = re.compile(r'[!-~]{8,256}')


@dataclass(frozen=True)
class Key:
    """What a key allows; `prefix` is the part of it that may be shown."""

    prefix: str
    scopes: frozenset[str]

    def allows(self, scope: str) -> bool:
        """Tell whether the key has this scope; ``*`` has all (section 2.3)."""
        return scope in self.scopes or '*' in self.scopes


class KeyRing:
    """The keys of one database, read once; all of them are compared, always in the same time."""

    def __init__(self, connection: sqlite3.Connection):
        self._keys = [
            (bytes(digest), Key(prefix, frozenset(scopes.split())))
            for digest, prefix, scopes in connection.execute(
                'SELECT sha256, prefix, scopes FROM api_key')]

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, key: str) -> Key | None:
        """Return what a key allows, None if there is no such key."""
        digest = _digest(key)
        found = None
        for known, allowed in self._keys:
            if hmac.compare_digest(known, digest):
                found = allowed
        return found


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
            _register(connection, key, now_ms)
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
        _register(connection, key, now_ms)
    return FirstKey(key, '' if known else 'registered')


def new_key() -> str:
    """Return a random key (section 2.1)."""
    return KEY_PREFIX + ''.join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


def _register(connection: sqlite3.Connection, key: str, now_ms: int) -> None:
    connection.execute(
        'INSERT INTO api_key (sha256, prefix, scopes, created_ms) VALUES (?, ?, ?, ?)',
        (_digest(key), key[:SHOWN_CHARACTERS], '*', now_ms))


def _write_private(path: Path, key: str) -> None:
    # Created with its mode, not given it afterwards: nobody may read it in between.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, 'w', encoding='ascii') as file:
        file.write(key + '\n')


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors='surrogatepass')).digest()

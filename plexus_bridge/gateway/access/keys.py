# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
API keys and device tokens (protocol section 2): the database keeps their SHA-256 alone.

A device token is a key with another prefix: one that pairing gave to one device.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
import hashlib
import hmac
import secrets
import sqlite3
import string

from plexus_bridge.errors import AccessError
from plexus_bridge.gateway.instants import wall_ms

KEY_PREFIX = 'plx_'
TOKEN_PREFIX = 'plxd_'
SHOWN_CHARACTERS = 12
ORGANISATION = 'local'  # there is one on a machine
SCOPES = ('write', 'read', '*')
DEFAULT_SCOPES = frozenset({'write'})  # of a key without any (section 2.3)

_ALPHABET = string.ascii_letters + string.digits
_RANDOM_CHARACTERS = 32


@dataclass(frozen=True)
class Key:
    """
    What a key allows; `prefix` is the part of it that may be shown.

    `source_id` is the one source that it may act for, None for every; `expires_ms` is Unix ms.
    """

    id: int
    prefix: str
    name: str = ''
    scopes: frozenset[str] = DEFAULT_SCOPES
    receive_commands: bool = False
    source_id: str | None = None
    expires_ms: int | None = None

    def allows(self, scope: str) -> bool:
        """Tell whether the key has this scope; ``*`` has all (section 2.3)."""
        return scope in self.scopes or '*' in self.scopes

    def may_act_for(self, source_id: str) -> bool:
        """Tell whether the key may send as, or command, this source."""
        return self.source_id is None or self.source_id == source_id

    def require(self, source_id: str) -> None:
        """Raise AccessError 403 unless the key may act for this source."""
        if not self.may_act_for(source_id):
            raise AccessError(403, 'API key is limited to another device')

    def valid_at(self, now_ms: int) -> bool:
        """Tell whether the key has not expired by then."""
        return self.expires_ms is None or now_ms < self.expires_ms


Entry = tuple[bytes, Key]


class KeyRing:
    """
    The keys that are accepted, in memory; used on the event loop alone.

    All of them are compared for every question, always in the same time, and one that is unknown,
    revoked or expired gets the same answer.
    """

    def __init__(self, connection: sqlite3.Connection):
        self._entries = read_entries(connection)
        self._held: dict[object, tuple[Key, Callable[[], None]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: str, now_ms: int | None = None) -> Key | None:
        """Return what a key or token allows, None if there is no such key or it has expired."""
        now_ms = wall_ms() if now_ms is None else now_ms
        asked = digest(key)
        found = None
        for known, allowed in self._entries:
            if hmac.compare_digest(known, asked) and allowed.valid_at(now_ms):
                found = allowed
        return found

    def admit(self, key: str | None, scope: str | None, source_id: str | None = None) -> Key:
        """
        Return the key if it has the scope and may act for the source, else raise AccessError.

        Its status is 401 for a key that is missing or not accepted, 403 for one that may not.
        """
        if not key:
            raise AccessError(401, 'missing API key: expected the header x-api-key')
        found = self.find(key)
        if found is None:
            raise AccessError(401, 'invalid API key')
        if scope is not None and not found.allows(scope):
            raise AccessError(403, f'API key lacks {scope} scope')
        if source_id is not None:
            found.require(source_id)
        return found

    @contextlib.contextmanager
    def held(self, key: Key, drop: Callable[[], None]) -> Iterator[None]:
        """Have `drop` called, once, if the key is revoked or expires meanwhile: for sockets."""
        token = object()
        self._held[token] = (key, drop)
        try:
            yield
        finally:
            self._held.pop(token, None)

    def renew(self, entries: Sequence[Entry], now_ms: int) -> None:
        """Take over what the database holds now; drops whoever holds a key that is gone."""
        self._entries = list(entries)
        valid = {key.id for _, key in entries if key.valid_at(now_ms)}
        for token, (key, drop) in list(self._held.items()):
            if key.id not in valid:
                del self._held[token]
                drop()


def read_entries(connection: sqlite3.Connection) -> list[Entry]:
    """Return every key that was not revoked, by its SHA-256."""
    return [
        (bytes(sha256), Key(number, prefix, name, frozenset(scopes.split()) or DEFAULT_SCOPES,
                            bool(receive_commands), source_id, expires_ms))
        for sha256, number, prefix, name, scopes, receive_commands, source_id, expires_ms
        in connection.execute(
            'SELECT sha256, id, prefix, name, scopes, receive_commands, source_id, expires_ms '
            'FROM api_key WHERE revoked_ms IS NULL')]


@dataclass(frozen=True)
class KeyRequest:
    """
    What a new key shall allow, see `Key`; `prefix` is KEY_PREFIX or TOKEN_PREFIX.

    `parent` is the number of the key that it comes from and is revoked with, None for its own.
    """

    name: str = ''
    scopes: frozenset[str] = DEFAULT_SCOPES
    receive_commands: bool = False
    source_id: str | None = None
    expires_ms: int | None = None
    prefix: str = KEY_PREFIX
    parent: int | None = None


def create_key(connection: sqlite3.Connection, wanted: KeyRequest, now_ms: int) -> str:
    """Make a key and return it: the only time that anybody sees it."""
    key = new_key(wanted.prefix)
    register_key(connection, key, wanted, now_ms)
    return key


def register_key(
        connection: sqlite3.Connection, key: str, wanted: KeyRequest, now_ms: int) -> None:
    """Enter a key that exists already."""
    connection.execute(
        'INSERT INTO api_key (sha256, prefix, name, scopes, receive_commands, source_id, '
        'expires_ms, created_ms, parent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
        (digest(key), key[:SHOWN_CHARACTERS], wanted.name, ' '.join(sorted(wanted.scopes)),
         wanted.receive_commands, wanted.source_id, wanted.expires_ms, now_ms, wanted.parent))


def revoke_key(connection: sqlite3.Connection, number: int, now_ms: int) -> bool:
    """
    Revoke a key by its number, and the tokens that devices got with it.

    False if there is none, or it was revoked before.
    """
    revoked = connection.execute(
        'UPDATE api_key SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL',
        (now_ms, number)).rowcount == 1
    connection.execute(
        'WITH RECURSIVE made (id) AS (VALUES (?1) UNION SELECT api_key.id FROM api_key '
        'JOIN made ON parent = made.id) '
        'UPDATE api_key SET revoked_ms = ?2 WHERE id IN made AND revoked_ms IS NULL',
        (number, now_ms))
    return revoked


def new_key(prefix: str = KEY_PREFIX) -> str:
    """Return a random key (section 2.1)."""
    return prefix + ''.join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


def digest(key: str) -> bytes:
    """Return what the database keeps of a key."""
    return hashlib.sha256(key.encode(errors='surrogatepass')).digest()

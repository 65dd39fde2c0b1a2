# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Pairing: a code that is shown once becomes a key or device token for whoever types it in.

Protocol section 11.7. A code counts once and for a few minutes. The functions are handed to
`Store.execute` and `Store.read`, or used by the command line on a connection of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
import secrets
import sqlite3

from plexus_bridge.errors import RequestError
from plexus_bridge.gateway.access.keys import create_key
from plexus_bridge.gateway.access.keys import KeyRequest

# Without letters and digits that look alike.
ALPHABET = '23456789ABCDEFGHJKMNPQRSTUVWXYZ'
CODE_CHARACTERS = 6
VALID_S = 600
# A code that is used or expired is remembered that long, to tell so.
REMEMBERED_MS = 86_400_000
MAX_PENDING = 1000

_COLUMNS = ('code, name, scopes, receive_commands, source_id, key_expires_ms, expires_ms, '
            'used_ms')


@dataclass(frozen=True)
class Pairing:
    """A code and the key that it stands for; times are Unix ms, `used_ms` None while unused."""

    code: str
    wanted: KeyRequest
    expires_ms: int
    used_ms: int | None = None

    def status(self, now_ms: int) -> str:
        """Return ``paired``, ``expired`` or ``pending``."""
        if self.used_ms is not None:
            return 'paired'
        return 'expired' if now_ms >= self.expires_ms else 'pending'


def new_code(characters: int = CODE_CHARACTERS) -> str:
    """Return a random code that is easy to read out and type in."""
    return ''.join(secrets.choice(ALPHABET) for _ in range(characters))


def read_code(text: str) -> str:
    """Return a code as it was typed in, without what people add to it."""
    return ''.join(text.split()).replace('-', '').upper()


def begin(
        connection: sqlite3.Connection, wanted: KeyRequest, now_ms: int,
        valid_s: int = VALID_S) -> Pairing:
    """Make a code; RequestError 429 while too many wait to be used."""
    connection.execute('DELETE FROM pairing WHERE expires_ms < ?', (now_ms - REMEMBERED_MS,))
    [pending] = connection.execute(
        'SELECT count(*) FROM pairing WHERE used_ms IS NULL AND expires_ms > ?',
        (now_ms,)).fetchone()
    if pending >= MAX_PENDING:
        raise RequestError(429, f'{pending} codes wait to be used; wait until they expire')
    pairing = Pairing(new_code(), wanted, now_ms + 1000 * valid_s)
    # A code that was used before and comes again by chance takes the old one's place.
    connection.execute(
        f'INSERT OR REPLACE INTO pairing ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, NULL)',
        (pairing.code, wanted.name, ' '.join(sorted(wanted.scopes)), wanted.receive_commands,
         wanted.source_id, wanted.expires_ms, pairing.expires_ms))
    return pairing


def find(connection: sqlite3.Connection, code: str) -> Pairing | None:
    """Return what is known of a code, None if nothing."""
    row = connection.execute(
        f'SELECT {_COLUMNS} FROM pairing WHERE code = ?', (code,)).fetchone()
    if row is None:
        return None
    code, name, scopes, receive_commands, source_id, key_expires_ms, expires_ms, used_ms = row
    return Pairing(code, KeyRequest(
        name, frozenset(scopes.split()), bool(receive_commands), source_id, key_expires_ms),
        expires_ms, used_ms)


def complete(
        connection: sqlite3.Connection, code: str, prefix: str, now_ms: int,
        ) -> tuple[str, Pairing]:
    """
    Use a code: return the key that is made for it, with the prefix, and the pairing.

    RequestError 404 if there is no such code, 410 if it was used or has expired.
    """
    pairing = find(connection, code)
    if pairing is None:
        raise RequestError(404, 'no such pairing code')
    status = pairing.status(now_ms)
    if status != 'pending':
        what = 'was used' if status == 'paired' else 'has expired'
        raise RequestError(410, f'this pairing code {what}; ask for a new one')
    connection.execute('UPDATE pairing SET used_ms = ? WHERE code = ?', (now_ms, code))
    key = create_key(connection, replace(pairing.wanted, prefix=prefix), now_ms)
    return key, pairing

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The device-code flow (protocol section 11.7): a device shows a code, a person approves it.

The device polls with a secret of its own; the key is made when it fetches it, so that it is kept
nowhere. The functions are handed to `Store.execute` and `Store.read`, or used by the command line
on a connection of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
import secrets
import sqlite3

from plexus_bridge.errors import RequestError
from plexus_bridge.gateway.access.keys import create_key
from plexus_bridge.gateway.access.keys import digest
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.pairing import new_code
from plexus_bridge.gateway.access.pairing import read_code

VALID_S = 900
INTERVAL_S = 5
MAX_PENDING = 1000

PENDING = 'pending'
APPROVED = 'approved'
DENIED = 'denied'
EXPIRED = 'expired'


@dataclass(frozen=True)
class Asked:
    """What a device is told when it asks to be let in."""

    device_code: str
    user_code: str


def begin(connection: sqlite3.Connection, name: str, now_ms: int) -> Asked:
    """Note that a device asks; RequestError 429 while too many wait for a decision."""
    connection.execute('DELETE FROM device_code WHERE expires_ms <= ?', (now_ms,))
    [pending] = connection.execute('SELECT count(*) FROM device_code').fetchone()
    if pending >= MAX_PENDING:
        raise RequestError(429, f'{pending} devices wait for a decision; try again later')
    user_code = new_code(8)
    device_code = secrets.token_urlsafe(32)
    connection.execute(
        'INSERT INTO device_code (sha256, user_code, status, name, scopes, receive_commands, '
        "expires_ms) VALUES (?, ?, ?, ?, '', 0, ?)",
        (digest(device_code), user_code, PENDING, name, now_ms + 1000 * VALID_S))
    return Asked(device_code, f'{user_code[:4]}-{user_code[4:]}')


def decide(
        connection: sqlite3.Connection, user_code: str, wanted: KeyRequest | None,
        now_ms: int) -> str:
    """
    Approve the device that shows this code with a key as wanted, or deny it with None.

    Returns the name that the device gave itself; RequestError 404 if no device shows the code.
    """
    row = connection.execute(
        'SELECT name FROM device_code WHERE user_code = ? AND status = ? AND expires_ms > ?',
        (read_code(user_code), PENDING, now_ms)).fetchone()
    if row is None:
        raise RequestError(404, 'no device waits with this code: it may have expired')
    name = str(row[0])
    allowed = wanted or KeyRequest()
    connection.execute(
        'UPDATE device_code SET status = ?, name = ?, scopes = ?, receive_commands = ?, '
        'source_id = ?, key_expires_ms = ? WHERE user_code = ?',
        (APPROVED if wanted else DENIED, allowed.name or name, ' '.join(sorted(allowed.scopes)),
         allowed.receive_commands, allowed.source_id, allowed.expires_ms,
         read_code(user_code)))
    return name


def status_of(connection: sqlite3.Connection, device_code: str, now_ms: int) -> str:
    """Return the status of a device's request."""
    row = connection.execute(
        'SELECT status FROM device_code WHERE sha256 = ? AND expires_ms > ?',
        (digest(device_code), now_ms)).fetchone()
    return EXPIRED if row is None else str(row[0])


def take(connection: sqlite3.Connection, device_code: str, now_ms: int) -> str | None:
    """Return the key of a request that was approved, once; else None."""
    row = connection.execute(
        'DELETE FROM device_code WHERE sha256 = ? AND expires_ms > ? AND status = ? '
        'RETURNING name, scopes, receive_commands, source_id, key_expires_ms',
        (digest(device_code), now_ms, APPROVED)).fetchone()
    if row is None:
        return None
    name, scopes, receive_commands, source_id, expires_ms = row
    return create_key(connection, KeyRequest(
        name, frozenset(scopes.split()), bool(receive_commands), source_id, expires_ms), now_ms)

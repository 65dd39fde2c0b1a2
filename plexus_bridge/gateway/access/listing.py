# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys as they are listed: everything but the key itself."""

from __future__ import annotations

from dataclasses import dataclass
import sqlite3
from typing import Any

from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.instants import write_instant


@dataclass(frozen=True)
class ListedKey:
    """A key that there is or was; times are Unix ms."""

    key: Key
    created_ms: int
    revoked_ms: int | None

    def state(self, now_ms: int) -> str:
        """Return ``revoked``, ``expired`` or ``valid``."""
        if self.revoked_ms is not None:
            return 'revoked'
        return 'valid' if self.key.valid_at(now_ms) else 'expired'

    def told(self, now_ms: int) -> dict[str, Any]:
        """Return the key as the API tells it."""
        key = self.key
        return {'id': key.id, 'prefix': key.prefix, 'name': key.name,
                'scopes': sorted(key.scopes), 'receive_commands': key.receive_commands,
                'source_id': key.source_id, 'created_at': write_instant(self.created_ms),
                'expires_at': write_instant(key.expires_ms), 'state': self.state(now_ms)}


def list_keys(connection: sqlite3.Connection) -> list[ListedKey]:
    """Return all keys in the order in which they were made."""
    return [
        ListedKey(Key(number, prefix, name, frozenset(scopes.split()), bool(receive_commands),
                      source_id, expires_ms), created_ms, revoked_ms)
        for (number, prefix, name, scopes, receive_commands, source_id, expires_ms, created_ms,
             revoked_ms)
        in connection.execute(
            'SELECT id, prefix, name, scopes, receive_commands, source_id, expires_ms, '
            'created_ms, revoked_ms FROM api_key ORDER BY id')]

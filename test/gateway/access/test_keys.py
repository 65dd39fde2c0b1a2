# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
import re
import sqlite3
from typing import Any

import pytest

from plexus_bridge.errors import AccessError
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.access.first_key import ensure_first_key
from plexus_bridge.gateway.access.keys import create_key
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import KeyRing
from plexus_bridge.gateway.access.keys import new_key
from plexus_bridge.gateway.access.keys import read_entries
from plexus_bridge.gateway.access.keys import revoke_key

NOW_MS = 1_790_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'key'


def test_keys_have_the_shape_that_every_client_takes():
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch('plx_[A-Za-z0-9]{32}', key) for key in keys)


def test_the_first_key_is_made_once(database: sqlite3.Connection, path: Path):
    first = ensure_first_key(database, path, NOW_MS)
    assert first.done == 'created'
    assert path.read_text() == first.key + '\n'
    assert path.stat().st_mode & 0o777 == 0o600
    again = ensure_first_key(database, path, NOW_MS)
    assert (again.key, again.done) == (first.key, '')
    assert len(KeyRing(database)) == 1


def test_the_database_does_not_hold_the_key(database: sqlite3.Connection, path: Path):
    key = ensure_first_key(database, path, NOW_MS).key
    [row] = database.execute('SELECT sha256, prefix, scopes FROM api_key').fetchall()
    assert row == (hashlib.sha256(key.encode()).digest(), key[:12], '*')
    assert key not in '\n'.join(database.iterdump())


def test_a_lost_file_gives_a_new_key_beside_the_old(database: sqlite3.Connection, path: Path):
    old = ensure_first_key(database, path, NOW_MS).key
    path.unlink()
    new = ensure_first_key(database, path, NOW_MS)
    assert new.done == 'renewed'
    ring = KeyRing(database)
    assert ring.find(old) is not None
    assert ring.find(new.key) is not None


def test_a_key_without_a_database_entry_is_taken_over(database: sqlite3.Connection, path: Path):
    path.write_text('plx_of_an_older_database\n')
    found = ensure_first_key(database, path, NOW_MS)
    assert (found.key, found.done) == ('plx_of_an_older_database', 'registered')
    assert KeyRing(database).find('plx_of_an_older_database') is not None


def test_a_file_that_others_may_read_is_made_private(database: sqlite3.Connection, path: Path):
    ensure_first_key(database, path, NOW_MS)
    path.chmod(0o644)
    ensure_first_key(database, path, NOW_MS)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize('content', ['', '\n', 'short', 'two words in it', 'ä' * 20, 'x' * 300])
def test_a_file_that_holds_no_key(database: sqlite3.Connection, path: Path, content: str):
    path.write_text(content)
    with pytest.raises(StoreError, match=r'saw no API key.*remove the file'):
        ensure_first_key(database, path, NOW_MS)


def test_a_file_that_cannot_be_read(database: sqlite3.Connection, path: Path):
    path.mkdir()
    with pytest.raises(StoreError, match='cannot be used as the file of the API key'):
        ensure_first_key(database, path, NOW_MS)


@pytest.mark.parametrize('wrong', ['', 'plx_', 'plx_' + 'a' * 32, 'ä', '\ud800', '\0'])
def test_other_keys_are_not_found(database: sqlite3.Connection, path: Path, wrong: str):
    key = ensure_first_key(database, path, NOW_MS).key
    ring = KeyRing(database)
    assert ring.find(wrong) is None
    assert ring.find(key + ' ') is None
    assert ring.find(key[:-1]) is None
    found = ring.find(key)
    assert found is not None
    assert found.prefix == key[:12]


def test_a_revoked_key_in_the_file_is_exchanged_at_the_next_start(
        database: sqlite3.Connection, path: Path):
    old = ensure_first_key(database, path, NOW_MS).key
    revoke_key(database, 1, NOW_MS)
    new = ensure_first_key(database, path, NOW_MS)
    assert new.done == 'exchanged'
    assert path.read_text().strip() == new.key != old
    assert path.stat().st_mode & 0o777 == 0o600
    ring = KeyRing(database)
    assert ring.find(old) is None
    assert ring.find(new.key) is not None
    assert list(path.parent.glob('.key*')) == []


def made(database: sqlite3.Connection, **wanted: Any) -> str:
    return create_key(database, KeyRequest(**wanted), NOW_MS)


def test_scopes(database: sqlite3.Connection):
    writes = made(database)
    reads = made(database, scopes=frozenset({'read'}))
    everything = made(database, scopes=frozenset({'*'}))
    database.execute("UPDATE api_key SET scopes = '' WHERE id = 1")
    ring = KeyRing(database)
    assert [ring.admit(key, 'write').id for key in (writes, everything)] == [1, 3]
    assert ring.admit(everything, 'read').id == 3
    for key, scope in ((writes, 'read'), (reads, 'write')):
        with pytest.raises(AccessError, match=f'API key lacks {scope} scope') as refused:
            ring.admit(key, scope)
        assert refused.value.status == 403
        assert ring.admit(key, None), 'no scope is asked for'


def test_a_key_for_one_device(database: sqlite3.Connection):
    key = made(database, source_id='kiln-7')
    ring = KeyRing(database)
    assert ring.admit(key, 'write', 'kiln-7').may_act_for('kiln-7')
    with pytest.raises(AccessError, match='limited to another device') as refused:
        ring.admit(key, 'write', 'kiln-8')
    assert refused.value.status == 403


def test_unknown_revoked_and_expired_keys_get_the_same_answer(database: sqlite3.Connection):
    revoked = made(database)
    expired = made(database, expires_ms=NOW_MS)
    assert revoke_key(database, 1, NOW_MS)
    assert not revoke_key(database, 1, NOW_MS), 'it was revoked before'
    assert not revoke_key(database, 99, NOW_MS)
    ring = KeyRing(database)
    texts = set()
    for key in (revoked, expired, new_key(), 'x'):
        with pytest.raises(AccessError) as refused:
            ring.admit(key, 'write')
        texts.add((refused.value.status, str(refused.value)))
    assert texts == {(401, 'invalid API key')}


def test_the_work_is_the_same_for_every_key(
        database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch):
    keys = [made(database) for _ in range(4)]
    revoke_key(database, 2, NOW_MS)
    ring = KeyRing(database)
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr('plexus_bridge.gateway.access.keys.hmac.compare_digest', compare)
    for key in (*keys, new_key(), ''):
        compared.clear()
        ring.find(key)
        assert len(compared) == 3


def test_expiry_counts_at_the_moment_of_asking(database: sqlite3.Connection):
    key = made(database, expires_ms=NOW_MS)
    ring = KeyRing(database)
    assert ring.find(key, NOW_MS - 1) is not None
    assert ring.find(key, NOW_MS) is None


def test_whoever_holds_a_key_is_dropped_once_when_it_goes(database: sqlite3.Connection):
    keys = [made(database), made(database), made(database, expires_ms=NOW_MS + 5)]
    ring = KeyRing(database)
    dropped: list[int] = []
    with contextlib.ExitStack() as stack:
        for key in keys:
            found = ring.find(key, NOW_MS)
            assert found is not None
            stack.enter_context(ring.held(found, lambda number=found.id: dropped.append(number)))
        ring.renew(read_entries(database), NOW_MS)
        assert dropped == []
        revoke_key(database, 2, NOW_MS)
        ring.renew(read_entries(database), NOW_MS)
        assert dropped == [2]
        ring.renew(read_entries(database), NOW_MS + 5)
    revoke_key(database, 1, NOW_MS)
    ring.renew(read_entries(database), NOW_MS + 5)
    assert dropped == [2, 3], 'who has left is not dropped'


def test_a_key_that_is_made_is_what_was_asked_for(database: sqlite3.Connection):
    key = made(database, name='bench', scopes=frozenset({'read', 'write'}), source_id='kiln-7',
               receive_commands=True, expires_ms=NOW_MS + 1, prefix='plxd_')
    assert re.fullmatch('plxd_[A-Za-z0-9]{32}', key)
    assert KeyRing(database).find(key, NOW_MS) == Key(
        1, key[:12], 'bench', frozenset({'read', 'write'}), True, 'kiln-7', NOW_MS + 1)

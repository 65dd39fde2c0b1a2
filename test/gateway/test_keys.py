# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
from pathlib import Path
import re
import sqlite3

import pytest

from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.keys import ensure_first_key
from plexus_bridge.gateway.keys import Key
from plexus_bridge.gateway.keys import KeyRing
from plexus_bridge.gateway.keys import new_key

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


def test_scopes():
    assert Key('plx_', frozenset({'write'})).allows('write')
    assert not Key('plx_', frozenset({'write'})).allows('read')
    assert Key('plx_', frozenset({'*'})).allows('read')

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
from pathlib import Path
import sqlite3

import pytest

from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.storage.schema import open_reader
from plexus_bridge.gateway.storage.schema import open_writer
from plexus_bridge.gateway.storage.schema import SCHEMA_VERSION
from plexus_bridge.gateway.storage.schema import transaction


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'gateway.db'


def pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f'PRAGMA {name}').fetchone()[0]


def test_a_new_file_is_private_and_durable(path: Path):
    with contextlib.closing(open_writer(path)) as connection:
        assert pragma(connection, 'journal_mode') == 'wal'
        assert pragma(connection, 'synchronous') == 2, 'acknowledged means on the disk'
        assert pragma(connection, 'user_version') == SCHEMA_VERSION
        assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_it_is_opened_again_with_what_it_holds(path: Path):
    with contextlib.closing(open_writer(path)) as connection:
        connection.execute("INSERT INTO source (slug) VALUES ('kiln-7')")
    with contextlib.closing(open_writer(path)) as connection:
        assert connection.execute('SELECT slug FROM source').fetchall() == [('kiln-7',)]


def test_a_newer_version_is_refused_and_left_alone(path: Path):
    with contextlib.closing(open_writer(path)) as connection:
        connection.execute(f'PRAGMA user_version = {SCHEMA_VERSION + 1}')
    with pytest.raises(StoreError, match=f'saw version {SCHEMA_VERSION + 1}.*--data'):
        open_writer(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert pragma(connection, 'user_version') == SCHEMA_VERSION + 1


def test_the_database_of_another_program_is_refused_and_left_alone(path: Path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE theirs (a)')
    with pytest.raises(StoreError, match='another program'):
        open_writer(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute('SELECT name FROM sqlite_master').fetchall() == [('theirs',)]


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path):
    path.write_bytes(b'not a database, but somebody may need it' * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r'cannot be used as a database.*move it away'):
        open_writer(path)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there(path: Path):
    with pytest.raises(StoreError, match='cannot be opened'):
        open_writer(path / 'sub' / 'gateway.db')


def test_a_reader_cannot_write(path: Path):
    with contextlib.closing(open_writer(path)), contextlib.closing(open_reader(path)) as reader:
        assert reader.execute('SELECT count(*) FROM source').fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError, match='readonly'):
            reader.execute("INSERT INTO source (slug) VALUES ('kiln-7')")


def test_a_reader_finds_files_with_odd_names(tmp_path: Path):
    path = tmp_path / 'what? 50%#1.db'
    with contextlib.closing(open_writer(path)), contextlib.closing(open_reader(path)) as reader:
        assert reader.execute('SELECT count(*) FROM source').fetchone() == (0,)


def test_a_transaction_is_kept_whole_or_not_at_all(database: sqlite3.Connection):
    def insert(*slugs: str | None) -> None:
        with transaction(database):
            for slug in slugs:
                database.execute('INSERT INTO source (slug) VALUES (?)', (slug,))

    insert('kept')
    with pytest.raises(sqlite3.IntegrityError):
        insert('lost', None)
    insert('kept too')
    assert database.execute('SELECT slug FROM source').fetchall() == [('kept',), ('kept too',)]

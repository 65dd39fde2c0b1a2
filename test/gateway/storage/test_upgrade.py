# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A database that an earlier version made goes on being used, with all that it holds."""

from __future__ import annotations

import contextlib
from pathlib import Path
import sqlite3
from typing import Any

import pytest

from plexus_bridge.gateway.access.keys import digest
from plexus_bridge.gateway.storage import schema
from plexus_bridge.gateway.storage.queries import events
from plexus_bridge.gateway.storage.schema import open_writer
from plexus_bridge.gateway.storage.windows import Window

KEY = 'plx_' + 'k' * 32
BEGIN_MS = 1_790_000_040_000
# As the first version made it.
VERSION_1 = f'''
CREATE TABLE source (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE, newest_metric_ms INTEGER);
CREATE TABLE series (
    id INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES source (id), class TEXT NOT NULL,
    metric TEXT NOT NULL, tags TEXT NOT NULL, received_ms INTEGER NOT NULL,
    UNIQUE (source, class, metric, tags));
CREATE TABLE sample (
    series INTEGER NOT NULL, timestamp_ms INTEGER NOT NULL, value NOT NULL,
    PRIMARY KEY (series, timestamp_ms)) WITHOUT ROWID;
CREATE TABLE event (
    series INTEGER NOT NULL, timestamp_ms INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (series, timestamp_ms, value)) WITHOUT ROWID;
CREATE TABLE api_key (
    id INTEGER PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, prefix TEXT NOT NULL,
    scopes TEXT NOT NULL, created_ms INTEGER NOT NULL);
CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), at_ms INTEGER NOT NULL);
INSERT INTO source VALUES (1, 'kiln-7', {BEGIN_MS});
INSERT INTO series VALUES (1, 1, 'metric', 't', '{{}}', {BEGIN_MS});
PRAGMA application_id = {schema.APPLICATION_ID};
PRAGMA user_version = 1;
'''


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with an old database and the file of its key."""
    (tmp_path / 'key').write_text(KEY)
    with contextlib.closing(sqlite3.connect(tmp_path / 'gateway.db')) as connection:
        connection.executescript(VERSION_1)
        connection.execute('INSERT INTO api_key VALUES (1, ?, ?, ?, 0)',
                           (digest(KEY), KEY[:12], 'read write'))
        connection.executemany('INSERT INTO sample VALUES (1, ?, ?)', [
            (BEGIN_MS + 1000 * second, second) for second in range(7200)])
        connection.commit()
    return tmp_path


def layout(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the columns of every table, without their order and defaults."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {name: sorted(row[1:4] for row in connection.execute(
            f'PRAGMA table_info({name})')) for name, in connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'index')")}


def test_it_becomes_what_a_new_one_is(old: Path, tmp_path: Path):
    new = tmp_path / 'new.db'
    for path in (old / 'gateway.db', new):
        open_writer(path).close()
    assert layout(old / 'gateway.db') == layout(new)
    with contextlib.closing(open_writer(old / 'gateway.db')) as connection:
        assert connection.execute('PRAGMA user_version').fetchone() == (schema.SCHEMA_VERSION,)
        assert connection.execute('PRAGMA auto_vacuum').fetchone() == (2,), 'it can shrink'


def test_its_key_and_its_data_go_on_counting(old: Path, client: Any):
    client.key = KEY
    assert client.get('/v1/sources')['devices'][0]['source_id'] == 'kiln-7'
    hour = client.get('/v1/sources/kiln-7/metrics/query', interval='1m', start=BEGIN_MS,
                      end=BEGIN_MS + 3_600_000)['series']['t']
    assert (len(hour['count']), sum(hour['count'])) == (60, 3600)
    assert client.request('POST', '/api/keys', data=b'{}').status_code == 201
    client.device('kiln-7').close()


def test_a_failure_on_the_way_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch):
    before = layout(old / 'gateway.db')

    def fail(*arguments: object) -> None:
        raise sqlite3.OperationalError('disk I/O error')

    monkeypatch.setattr(schema.upgrade, 'bring_up_to_date', fail)
    with pytest.raises(schema.StoreError, match='disk I/O error'):
        open_writer(old / 'gateway.db')
    assert layout(old / 'gateway.db') == before


def test_events_of_before_stay_and_later_ones_of_their_stamp_stand_behind(old: Path):
    with contextlib.closing(sqlite3.connect(old / 'gateway.db')) as connection:
        connection.execute("INSERT INTO series VALUES (2, 1, 'event', 'mode', '{}', 0)")
        connection.execute("INSERT INTO event VALUES (2, ?, '\"z\"')", (BEGIN_MS,))
        connection.commit()
    with contextlib.closing(open_writer(old / 'gateway.db')) as connection:
        connection.execute("INSERT INTO event VALUES (2, ?, '\"a\"', 7)", (BEGIN_MS,))
        found = events(connection, 'kiln-7', None, Window(0, 2**62), 10)
    assert [row.value for row in found] == ['z', 'a']

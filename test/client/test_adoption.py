# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Buffers of the official SDK: files that it has made itself, and damaged ones."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
import sqlite3
import subprocess
import sys

import pytest
from scripted_gateway import ScriptedIngest

from plexus_bridge.client.adoption import adopt
from plexus_bridge.client.adoption import left_buffers


@pytest.fixture
def sdk_buffer(tmp_path: Path) -> Path:
    """A home in which the official SDK has left what it could not send."""
    script = '''
import plexus
px = plexus.Plexus('plx_k', source_id='kiln-7', timeout=0.2, ws_url='ws://127.0.0.1:9',
                   retry_config=plexus.RetryConfig(max_retries=0))
try:
    px.send_batch([('m', value) for value in range(2500)], timestamp=1790000000)
except plexus.PlexusError:
    pass
'''
    subprocess.run([sys.executable, '-c', script], check=True, timeout=30, env={
        **os.environ, 'HOME': str(tmp_path), 'PLEXUS_GATEWAY_URL': 'http://127.0.0.1:9',
        'PLEXUS_QUIET': '1'})
    return tmp_path / '.plexus'


def test_what_the_sdk_could_not_send_goes_out_with_the_first_start(
        sdk_buffer, connect, monkeypatch, wait_until, capfd):
    monkeypatch.setenv('PLEXUS_HOME', str(sdk_buffer))
    [left] = left_buffers(sdk_buffer, 'kiln-7')
    taken: list[int] = []

    def answer(body):
        taken.extend(point['value'] for point in body['points'])
        return 200, {'count': len(body['points'])}, {}

    with ScriptedIngest(answer) as gateway:
        px = connect(gateway.url, transport='http')
        px.send('m', 2500)
        wait_until(lambda: not left.exists(), 'the file is emptied')
        assert px.flush_buffer()
    assert sorted(taken) == list(range(2501))
    assert 'took over 2500 points' in capfd.readouterr().err


def test_rows_that_are_no_points_are_counted_and_do_not_hold_up_the_others(tmp_path):
    path = tmp_path / 'buffer.db'
    with sqlite3.connect(path) as database:
        database.execute('CREATE TABLE points (id INTEGER PRIMARY KEY AUTOINCREMENT, data TEXT)')
        database.executemany('INSERT INTO points (data) VALUES (?)', [
            ('{"metric":"a","value":1}',), ('no json',), ('[]',), ('{"metric":"","value":1}',),
            ('{"metric":"log","value":"' + 'x' * 300 + '"}',), ('{"metric":"b","value":2}',)])
    database.close()
    kept: list[str] = []
    refused: list[bool] = []
    assert adopt(path, lambda points: kept.extend(point['metric'] for point in points) is None,
                 lambda: refused.append(True)) == 2
    assert kept == ['a', 'b']
    assert len(refused) == 4
    assert not path.exists()


def test_what_cannot_be_kept_stays_where_it_is(tmp_path):
    path = tmp_path / 'buffer.db'
    with sqlite3.connect(path) as database:
        database.execute('CREATE TABLE points (id INTEGER PRIMARY KEY AUTOINCREMENT, data TEXT)')
        database.execute('INSERT INTO points (data) VALUES (?)', ('{"metric":"a","value":1}',))
    database.close()
    assert adopt(path, lambda points: False, lambda: None) == 0
    kept: list[str] = []
    assert adopt(path, lambda points: kept.extend(points) is None, lambda: None) == 1


def test_a_damaged_file_is_left_alone_and_told(connect, tmp_path, capfd, wait_until):
    folder = tmp_path / 'home'
    folder.mkdir()
    (folder / 'buffer-kiln-7.db').write_bytes(b'no database' * 1000)
    px = connect('http://127.0.0.1:9', timeout=0.2)
    px.send('m', 1)
    px.close()
    assert "the official SDK's buffer cannot be read" in capfd.readouterr().err
    assert (folder / 'buffer-kiln-7.db').exists()


def test_files_are_named_as_the_sdk_names_them(tmp_path):
    long = 'x' * 101
    digest = hashlib.sha256(long.encode()).hexdigest()[:32]
    for name in ('buffer.db', 'buffer-a.db', 'buffer-b.db', f'buffer-{digest}.db'):
        (tmp_path / name).touch()
    assert [path.name for path in left_buffers(tmp_path, 'a')] == ['buffer.db', 'buffer-a.db']
    assert left_buffers(tmp_path, long)[1].name == f'buffer-{digest}.db'

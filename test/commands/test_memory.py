# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import sqlite3
import stat

import pytest

from plexus_bridge.commands.memory import RunMemory
from plexus_bridge.errors import JournalError
from plexus_bridge.protocol.commands import RunRecord


def test_what_was_saved_is_loaded_in_order(tmp_path):
    memory = RunMemory(tmp_path / 'commands' / 'robot.db')
    saved = [
        RunRecord('b', 'dock', 'succeeded', 3, 3, {'at': 1}, ran=True),
        RunRecord('a', 'dock', 'failed', 3, 0, None, 'busy', 'in use', ran=True),
        RunRecord('a', 'dock', 'succeeded', 3, 0, {}, origin='local', ran=True)]
    memory.save(saved, durable=True)
    memory.close()
    memory.close()
    memory = RunMemory(tmp_path / 'commands' / 'robot.db')
    assert memory.load() == saved
    memory.close()


def test_the_file_is_for_its_owner_only(tmp_path):
    memory = RunMemory(tmp_path / 'commands' / 'robot.db')
    assert stat.S_IMODE(memory.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(memory.path.parent.stat().st_mode) == 0o700
    memory.close()


def test_a_damaged_file_is_set_aside(tmp_path):
    path = tmp_path / 'robot.db'
    path.write_bytes(b'no database' * 100)
    memory = RunMemory(path)
    assert memory.load() == []
    assert memory.set_aside is not None
    assert memory.set_aside.read_bytes().startswith(b'no database')
    memory.close()


def test_a_file_of_a_newer_program_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / 'robot.db') as database:
        database.execute('PRAGMA user_version = 99')
    database.close()
    with pytest.raises(JournalError, match='schema version 99'):
        RunMemory(tmp_path / 'robot.db')


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(JournalError, match='cannot be opened'):
        RunMemory(tmp_path / 'file' / 'robot.db')

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from plexus_bridge.commands.emergency_record import EmergencyRecord


def test_a_stop_is_there_for_the_next_process_until_it_is_released(tmp_path):
    path = tmp_path / 'robot-1.emergency'
    record = EmergencyRecord(path)
    assert record.load() == ('', '')
    record.save('Ada', '/button')
    assert path.stat().st_mode & 0o777 == 0o600
    assert EmergencyRecord(path).load() == ('Ada', '/button')
    record.save('', '')
    assert EmergencyRecord(path).load() == ('', '')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('text', ['', '{', '[]', 'null', '{"latched": "Ada"}', '\udcff'])
def test_a_record_that_cannot_be_read_counts_as_a_stop(tmp_path, text):
    path = tmp_path / 'robot-1.emergency'
    path.write_bytes(text.encode(errors='surrogateescape'))
    latched, _ = EmergencyRecord(path).load()
    assert 'cannot be read' in latched


def test_a_disk_that_fails_is_told_once_and_tried_again(tmp_path, caplog):
    folder = tmp_path / 'gone'
    record = EmergencyRecord(folder / 'robot-1.emergency')
    record.save('Ada', '')
    record.save('Ada', '')
    assert len(caplog.records) == 1
    folder.mkdir()
    record.save('Ada', '')
    assert EmergencyRecord(folder / 'robot-1.emergency').load() == ('Ada', '')

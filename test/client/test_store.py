# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path
import signal
import stat
import subprocess
import sys

import pytest

from plexus_bridge.client import store
from plexus_bridge.client.settings import Settings
from plexus_bridge.counters import Counters
from plexus_bridge.errors import JournalInUseError


def settings(source_id: str, folder: Path) -> Settings:
    return Settings('plx_k', 'http://127.0.0.1:9', '', 'http://127.0.0.1:9', source_id, folder)


def test_each_source_has_a_file_of_its_own_whose_name_a_file_system_takes(tmp_path):
    paths = [store.journal_path(settings(source_id, tmp_path))
             for source_id in ('kiln-7', 'python', 'a' * 256, 'a' * 255 + 'b')]
    assert len(set(paths)) == 4
    for path in paths:
        assert len(path.name) <= 220
        assert path.parent == tmp_path / 'journal' / 'python'


def test_nobody_else_looks_into_the_folders(tmp_path):
    path = store.journal_path(settings('kiln-7', tmp_path / 'home' / '.plexus'))
    store.open_on_disk(path, 'kiln-7', Counters()).close()
    for made in (path.parent, path.parents[1], path.parents[2]):
        assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_another_program_has_is_told_with_what_to_do(tmp_path):
    path = tmp_path / 'points.db'
    script = ('import sys, pathlib\nfrom plexus_bridge.client import store\n'
              'from plexus_bridge.counters import Counters\n'
              'journal = store.open_on_disk(pathlib.Path(sys.argv[1]), "kiln-7", Counters())\n'
              'print("open", flush=True)\nsys.stdin.read()')
    with subprocess.Popen([sys.executable, '-c', script, str(path)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b'open\n'
        with pytest.raises(JournalInUseError, match=f'kiln-7: .*{other.pid}.*buffer_path='):
            store.open_on_disk(path, 'kiln-7', Counters())
        other.kill()
    store.open_on_disk(path, 'kiln-7', Counters()).close()


@pytest.mark.parametrize('ended', ['closed', 'killed'])
def test_a_worker_that_was_forked_does_not_hold_the_file(tmp_path, ended):
    path = tmp_path / 'points.db'
    script = f'''
import os, pathlib, signal, sys, time
from plexus_bridge.client import store
from plexus_bridge.counters import Counters
journal = store.open_on_disk(pathlib.Path(sys.argv[1]), "kiln-7", Counters())
child = os.fork()
if not child:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
if {ended == 'closed'}:
    journal.close()
    print("closed", flush=True)
    sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
'''
    with subprocess.Popen([sys.executable, '-c', script, str(path)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            if ended == 'closed':
                assert parent.stdout.readline() == b'closed\n'
            else:
                parent.wait(20)
            store.open_on_disk(path, 'kiln-7', Counters()).close()
        finally:
            os.kill(child, signal.SIGKILL)
            parent.kill()


def test_what_is_in_memory_only_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(store, '_MEMORY_FOLDER', tmp_path)
    journal, forget = store.open_in_memory(Counters())
    assert list(tmp_path.iterdir())
    journal.close()
    forget()
    assert list(tmp_path.iterdir()) == []


def test_what_killed_programs_left_in_memory_is_removed_but_not_what_is_in_use(
        tmp_path, monkeypatch):
    monkeypatch.setattr(store, '_MEMORY_FOLDER', tmp_path)
    first, forget_first = store.open_in_memory(Counters())
    left, _ = store.open_in_memory(Counters())
    left.close()  # as the end of its process would
    assert len(list(tmp_path.iterdir())) == 2
    second, forget_second = store.open_in_memory(Counters())
    assert len(list(tmp_path.iterdir())) == 2
    assert first.path.exists()
    for journal, forget in ((first, forget_first), (second, forget_second)):
        journal.close()
        forget()


def test_without_memory_that_looks_like_a_folder_a_temporary_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr(store, '_MEMORY_FOLDER', tmp_path / 'none')
    monkeypatch.setattr(store.tempfile, 'tempdir', str(tmp_path))
    journal, forget = store.open_in_memory(Counters())
    assert journal.path.is_relative_to(tmp_path)
    journal.close()
    forget()

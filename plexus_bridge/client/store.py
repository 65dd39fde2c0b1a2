# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a program that uses the Python API keeps: its journal, a file of its own beside the bridge's,
and which commands it has run.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from dataclasses import dataclass
import fcntl
import hashlib
import os
from pathlib import Path
import shutil
import tempfile
import weakref

from plexus_bridge.client.settings import Settings
from plexus_bridge.commands.memory import RunMemory
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.errors import JournalError
from plexus_bridge.errors import JournalInUseError

MAX_DISK_BYTES = 256 * 1024 * 1024
MAX_MEMORY_BYTES = 16 * 1024 * 1024
_LONGEST_NAME = 200
# Memory that looks like a folder, where there is such a thing.
_MEMORY_FOLDER = Path('/dev/shm')
_PREFIX = 'plexus-points-'
_FILE = 'points.db'


@dataclass(frozen=True)
class Store:
    """
    `journal` is what is not confirmed yet, `runs` what must not be run again, if that is kept.

    Unless `persistent` all of it ends with `close`.
    """

    journal: Journal
    runs: RunMemory | None
    persistent: bool
    forget: Callable[[], None]

    def close(self) -> None:
        """Let go of the files."""
        self.journal.close()
        if self.runs is not None:
            self.runs.close()
        self.forget()


def open_store(settings: Settings, path: Path | None, counters: Counters, *, persistent: bool
               ) -> Store:
    """
    Open what a source keeps, in `path` or in files of its own; in memory unless `persistent`.

    JournalError if another program has it.
    """
    if not persistent:
        journal, forget = open_in_memory(counters)
        return Store(journal, None, persistent, forget)
    path = path or journal_path(settings)
    journal = open_on_disk(path, settings.source_id, counters)
    try:
        # Behind the journal's lock: to read it is to give up what was in progress.
        runs = RunMemory(path.with_name(f'{path.stem}.commands.db'))
    except BaseException:
        journal.close()
        raise
    return Store(journal, runs, persistent, _nothing)


def _nothing() -> None:
    """Stand in where nothing is to be done."""


def journal_path(settings: Settings) -> Path:
    """Return where a source's points wait: not where the bridge of the same source has its own."""
    source_id = settings.source_id
    if len(source_id) > _LONGEST_NAME:
        digest = hashlib.sha256(source_id.encode()).hexdigest()[:16]
        source_id = f'{source_id[:_LONGEST_NAME - 17]}-{digest}'
    return settings.folder / 'journal' / 'python' / f'{source_id}.db'


def open_on_disk(path: Path, source_id: str, counters: Counters) -> Journal:
    """Open a source's journal; JournalError says clearly when another program has it."""
    # Each folder by itself: `parents` would let everybody look into those above.
    for folder in reversed([one for one in path.parents if not one.exists()]):
        with contextlib.suppress(OSError):  # the journal says what is wrong with it
            folder.mkdir(mode=0o700)
    try:
        journal = Journal(path, MAX_DISK_BYTES, counters)
        _leave_to_parent_after_fork(journal)
        return journal
    except JournalInUseError as error:
        raise JournalInUseError(
            f'source {source_id}: {error}. One Plexus object sends for a source: share it within '
            'a program; give another program a source_id of its own, or buffer_path= to keep its '
            'points in another file') from None


def _leave_to_parent_after_fork(journal: Journal) -> None:
    """A worker that a program forks must not hold its file when the program has ended."""
    known = weakref.ref(journal)

    def leave() -> None:
        forked = known()
        if forked is not None:
            forked.leave_to_parent()

    os.register_at_fork(after_in_child=leave)


def open_in_memory(counters: Counters) -> tuple[Journal, Callable[[], None]]:
    """Open a journal that ends with the process; also returns what has to be called then."""
    folder = _MEMORY_FOLDER if os.access(_MEMORY_FOLDER, os.W_OK) else Path(tempfile.gettempdir())
    _remove_abandoned(folder)
    try:
        place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    except OSError as error:
        raise JournalError(f'{folder}: no folder can be made in it: {error.strerror}') from None

    def forget() -> None:
        shutil.rmtree(place, ignore_errors=True)

    try:
        return Journal(place / _FILE, MAX_MEMORY_BYTES, counters), forget
    except JournalError:
        forget()
        raise


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed programs of this user have left behind: the lock of theirs is free."""
    for left in folder.glob(f'{_PREFIX}*/{_FILE}.lock'):
        with contextlib.suppress(OSError), left.open('rb') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left.parent, ignore_errors=True)

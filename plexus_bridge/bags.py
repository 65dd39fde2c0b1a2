# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Recordings: rosbag2 folders and single .mcap and .db3 files, read without ROS."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from dataclasses import dataclass
from difflib import get_close_matches
import heapq
import os
from pathlib import Path
from types import TracebackType
from typing import Any
from typing import NamedTuple

from plexus_bridge.errors import BagError

_STORAGE_SUFFIXES = ('.mcap', '.db3')
_REPAIR = ('`ros2 bag reindex` repairs a folder and `mcap recover` a file that a recorder '
           'did not close')


class BagMessage(NamedTuple):
    """One recorded message: `data` is CDR as on the wire, `time_ns` when it was recorded."""

    topic: str
    type: str
    time_ns: int
    data: bytes


@dataclass(frozen=True)
class OfferedQos:
    """What one publisher offered while it was recorded; names as in rmw, e.g. transient_local."""

    reliability: str
    durability: str
    depth: int


@dataclass(frozen=True)
class BagTopic:
    """
    One recorded topic.

    `definition` is the message definition in the recording, in the form `definition_format`
    (msg or idl); both are empty where the recording has none.
    """

    name: str
    type: str
    count: int
    definition: str
    definition_format: str
    offered_qos: tuple[OfferedQos, ...]


class Bag:
    """
    An open recording; use it as a context manager.

    The constructor raises BagError for whatever cannot be read; the text says why and what helps.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        with ExitStack() as opened, _told_about(self.path):
            self._readers = [
                opened.enter_context(reader) for reader in _readers_of(self.path)]
            self.topics = tuple(
                _topic(connection) for reader in self._readers
                for connection in reader.connections)
            self._check_encoding()
            self._stack = opened.pop_all()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    @property
    def count(self) -> int:
        """How many messages it says it holds."""
        return sum(topic.count for topic in self.topics)

    @property
    def start_ns(self) -> int:
        """The earliest message's time; 0 for an empty recording."""
        return min((r.start_time for r in self._readers if r.message_count), default=0)

    @property
    def end_ns(self) -> int:
        """The latest message's time; 0 for an empty recording."""
        return max((r.end_time - 1 for r in self._readers if r.message_count), default=0)

    def messages(self, topics: Collection[str] = ()) -> Iterator[BagMessage]:
        """
        Return the messages of `topics` (default: all) in the order of their times.

        Memory does not grow with the recording. Raises BagError for a topic that is not there and,
        after the last message that can be read, when the recording is damaged: fewer came than it
        says it holds.
        """
        names = {topic.name for topic in self.topics}
        for name in topics:
            if name not in names:
                near = get_close_matches(name, names, 1)
                meant = f' (did you mean {near[0]}?)' if near else ''
                raise BagError(f'{self.path}: there is no topic {name}{meant}; '
                               f'it holds {", ".join(sorted(names)) or "nothing"}')
        return self._read(set(topics or names))

    def _read(self, topics: set[str]) -> Iterator[BagMessage]:
        expected = sum(topic.count for topic in self.topics if topic.name in topics)
        read = 0
        with _told_about(self.path):
            sources = []
            for reader in self._readers:
                wanted = [c for c in reader.connections if c.topic in topics]
                if wanted:
                    sources.append(reader.messages(wanted))
            for connection, time_ns, data in heapq.merge(*sources, key=lambda item: item[1]):
                read += 1
                yield BagMessage(connection.topic, connection.msgtype, time_ns, data)
        if read < expected:
            raise BagError(f'{self.path}: it is damaged: it says it holds {expected} messages '
                           f'and {read} could be read; {_REPAIR}')

    def _check_encoding(self) -> None:
        for reader in self._readers:
            for connection in reader.connections:
                encoding = connection.ext.serialization_format
                if encoding != 'cdr':
                    raise BagError(f'{self.path}: {connection.topic} is encoded as {encoding!r}; '
                                   'only cdr, the encoding of ROS 2, can be read')


@contextmanager
def _told_about(path: Path) -> Iterator[None]:
    """Raise BagError for whatever a reader raises; on damaged files that is anything."""
    try:
        yield
    except BagError:
        raise
    except OSError as error:
        raise BagError(f'{path}: {error.strerror or error}') from error
    except Exception as error:
        text = ' '.join(str(error).split()) or type(error).__name__
        raise BagError(f'{path}: it cannot be read: {text.rstrip(".")}; {_REPAIR}') from error


def _readers_of(path: Path) -> list[Any]:
    try:
        from rosbags.rosbag2 import Reader
    except ImportError as error:
        raise BagError(
            f'reading recordings needs the library rosbags ({error}): '
            "pip install 'plexus_bridge[bags]' (no apt package has it)") from error
    if not path.exists():
        raise BagError(f'{path}: there is no such file or folder')
    if path.is_dir():
        if (path / 'metadata.yaml').exists():
            return [Reader(path)]
        # A recorder that was killed leaves no metadata; the files may be whole all the same.
        files = sorted(f for f in path.iterdir() if f.suffix in _STORAGE_SUFFIXES)
        if not files:
            raise BagError(f'{path}: this folder is not a recording: it has neither metadata.yaml '
                           'nor .mcap or .db3 files')
        return [Reader(file) for file in files]
    if path.suffix in _STORAGE_SUFFIXES:
        return [Reader(path)]
    with path.open('rb') as file:
        start = file.read(8)
    if path.suffix == '.bag' or start.startswith(b'#ROSBAG'):
        raise BagError(f'{path}: this is a ROS 1 recording; convert it first: '
                       f'rosbags-convert --src {path} --dst {path.with_suffix("")}')
    if path.suffix in ('.zstd', '.zst', '.lz4'):
        raise BagError(f'{path}: compressed files are read only with their metadata.yaml: '
                       f'give the folder, {path.parent}')
    raise BagError(f'{path}: this is not a recording; expected a rosbag2 folder, or a file '
                   'whose name ends in .mcap or .db3')


def _topic(connection: Any) -> BagTopic:
    return BagTopic(
        connection.topic, connection.msgtype, connection.msgcount, connection.msgdef.data,
        {0: '', 1: 'msg', 2: 'idl'}[connection.msgdef.format.value],
        tuple(OfferedQos(qos.reliability.name.lower(), qos.durability.name.lower(), qos.depth)
              for qos in connection.ext.offered_qos_profiles))

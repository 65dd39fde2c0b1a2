# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
import gc
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tracemalloc

import pytest
from rosbags.interfaces import Qos
from rosbags.interfaces import QosDurability
from rosbags.interfaces import QosHistory
from rosbags.interfaces import QosLiveliness
from rosbags.interfaces import QosReliability
from rosbags.interfaces import QosTime
from rosbags.rosbag2 import CompressionFormat
from rosbags.rosbag2 import CompressionMode
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores

from plexus_bridge.bags import Bag
from plexus_bridge.bags import BagMessage
from plexus_bridge.bags import OfferedQos
from plexus_bridge.errors import BagError

HUSKY = Path(__file__).parents[2] / 'shared' / 'data' / 'husky'
STORES = [StoragePlugin.MCAP, StoragePlugin.SQLITE3]
SUFFIX = {StoragePlugin.MCAP: '.mcap', StoragePlugin.SQLITE3: '.db3'}
FOREVER = QosTime(9223372036, 854775807)


def qos(reliability: QosReliability, durability: QosDurability, depth: int) -> Qos:
    return Qos(QosHistory.KEEP_LAST, depth, reliability, durability, FOREVER, FOREVER,
               QosLiveliness.AUTOMATIC, FOREVER, False)


def write_bag(path: Path, messages: list[BagMessage], store: StoragePlugin = StoragePlugin.MCAP,
              compression: CompressionMode = CompressionMode.NONE,
              offered: dict[str, list[Qos]] | None = None) -> Path:
    """Write a recording of these messages, with the offered QoS of each topic."""
    types = get_typestore(Stores.ROS2_HUMBLE)
    writer = Writer(path, version=9, storage_plugin=store)
    if compression is not CompressionMode.NONE:
        writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        topics = {}
        for message in messages:
            if message.topic not in topics:
                topics[message.topic] = writer.add_connection(
                    message.topic, message.type, typestore=types,
                    offered_qos_profiles=(offered or {}).get(message.topic, []))
            writer.write(topics[message.topic], message.time_ns, message.data)
    return path


def string_message(topic: str, time_ns: int, text: str) -> BagMessage:
    data = text.encode() + b'\0'
    return BagMessage(topic, 'std_msgs/msg/String', time_ns,
                      b'\0\1\0\0' + len(data).to_bytes(4, 'little') + data)


@pytest.fixture
def messages() -> list[BagMessage]:
    return [string_message('/chatter' if k % 3 else '/other', 10**18 + k * 10**6, f'text {k}')
            for k in range(300)]


@pytest.mark.parametrize('store', STORES)
@pytest.mark.parametrize('form', ['folder', 'file', 'folder without metadata'])
def test_every_form_gives_back_what_was_written(
        store: StoragePlugin, form: str, messages: list[BagMessage], tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', messages, store)
    if form == 'file':
        path = path / f'bag{SUFFIX[store]}'
    elif form == 'folder without metadata':
        (path / 'metadata.yaml').unlink()
    with Bag(path) as bag:
        assert list(bag.messages()) == messages
        assert list(bag.messages(['/other'])) == [m for m in messages if m.topic == '/other']
        assert {(t.name, t.type, t.count) for t in bag.topics} == {
            ('/chatter', 'std_msgs/msg/String', 200), ('/other', 'std_msgs/msg/String', 100)}
        assert 'string data' in bag.topics[0].definition
        assert bag.topics[0].definition_format == 'msg'
        assert (bag.count, bag.start_ns, bag.end_ns) == (
            300, messages[0].time_ns, messages[-1].time_ns)


@pytest.mark.parametrize(('store', 'compression'), [
    (StoragePlugin.SQLITE3, CompressionMode.FILE),
    (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    (StoragePlugin.MCAP, CompressionMode.FILE), (StoragePlugin.MCAP, CompressionMode.STORAGE)])
def test_compressed_recordings_are_read(
        store: StoragePlugin, compression: CompressionMode, messages: list[BagMessage],
        tmp_path: Path) -> None:
    with Bag(write_bag(tmp_path / 'bag', messages, store, compression)) as bag:
        assert list(bag.messages()) == messages


def test_messages_come_in_the_order_of_their_times(
        messages: list[BagMessage], tmp_path: Path) -> None:
    shuffled = messages[100:200] + messages[:100] + messages[200:]
    with Bag(write_bag(tmp_path / 'bag', shuffled)) as bag:
        assert list(bag.messages()) == messages
        assert list(bag.messages()) == messages, 'and once more, as a loop needs it'


def test_several_files_without_metadata_are_one_recording(
        messages: list[BagMessage], tmp_path: Path) -> None:
    folder = tmp_path / 'both'
    folder.mkdir()
    for k in (0, 1):
        part = write_bag(tmp_path / f'part_{k}', messages[k::2])
        shutil.copy(part / f'part_{k}.mcap', folder)
    with Bag(folder) as bag:
        assert list(bag.messages()) == messages


def test_when_one_of_several_files_is_damaged_the_others_are_closed_again(
        messages: list[BagMessage], tmp_path: Path) -> None:
    (write_bag(tmp_path / 'bag', messages) / 'metadata.yaml').unlink()
    (tmp_path / 'bag' / 'later.mcap').write_bytes(b'not a recording')
    gc.collect()
    before = len(os.listdir('/proc/self/fd'))
    assert_refused(tmp_path / 'bag', 'magic')
    assert len(os.listdir('/proc/self/fd')) == before


@pytest.mark.parametrize('store', STORES)
def test_the_qos_that_was_offered_is_told(
        store: StoragePlugin, messages: list[BagMessage], tmp_path: Path) -> None:
    offered = {'/other': [
        qos(QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL, 7),
        qos(QosReliability.BEST_EFFORT, QosDurability.VOLATILE, 3)]}
    with Bag(write_bag(tmp_path / 'bag', messages, store, offered=offered)) as bag:
        told = {topic.name: topic.offered_qos for topic in bag.topics}
        assert len(list(bag.messages())) == 300
    assert told == {'/chatter': (), '/other': (
        OfferedQos('reliable', 'transient_local', 7), OfferedQos('best_effort', 'volatile', 3))}


def test_an_empty_recording_is_a_recording(tmp_path: Path) -> None:
    with Bag(write_bag(tmp_path / 'bag', [])) as bag:
        assert list(bag.messages()) == []
        assert (bag.count, bag.start_ns, bag.end_ns) == (0, 0, 0)


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    def long_recording() -> Iterator[BagMessage]:
        for k in range(4000):
            yield string_message('/chatter', 10**18 + k, 'x' * 10_000)

    with Bag(write_bag(tmp_path / 'bag', long_recording())) as bag:  # type: ignore[arg-type]
        tracemalloc.start()
        assert sum(1 for _ in bag.messages()) == 4000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 12_000_000, 'of forty million bytes'


def assert_refused(path: Path, *texts: str) -> None:
    with pytest.raises(BagError) as caught, Bag(path) as bag:
        for _ in bag.messages():
            pass
    for text in (str(path), *texts):
        assert text in str(caught.value)
    assert '\n' not in str(caught.value)


def test_what_is_not_a_recording_is_refused_with_a_reason(
        messages: list[BagMessage], tmp_path: Path) -> None:
    assert_refused(tmp_path / 'nothing', 'no such file')
    (tmp_path / 'folder').mkdir()
    assert_refused(tmp_path / 'folder', 'not a recording', 'metadata.yaml')
    for name, content, text in [
            ('notes.txt', b'hello', 'not a recording'), ('old.bag', b'#ROSBAG V2.0\n', 'ROS 1'),
            ('renamed', b'#ROSBAG V2.0\n', 'rosbags-convert'), ('bag.mcap.zstd', b'', 'folder'),
            ('empty.mcap', b'', 'empty'), ('text.mcap', b'hello' * 100, 'magic'),
            ('text.db3', b'hello' * 100, 'not a database'), ('empty.db3', b'', 'missing tables')]:
        (tmp_path / name).write_bytes(content)
        assert_refused(tmp_path / name, text)


@pytest.mark.parametrize('metadata', ['', 'hello', 'rosbag2_bagfile_information: {}', '{', '[]'])
def test_metadata_that_is_not_metadata_is_refused(metadata: str, tmp_path: Path) -> None:
    (tmp_path / 'metadata.yaml').write_text(metadata)
    assert_refused(tmp_path, 'cannot be read')


def test_a_folder_whose_file_is_gone_is_refused(
        messages: list[BagMessage], tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', messages)
    (path / 'bag.mcap').unlink()
    assert_refused(path, 'missing')


def test_an_unknown_compression_is_refused(messages: list[BagMessage], tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', messages, StoragePlugin.SQLITE3, CompressionMode.MESSAGE)
    metadata = path / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace('zstd', 'fancy'))
    assert_refused(path, 'fancy', 'not supported')


@pytest.mark.parametrize('share', [0.0005, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_refused(
        share: float, messages: list[BagMessage], tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', messages) / 'bag.mcap'
    whole = path.read_bytes()
    path.write_bytes(whole[:int(len(whole) * share)])
    assert_refused(path, 'mcap recover' if share else 'empty')


@pytest.mark.parametrize('store', STORES)
def test_a_damaged_file_never_ends_in_silence(
        store: StoragePlugin, messages: list[BagMessage], tmp_path: Path) -> None:
    path = write_bag(tmp_path / 'bag', messages, store) / f'bag{SUFFIX[store]}'
    whole = path.read_bytes()
    for place in range(100, len(whole) - 400, len(whole) // 25):
        path.write_bytes(whole[:place] + b'\x55' * 300 + whole[place + 300:])
        try:
            with Bag(path) as bag:
                read = list(bag.messages())
        except BagError:
            continue
        # Bytes within messages or indexes may differ; none may be missing.
        assert len(read) == len(messages), place


def test_a_topic_that_is_not_there_is_named_with_what_is(
        messages: list[BagMessage], tmp_path: Path) -> None:
    with Bag(write_bag(tmp_path / 'bag', messages)) as bag, pytest.raises(BagError) as caught:
        bag.messages(['/chater'])
    assert '/chater' in str(caught.value)
    assert 'did you mean /chatter?' in str(caught.value)


def test_a_missing_library_is_one_line_that_says_what_to_install() -> None:
    script = ('import sys; sys.modules["rosbags.rosbag2"] = None\n'
              'from plexus_bridge.bags import Bag\n'
              'from plexus_bridge.errors import BagError\n'
              'try: Bag("x")\nexcept BagError as error: print(error)')
    told = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True,
                          check=True, cwd=Path(__file__).parents[1])
    assert "pip install 'plexus_bridge[bags]'" in told.stdout
    assert told.stdout.count('\n') == 1


@pytest.mark.skipif(not HUSKY.exists(), reason='the recorded data are not on this machine')
def test_a_real_recording_is_read_whole() -> None:
    with Bag(HUSKY) as bag, Bag(HUSKY / 'husky.mcap') as single:
        assert {topic.name: topic.count for topic in bag.topics} == {
            '/imu/data': 11865, '/husky_velocity_controller/odom': 3952, '/fix': 989}
        previous = 0
        for message, other in zip(bag.messages(), single.messages(), strict=True):
            assert message == other
            assert message.time_ns >= previous
            previous = message.time_ns

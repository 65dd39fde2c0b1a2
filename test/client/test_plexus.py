# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The Python API against a real gateway; what is compared with the SDK stands in test/road."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import pytest
from scripted_gateway import ScriptedIngest

import plexus_bridge
from plexus_bridge import AuthenticationError
from plexus_bridge import Plexus
from plexus_bridge import PlexusError
from plexus_bridge import RetryConfig
from plexus_bridge.errors import JournalError
from plexus_bridge.errors import JournalInUseError
from plexus_bridge.errors import LinkError
from plexus_bridge.errors import PointError

NOW_S = 1_790_000_000
NOW_MS = NOW_S * 1000


@pytest.fixture
def px(connect, local_gateway, request) -> Plexus:
    """A client of the real gateway, for a source of the test's own."""
    source = request.node.name.replace('test_', '').replace('_', '-')[:60]
    return connect(local_gateway.url, local_gateway.key, source)


def test_every_way_of_sending_arrives_as_it_was_meant(px, local_gateway):
    assert px.send('zone.temp_c', 812.5, timestamp=NOW_S, tags={'zone': '1'}) is True
    assert px.send_batch([('imu.x', 0.5, NOW_S + 0.001), ['imu.y', -3, NOW_MS + 2],
                          ('imu.z', 9.81), ('state', 'RUNNING')], timestamp=NOW_S + 1) is True
    assert px.event('fault', 'E-stop', timestamp=NOW_S + 2) is True
    assert px.event('change', {'from': 'IDLE'}, timestamp=NOW_S + 3) is True
    assert px.event('code', 7, timestamp=NOW_S + 4) is True
    assert px.flush_buffer() is True
    assert px.buffer_size() == 0

    assert local_gateway.samples(px.source_id, 'zone.temp_c') == [(NOW_MS, 812.5)]
    assert local_gateway.samples(px.source_id, 'imu.x') == [(NOW_MS + 1, 0.5)]
    assert local_gateway.samples(px.source_id, 'imu.y') == [(NOW_MS + 2, -3)]
    assert local_gateway.samples(px.source_id, 'imu.z') == [(NOW_MS + 1000, 9.81)]
    assert local_gateway.events(px.source_id) == [
        ('state', 'RUNNING'), ('fault', 'E-stop'), ('change', '{"from":"IDLE"}'), ('code', '7')]
    assert px.lost_points == {}


def test_waiting_may_be_limited_for_once(px, connect):
    assert px.send('m', 1)
    assert px.flush_buffer(timeout=20) is True
    nowhere = connect('http://127.0.0.1:9')
    nowhere.send('m', 1)
    with pytest.raises(LinkError, match=r'within 0\.1 s'):
        nowhere.flush_buffer(timeout=0.1)


def test_a_run_is_up_to_date_after_its_block(px):
    with px.run('warm up', pass_criteria=[
            {'metric': 'm', 'operator': '<', 'value': 5}]) as run:
        assert run['status'] == 'active'
        px.send('m', 1)
    assert (run['status'], run['ended_at'] is None) == ('completed', False)
    with pytest.raises(ValueError, match='boom'), px.run('broken') as run:
        raise ValueError('boom')
    assert run['status'] == 'aborted'


def test_a_reading_without_a_stamp_is_of_now(px, local_gateway):
    before = time.time() * 1000
    px.send('m', 1)
    px.flush_buffer()
    [(stamp, _)] = local_gateway.samples(px.source_id, 'm')
    assert before - 200 <= stamp <= time.time() * 1000 + 200


def test_a_batch_of_which_one_is_no_point_is_not_sent_at_all(px):
    with pytest.raises(PointError, match='finite'):
        px.send_batch([('a', 1), ('b', float('nan'))])
    with pytest.raises(PointError, match=r'points\[1\]'):
        px.send_batch([('a', 1), ('b',)])
    assert px.buffer_size() == 0


def test_many_threads_send_at_once_and_nothing_is_missing(px, local_gateway):
    def work(number: int) -> None:
        for index in range(500):
            px.send(f'm{number}', index, timestamp=NOW_S + index)
        with px.batch(interval_ms=5) as batch:
            for index in range(500, 1000):
                batch.send(f'm{number}', index, timestamp=NOW_S + index)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert px.flush_buffer()
    for number in range(8):
        assert local_gateway.samples(px.source_id, f'm{number}') == [
            (NOW_MS + index * 1000, index) for index in range(1000)]


def test_a_wrong_key_is_told_by_every_send_and_nothing_is_lost(connect, local_gateway, capfd):
    px = connect(local_gateway.url, 'plx_wrong', 'kiln-wrong')
    started = time.monotonic()
    for value in (1, 2, 3):
        with pytest.raises(AuthenticationError):
            px.send('m', value, timestamp=NOW_S + value)
    assert time.monotonic() - started < 3  # the first wait ends with the refusal
    px.timeout = 0.2
    with pytest.raises(AuthenticationError, match='3 points'):
        px.flush_buffer()
    assert px.buffer_size() == 3
    px.close()
    assert capfd.readouterr().err.count('auth rejected') == 1

    again = connect(local_gateway.url, local_gateway.key, 'kiln-wrong')
    assert again.buffer_size() == 3
    assert again.flush_buffer()
    assert [value for _, value in local_gateway.samples('kiln-wrong', 'm')] == [1, 2, 3]


def test_a_gateway_out_of_reach_costs_one_short_wait_and_keeps_everything(connect, capfd):
    px = connect('http://127.0.0.1:9')
    started = time.monotonic()
    for value in range(100):
        assert px.send('m', value)
    assert time.monotonic() - started < 2
    assert px.buffer_size() == 100
    px.timeout = 0.3
    with pytest.raises(LinkError, match='100 points are not confirmed'):
        px.flush_buffer()
    px.close()
    said = capfd.readouterr().err
    assert said.count('[plexus] not connected') == 1
    assert '[plexus] 100 points are not confirmed; they are on disk' in said


def test_status_lines_tell_what_happens_unless_they_are_silenced(
        connect, local_gateway, capfd, monkeypatch):
    px = connect(local_gateway.url, local_gateway.key, 'kiln-talks')
    px.send('m', 1)
    px.flush_buffer()
    px.close()
    assert capfd.readouterr().err.splitlines() == [
        f'[plexus] connected as kiln-talks ({local_gateway.url})',
        '[plexus] first 1 points landed (via ws)']
    monkeypatch.setenv('PLEXUS_QUIET', 'Yes')
    px = connect(local_gateway.url, local_gateway.key, 'kiln-talks')
    px.send('m', 1)
    px.flush_buffer()
    px.close()
    assert capfd.readouterr().err == ''


def test_by_http_alone_no_socket_is_opened(connect):
    with ScriptedIngest(lambda body: (200, {'count': len(body['points'])}, {})) as gateway:
        px = connect(gateway.url, transport='http')
        assert px.send('m', 1)
        assert px.flush_buffer()
        assert gateway.upgrades == 0
        assert gateway.headers[0]['User-Agent'].startswith('plexus-bridge/')
        assert 'plexus-python/' in gateway.headers[0]['User-Agent']


def test_one_source_has_one_sender_and_another_is_told_clearly(connect):
    px = connect('http://127.0.0.1:9')
    words = f'source kiln-7: .*pid {os.getpid()}.*buffer_path'
    with pytest.raises(JournalInUseError, match=words):
        connect('http://127.0.0.1:9')
    px.close()
    connect('http://127.0.0.1:9')


def test_another_file_may_be_named_and_memory_alone_be_used(connect, tmp_path):
    path = tmp_path / 'deep' / 'points.db'
    px = connect('http://127.0.0.1:9', buffer_path=str(path))
    px.send('m', 1)
    px.close()
    assert path.exists()
    px = connect('http://127.0.0.1:9', persistent_buffer=False, timeout=0.2)
    px.send('m', 1)
    assert px.buffer_size() == 1
    px.close()
    assert connect('http://127.0.0.1:9', persistent_buffer=False).buffer_size() == 0


def test_the_journal_is_not_the_bridges(connect, tmp_path):
    connect('http://127.0.0.1:9')
    assert (tmp_path / 'home' / 'journal' / 'python' / 'kiln-7.db').exists()
    assert not (tmp_path / 'home' / 'journal' / 'kiln-7.db').exists()


def test_after_close_and_after_a_fork_it_says_so(connect):
    px = connect('http://127.0.0.1:9', timeout=0.2)
    answers = multiprocessing.get_context('fork').SimpleQueue()

    def in_child() -> None:
        try:
            px.send('m', 1)
        except PlexusError as error:
            answers.put(str(error))

    child = multiprocessing.get_context('fork').Process(target=in_child)
    child.start()
    child.join()
    assert 'forked' in answers.get()
    with px:
        pass
    for call in (lambda: px.send('m', 1), px.flush_buffer, lambda: px.serve(0.1),
                 lambda: px.on_command('a', print)):
        with pytest.raises(PlexusError, match='closed'):
            call()
    px.close()  # twice is harmless


def test_serving_ends_by_signal_by_word_and_by_time_and_closes(connect, local_gateway):
    before = signal.getsignal(signal.SIGTERM)
    for number, stop in enumerate((
            lambda px: os.kill(os.getpid(), signal.SIGTERM), lambda px: px.stop_serving())):
        px = connect(local_gateway.url, local_gateway.key, f'kiln-serves-{number}')
        timer = threading.Timer(0.2, stop, [px])
        timer.start()
        px.serve(timeout=20)
        timer.join()
        with pytest.raises(PlexusError, match='closed'):
            px.send('m', 1)
    started = time.monotonic()
    connect(local_gateway.url, local_gateway.key, 'kiln-serves-2').serve(timeout=0.1)
    assert 0.1 <= time.monotonic() - started < 5
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_package_offers_the_api_without_loading_it_for_others():
    assert plexus_bridge.Plexus is Plexus
    assert set(plexus_bridge.__all__) <= set(dir(plexus_bridge))
    for name in plexus_bridge.__all__:
        assert getattr(plexus_bridge, name) is not None
    with pytest.raises(AttributeError, match='Nobody'):
        plexus_bridge.Nobody  # noqa: B018


def test_arguments_that_are_none_are_told(connect):
    for more in ({'timeout': 0}, {'timeout': float('nan')}, {'max_buffer_size': 0}):
        with pytest.raises(ValueError, match=next(iter(more))):
            connect('http://127.0.0.1:9', **more)
    connect('http://127.0.0.1:9')  # nothing was left open


def test_a_limit_of_points_lets_the_oldest_make_room_counted_and_told(
        connect, monkeypatch, capfd, wait_until):
    # What is still in memory is not lost, so none is to be there.
    monkeypatch.setattr('plexus_bridge.delivery.outbox.MAX_FRESH_BYTES', 0)
    px = connect('http://127.0.0.1:9', timeout=0.3, max_buffer_size=100)
    assert px.max_buffer_size == 100
    for start in range(0, 500, 50):
        px.send_batch([('m', value) for value in range(start, start + 50)])
        # One frame each.
        wait_until(lambda: len(px._sender.queue) == 0, 'it is flushed')
    assert px.buffer_size() <= 150
    lost = px.lost_points['journal_full']
    assert lost >= 350
    px.max_buffer_size = 10_000
    px.send_batch([('m', value) for value in range(500)])
    px.close()
    assert px.lost_points['journal_full'] == lost
    for limit in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match='max_buffer_size'):
            px.max_buffer_size = limit


def test_what_no_disk_took_and_no_gateway_is_told_as_lost_at_the_end(connect, monkeypatch, capfd):
    def refuse(*_: object) -> None:
        raise JournalError('points.db: cannot be written: database or disk is full')

    px = connect('http://127.0.0.1:9', timeout=0.3)
    px.send('kept', 1)
    px._sender.wait_until_delivered(0.3)
    monkeypatch.setattr(px._sender._journal, 'write', refuse)
    px.send_batch([('lost', value) for value in range(7)])
    px.close()
    told = capfd.readouterr().err
    assert '7 points could be neither delivered nor written to disk; they are lost' in told
    assert '1 points are not confirmed; they are on disk' in told


def test_failed_requests_are_repeated_as_the_caller_wants(connect):
    answers = [(503, {}, {})] * 4

    def answer(body):
        return answers.pop() if answers else (200, {'count': len(body['points'])}, {})

    with ScriptedIngest(answer) as gateway:
        px = connect(gateway.url, transport='http', retry_config=RetryConfig(
            base_delay=0.01, max_delay=0.02, jitter=False))
        started = time.monotonic()
        px.send('m', 1)
        assert px.flush_buffer()
        assert time.monotonic() - started < 1
        assert len(gateway.bodies) == 5
    with pytest.raises(ValueError, match='retry_config'):
        RetryConfig(base_delay=5, max_delay=1)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Where the official SDK loses data (protocol sections 14 and 20), this does not: a test for each.

What the link below takes care of alone (acknowledgements, goodbyes, Retry-After …) is tested with
it; here is what a program does by the Python API.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from gateway_client import free_port
import pytest
from scripted_gateway import ScriptedIngest
from scripted_gateway import ScriptedSocket

from plexus_bridge import RateLimitedError

NOW_S = 1_790_000_000
NOW_MS = NOW_S * 1000
ROOT = Path(__file__).parents[2]


def stored(body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
    return 200, {'success': True, 'count': len(body['points'])}, {}


def points_of(bodies: list[dict[str, Any]]) -> list[Any]:
    return [point['value'] for body in bodies for point in body['points']]


class Acknowledging:
    """A device socket that lets everybody in and acknowledges all; `points` has what came."""

    def __init__(self, offset_ms: int = 0, answer: Callable[[dict[str, Any]], Any] | None = None):
        self.points: list[dict[str, Any]] = []
        self.frames: list[int] = []
        self._offset_ms = offset_ms
        self._answer = answer

    def __call__(self, connection: Any) -> None:
        with contextlib.suppress(Exception):  # the client goes when it likes
            json.loads(connection.recv())
            connection.send(json.dumps({
                'type': 'authenticated', 'acks': True,
                'server_time_ms': time.time() * 1000 + self._offset_ms}))
            while True:
                self._take(connection, json.loads(connection.recv()))

    def _take(self, connection: Any, message: dict[str, Any]) -> None:
        if message['type'] != 'telemetry':
            return
        answer = self._answer(message) if self._answer else None
        if answer is None:
            self.points += message['points']
            self.frames.append(len(message['points']))
            answer = {'type': 'telemetry_ack'}
        connection.send(json.dumps({**answer, 'seq': message['seq']}))


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start Python programs with a home of the test's own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(script: str, **environment: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(
            [sys.executable, '-c', script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            cwd=tmp_path, env={
                **os.environ, 'PLEXUS_HOME': str(tmp_path / 'home'), 'PYTHONPATH': str(ROOT),
                'PLEXUS_QUIET': '1', **environment}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


# -- 14.5: a drained chunk, or what is unacknowledged, dies with the process

def test_a_killed_process_loses_nothing_that_was_flushed(program, connect):
    script = '''
import time
from plexus_bridge import Plexus
px = Plexus('plx_k', source_id='kiln-7', gateway_url='http://127.0.0.1:9')
for value in range(500):
    px.send('m', value)
time.sleep(0.5)  # flush_ms is 100
print('sent', flush=True)
time.sleep(60)
'''
    process = program(script)
    assert process.stdout.readline() == b'sent\n'
    process.send_signal(signal.SIGKILL)
    process.wait()
    with ScriptedIngest(stored) as gateway:
        px = connect(gateway.url, transport='http')
        assert px.buffer_size() == 500
        assert px.flush_buffer()
        assert points_of(gateway.bodies) == list(range(500))


# -- 14.6: at exit nothing is flushed; here it is, and what is not is on disk

def test_a_program_that_just_ends_has_sent_everything(program, local_gateway, tmp_path):
    script = '''
from plexus_bridge import Plexus
px = Plexus(source_id='just-ends')
for value in range(2000):
    px.send('m', value, timestamp=1790000000 + value)
'''
    process = program(script, **local_gateway.environment(tmp_path / 'home_ends'))
    assert process.wait(30) == 0
    assert len(local_gateway.samples('just-ends', 'm')) == 2000


def test_what_is_left_at_exit_goes_out_with_the_next_start(program, local_gateway, tmp_path):
    environment = local_gateway.environment(tmp_path / 'home_left')
    script = '''
from plexus_bridge import Plexus
px = Plexus(source_id='left-over', timeout=0.5)
px.send('m', 7, timestamp=1790000000)
'''
    offline = {'PLEXUS_GATEWAY_URL': 'http://127.0.0.1:9',
               'PLEXUS_GATEWAY_WS_URL': 'ws://127.0.0.1:9'}
    assert program(script, **{**environment, **offline}).wait(30) == 0
    nothing_new = "from plexus_bridge import Plexus; Plexus(source_id='left-over').flush_buffer()"
    assert program(nothing_new, **environment).wait(30) == 0
    assert local_gateway.samples('left-over', 'm') == [(NOW_MS, 7)]


# -- 14.5: an idle client keeps its backlog, because only the next send drains it

def test_a_backlog_goes_out_by_itself_once_the_gateway_is_there(connect, wait_until):
    gateway = ScriptedIngest(stored)
    with gateway:
        px = connect(f'http://127.0.0.1:{free_port()}')
        px.send('m', 1)
        assert px.buffer_size() == 1
    # The same program, idle: only the gateway comes up, where it was looked for.
    port = int(px.gateway_url.rsplit(':', 1)[1])
    with late_gateway(port) as taken:
        wait_until(lambda: px.buffer_size() == 0, 'the backlog goes out by itself', 10)
        assert [point['value'] for point in taken] == [1]


@contextlib.contextmanager
def late_gateway(port: int) -> Iterator[list[dict[str, Any]]]:
    from websockets.sync.server import serve
    script = Acknowledging()
    server = serve(script, '127.0.0.1', port, compression=None, close_timeout=0.2)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield script.points
    server.shutdown()
    thread.join()


# -- 14.5: a backlog over 5,000 points is sent in a rotated order

def test_a_long_backlog_arrives_in_order(connect):
    px = connect('http://127.0.0.1:9', timeout=1)
    for start in range(0, 12_000, 1000):
        px.send_batch([('m', value) for value in range(start, start + 1000)])
    px.close()
    script = Acknowledging()
    with ScriptedSocket(script) as gateway:
        px = connect(gateway.url)
        assert px.flush_buffer()
        assert [point['value'] for point in script.points] == list(range(12_000))


# -- 14.5 and 20: one point that is refused holds up, or takes along, all others

@pytest.mark.parametrize('status', [400, 413, 422])
def test_one_refused_point_costs_one_point_by_http(connect, status):
    def refuse_seven(body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if 7 in [point['value'] for point in body['points']]:
            return status, {'error': 'points[?] is bad'}, {}
        taken.extend(point['value'] for point in body['points'])
        return stored(body)

    taken: list[int] = []
    with ScriptedIngest(refuse_seven) as gateway:
        px = connect(gateway.url, transport='http')
        px.send_batch([('m', value) for value in range(100)])
        assert px.flush_buffer()
        assert sorted(taken) == [value for value in range(100) if value != 7]
        assert sum(px.lost_points.values()) == 1


def test_one_refused_point_costs_one_point_on_the_socket_and_is_told(connect, capfd):
    def refuse_seven(message: dict[str, Any]) -> Any:
        if 7 in [point['value'] for point in message['points']]:
            return {'type': 'error', 'code': 'INVALID_MESSAGE', 'detail': 'points[?]'}
        return None

    script = Acknowledging(answer=refuse_seven)
    with ScriptedSocket(script) as gateway:
        px = connect(gateway.url)
        px.send_batch([('m', value) for value in range(100)])
        assert px.flush_buffer()
        px.close()
        assert sorted(point['value'] for point in script.points if point['metric'] == 'm') == [
            value for value in range(100) if value != 7]
        assert sum(px.lost_points.values()) == 1
    assert '1 points are lost' in capfd.readouterr().err


# -- 5.4: a redirect counts as success

@pytest.mark.parametrize('status', [301, 302, 307, 308])
def test_a_redirect_is_no_success(connect, status):
    answers = [(status, {}, {'Location': '/elsewhere'})]

    def answer(body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        return answers[0] if answers else stored(body)

    with ScriptedIngest(answer) as gateway:
        px = connect(gateway.url, transport='http', timeout=0.3)
        px.send('m', 1)
        with pytest.raises(Exception, match='1 points are not confirmed'):
            px.flush_buffer()
        answers.clear()
        px.timeout = 5
        assert px.flush_buffer()
        assert px.lost_points == {}


# -- 14.7: drops that nobody hears of, above all with batch()

def test_drops_by_http_are_counted_and_raised_once_even_from_a_batch(connect):
    with ScriptedIngest(
            lambda body: (200, {'count': 0, 'dropped': len(body['points'])}, {})) as gateway:
        px = connect(gateway.url, transport='http')
        with px.batch(interval_ms=5) as batch:
            batch.send('m', 1)
        assert px.flush_buffer()
        assert px.buffer_size() == 0
        assert px.dropped_points == 1
        with pytest.raises(RateLimitedError, match='1 points'):
            px.send('m', 2)
        assert px.flush_buffer()
        assert px.dropped_points == 2
        assert dict(px.lost_points) == {'gateway_dropped': 2}


def test_an_older_gateway_that_skips_points_without_a_word_is_found_out(connect):
    with ScriptedIngest(lambda body: (200, {'count': 0}, {})) as gateway:
        px = connect(gateway.url, transport='http')
        with pytest.raises(RateLimitedError):
            px.send('m', 1)
        assert px.flush_buffer()
        assert px.dropped_points == 1


@pytest.mark.parametrize('code', ['RATE_LIMITED', 'SOURCE_LIMIT', 'DEVICE_LIMIT'])
def test_frames_that_the_gateway_throws_away_are_counted_and_raised_once(connect, code):
    script = Acknowledging(answer=lambda message: {'type': 'error', 'code': code})
    with ScriptedSocket(script) as gateway:
        px = connect(gateway.url)
        px.send('m', 1)
        assert px.flush_buffer()
        assert px.rate_limited_frames == 1
        with pytest.raises(RateLimitedError):
            px.send('m', 2)
        assert px.send('m', 3) or px.rate_limited_frames > 1


# -- 6.11, 20.5: a message for each reading is over the limit of messages

def test_thousands_of_single_sends_are_few_messages(connect):
    script = Acknowledging()
    with ScriptedSocket(script) as gateway:
        px = connect(gateway.url)
        started = time.monotonic()
        for value in range(5000):
            px.send('m', value)
        assert px.flush_buffer()
        seconds = time.monotonic() - started
        assert len(script.points) == 5000
        # One for each tenth of a second, and for each 128 kB.
        assert len(script.frames) <= 10 * seconds + 10


# -- 14.4, 20.1: the first reading is stamped before the clock is known

def test_the_first_reading_already_has_the_gateways_time(connect):
    script = Acknowledging(offset_ms=12_000)
    with ScriptedSocket(script) as gateway:
        px = connect(gateway.url)
        before = time.time() * 1000
        px.send('m', 1)
        with px.batch() as batch:
            batch.send('m', 2)
        assert px.flush_buffer()
    for point in script.points:
        assert abs(point['timestamp'] - before - 12_000) < 2000


def test_a_stamp_of_the_callers_is_never_shifted(connect):
    script = Acknowledging(offset_ms=12_000)
    with ScriptedSocket(script) as gateway:
        px = connect(gateway.url)
        px.send('m', 1, timestamp=NOW_S + 0.25)
        px.send_batch([('m', 2, NOW_S), ('m', 3)], timestamp=NOW_S + 1)
        assert px.flush_buffer()
    assert [point['timestamp'] for point in script.points] == [
        NOW_MS + 250, NOW_MS, NOW_MS + 1000]


# -- 14.4: stamps of a clock that counts from its start are scaled twice

def test_old_stamps_are_scaled_once(connect, local_gateway):
    px = connect(local_gateway.url, local_gateway.key, 'old-stamps')
    px.send('m', 1, timestamp=3600.5)
    px.send_batch([('m', 2, 86_400.0), ('m', 3)], timestamp=31_536_000)
    assert px.flush_buffer()
    assert local_gateway.samples('old-stamps', 'm') == [
        (3_600_500, 1), (86_400_000, 2), (31_536_000_000, 3)]


# -- 14.3: a batch drops its oldest readings

def test_a_batch_that_is_full_hands_on_instead_of_dropping(connect):
    px = connect('http://127.0.0.1:9', timeout=0.5)
    with px.batch(interval_ms=60_000, max_pending=100) as batch:
        for value in range(1000):
            batch.send('m', value)
        assert batch.pending < 100
    assert batch.dropped == 0
    assert px.buffer_size() == 1000


# -- a refused key

def test_what_is_sent_while_the_key_is_refused_arrives_once_it_is_let_in(connect):
    answers = [(401, {'error': 'invalid API key'}, {})]

    def answer(body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        return answers[0] if answers else stored(body)

    with ScriptedIngest(answer) as gateway:
        px = connect(gateway.url, transport='http')
        for value in range(3):
            with pytest.raises(Exception, match='401'):
                px.send('m', value)
        answers.clear()
        assert px.flush_buffer()
        assert sorted(set(points_of(gateway.bodies))) == [0, 1, 2]
        assert px.send('m', 3)


# -- 2.7, 14.2: a plan without the socket

def test_a_plan_without_the_socket_gets_all_by_http_and_waits_for_nothing(connect, capfd):
    def refuse(connection: Any) -> None:
        connection.recv()
        connection.send(json.dumps({'type': 'error', 'code': 'streaming_requires_plan'}))

    with ScriptedSocket(refuse) as sockets, ScriptedIngest(stored) as gateway:
        px = connect(gateway.url, ws_url=sockets.url)
        started = time.monotonic()
        for value in range(50):
            assert px.send('m', value)
        assert px.send_video_frame(b'\xff\xd8\xff\xd9') is False
        assert time.monotonic() - started < 2  # the official SDK waits 5 s, and 5 s for a picture
        assert px.flush_buffer()
        assert points_of(gateway.bodies) == list(range(50))
        assert px.lost_points == {'video_offline': 1}
    assert 'the plan does not include the device socket' in capfd.readouterr().err


# -- 14.7: losses are told where people look, too

def test_a_loss_becomes_an_event_once_it_has_ended(connect, wait_until, monkeypatch):
    monkeypatch.setattr('plexus_bridge.delivery.losses.QUIET_S', 0.2)
    script = Acknowledging(answer=lambda message: None if message['points'][0]['class'] == 'event'
                           else {'type': 'error', 'code': 'SOURCE_LIMIT'})
    with ScriptedSocket(script) as gateway:
        px = connect(gateway.url)
        px.send('m', 1)
        wait_until(lambda: script.points, 'the gateway hears of the loss')
    [event] = script.points
    assert event['metric'] == 'plexus.data_lost'
    assert event['value']['points'] == 1

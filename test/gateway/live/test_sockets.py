# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
import socket
from typing import Any

import pytest

from plexus_bridge.gateway import web_socket
from plexus_bridge.gateway.access import first_message
from plexus_bridge.gateway.access.keys import create_key
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import read_entries
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.live import sockets
from plexus_bridge.protocol.video import Picture

NOW_MS = 1_790_000_000_000
SOURCE = '/v1/sources/kiln-7'
STREAMS = {'metrics': 4401, 'logs': 4401, 'events': 4401, 'video': 4001}
JPEG = b'\xff\xd8' + bytes(200) + b'\xff\xd9'

each_stream = pytest.mark.parametrize(
    ('path', 'code'), [(f'{SOURCE}/{name}/stream', code) for name, code in STREAMS.items()],
    ids=list(STREAMS))


@pytest.fixture
def on_loop(server: Any, gateway: Gateway) -> Callable[..., Any]:
    """Call something on the server's loop."""
    running, _ = server

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        found = []

        async def run() -> None:
            found.append(function(*arguments))

        running.call(run())
        return found[0]

    return call


@pytest.fixture
def show(gateway: Gateway, on_loop: Callable[..., Any]) -> Callable[..., None]:
    """Have a device send a picture."""
    def send(camera_id: str, picture: bytes = JPEG) -> None:
        on_loop(gateway.hub.publish_video, 'kiln-7',
                Picture('', camera_id, 640, 480, NOW_MS, picture))

    return send


@pytest.fixture
def make_key(gateway: Gateway, on_loop: Callable[..., Any]) -> Callable[[set[str]], str]:
    """Make a key with these scopes."""
    def make(scopes: set[str]) -> str:
        connection = gateway.store._connection
        key = create_key(connection, KeyRequest(scopes=frozenset(scopes)), NOW_MS)
        on_loop(gateway.keys.renew, read_entries(connection), NOW_MS)
        return key

    return make


class TestLettingIn:

    @each_stream
    @pytest.mark.parametrize('auth', [
        {'type': 'auth', 'api_key': 'plx_wrong'}, {'type': 'auth', 'api_key': ''},
        {'type': 'auth'}, {'type': 'auth', 'api_key': 7}, {'type': 'subscribe'}, [], 'no JSON',
        '"auth"', '\0'])
    def test_without_a_key_the_stream_ends_with_its_own_code(
            self, stream: Callable[..., Any], path: str, code: int, auth: object):
        assert stream(path, auth=auth).receive() == {'close': code}

    @each_stream
    def test_a_binary_message_is_no_key(self, stream: Callable[..., Any], path: str, code: int):
        opened = stream(path, auth='')
        assert opened.receive() == {'close': code}

    @each_stream
    def test_who_says_nothing_is_sent_away(
            self, client: Any, monkeypatch: pytest.MonkeyPatch, path: str, code: int):
        monkeypatch.setattr(first_message, 'AUTH_TIMEOUT_S', 0.05)
        opened = client.stranger(path)
        assert opened.receive() == {'close': code}
        opened.close()

    @each_stream
    @pytest.mark.parametrize(('scopes', 'enough'), [('read', True), ('write', False), ('*', True)])
    def test_the_key_must_be_one_that_may_read(
            self, make_key: Any, stream: Any, path: str, code: int, scopes: str, enough: bool,
            gateway: Gateway, wait_for: Any):
        opened = stream(path, auth={'type': 'auth', 'api_key': make_key({scopes})})
        if enough:
            wait_for(lambda: 'kiln-7' in gateway.hub._audiences, 'the viewer is there')
        else:
            assert opened.receive() == {'close': code}

    @each_stream
    def test_a_stream_ends_when_its_key_is_revoked(
            self, client: Any, stream: Any, gateway: Gateway, path: str, code: int, on_loop: Any,
            wait_for: Any):
        opened = stream(path)
        wait_for(lambda: 'kiln-7' in gateway.hub._audiences, 'the viewer is there')
        on_loop(gateway.keys.renew, [], NOW_MS)
        if 'video' in path:
            assert opened.receive()['type'] == 'init'
        assert opened.receive() == {'close': code}

    def test_hundreds_who_say_nothing_hinder_nobody(
            self, client: Any, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(first_message, 'AUTH_TIMEOUT_S', 1.5)
        request = (f'GET {SOURCE}/metrics/stream HTTP/1.1\r\nHost: localhost\r\n'
                   'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
                   'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n').encode()
        idle = []
        for _ in range(400):
            idle.append(socket.create_connection(('127.0.0.1', client.port), timeout=20))
            idle[-1].sendall(request)
        assert client.get('/v1/sources') == {'devices': []}
        for each in idle:
            answer = b''
            while not answer.endswith(b'unauthorized'):
                part = each.recv(4096)
                assert part, answer
                answer += part
            each.close()


class TestMetrics:

    def test_a_stored_point_is_shown(self, client: Any, device: Any, stream: Any, gateway: Any,
                                     wait_for: Any):
        viewer = stream(f'{SOURCE}/metrics/stream?metrics=battery.percent,cpu')
        wait_for(lambda: gateway.hub.metric_viewers('kiln-7'), 'the viewer is there')
        device().telemetry(1, ('battery.percent', 86.5, NOW_MS), ('hidden', 1, NOW_MS))
        assert viewer.receive() == {'type': 'telemetry', 'points': [
            {'source_id': 'kiln-7', 'metric': 'battery.percent', 'value': 86.5,
             'timestamp': NOW_MS, 'class': 'metric', 'alert': 0}]}
        assert client.samples('kiln-7', 'battery.percent') == [(NOW_MS, 86.5)]

    def test_points_by_http_are_shown_as_well(
            self, client: Any, stream: Any, gateway: Any, wait_for: Any):
        viewer = stream(f'{SOURCE}/metrics/stream')
        wait_for(lambda: gateway.hub.metric_viewers('kiln-7'), 'the viewer is there')
        client.post('/ingest', {'source_id': 'kiln-7', 'points': [{'metric': 'a', 'value': 1}]})
        assert viewer.receive()['points'][0]['metric'] == 'a'

    def test_a_viewer_that_leaves_is_forgotten(self, stream: Any, gateway: Any, wait_for: Any):
        viewer = stream(f'{SOURCE}/metrics/stream')
        wait_for(lambda: gateway.hub.metric_viewers('kiln-7') == 1, 'the viewer is there')
        viewer.close()
        wait_for(lambda: gateway.hub.metric_viewers('kiln-7') == 0, 'the viewer is gone')

    def test_what_a_viewer_says_later_has_no_meaning(
            self, client: Any, stream: Any, gateway: Any, wait_for: Any):
        viewer = stream(f'{SOURCE}/metrics/stream')
        wait_for(lambda: gateway.hub.metric_viewers('kiln-7'), 'the viewer is there')
        for word in ('ready', '{"type":"subscribe"}', '\0'):
            viewer.send(word)
        client.post('/ingest', {'source_id': 'kiln-7', 'points': [{'metric': 'a', 'value': 1}]})
        assert viewer.receive()['points'][0]['metric'] == 'a'


class TestEvents:

    @pytest.mark.parametrize('name', ['logs', 'events'])
    def test_both_paths_show_events(
            self, client: Any, stream: Any, gateway: Any, wait_for: Any, name: str):
        viewer = stream(f'{SOURCE}/{name}/stream')
        wait_for(lambda: 'kiln-7' in gateway.hub._audiences, 'the viewer is there')
        client.post('/ingest', {'source_id': 'kiln-7', 'points': [
            {'metric': 'nav.goal_reached', 'value': 'dock', 'timestamp': NOW_MS},
            {'metric': 'a', 'value': 1}]})
        assert viewer.receive() == {
            'type': 'event', 'source_id': 'kiln-7', 'metric': 'nav.goal_reached',
            'value': 'dock', 'timestamp': NOW_MS, 'class': 'event'}


class TestVideo:

    def test_nobody_home(self, stream: Any):
        viewer = stream(f'{SOURCE}/video/stream')
        assert viewer.receive() == {'type': 'init', 'online_sources': []}

    def test_init_names_the_cameras_and_then_the_chosen_ones_come(
            self, device: Any, stream: Any, gateway: Any, show: Any, on_loop: Any, wait_for: Any):
        device()
        on_loop(gateway.hub.add_cameras, 'kiln-7', ['front', 'rear', 'left'])
        viewer = stream(f'{SOURCE}/video/stream?camera_id=front&camera_id=rear')
        assert viewer.receive() == {'type': 'init', 'online_sources': [
            {'source_id': 'kiln-7', 'cameras': ['front', 'rear', 'left']}]}
        wait_for(lambda: gateway.hub.viewers('kiln-7', 'rear'), 'the viewer is there')
        for camera_id in ('left', 'rear', 'front'):
            show(camera_id)
        assert [viewer.receive()['camera_id'] for _ in range(2)] == ['rear', 'front']

    def test_without_a_camera_it_is_the_default_one(
            self, stream: Any, gateway: Any, show: Any, wait_for: Any):
        viewer = stream(f'{SOURCE}/video/stream')
        viewer.receive()
        wait_for(lambda: gateway.hub.viewers('kiln-7', 'default'), 'the viewer is there')
        show('camera:0')
        show('default')
        assert viewer.receive()['camera_id'] == 'default'

    def test_a_stream_ends_when_its_time_is_over(self, stream: Any):
        viewer = stream(f'{SOURCE}/video/stream?timeout=0.1')
        assert viewer.receive()['type'] == 'init'
        assert viewer.receive() == {'close': 4008}

    @pytest.mark.parametrize('timeout', ['x', '0', '-1', 'nan', '1e999x'])
    def test_a_time_that_is_none(self, stream: Any, timeout: str):
        viewer = stream(f'{SOURCE}/video/stream?timeout={timeout}')
        assert viewer.receive() == {'close': 1008}

    @pytest.mark.parametrize(('text', 'seconds'), [
        ('', 600.0), ('60', 60.0), ('0.5', 0.5), ('1e9', sockets.MAX_VIDEO_S),
        ('inf', sockets.MAX_VIDEO_S)])
    def test_times(self, text: str, seconds: float):
        assert sockets.read_timeout(text) == seconds

    def test_a_viewer_that_does_not_read_loses_frames_and_others_see_them(
            self, stream: Any, gateway: Any, show: Any, wait_for: Any):
        slow = stream(f'{SOURCE}/video/stream?camera_id=front')
        wait_for(lambda: gateway.hub.viewers('kiln-7', 'front') == 1, 'the slow one is there')
        picture = b'\xff\xd8' + bytes(700_000) + b'\xff\xd9'
        dropped = gateway.store.counters.dropped
        frames = 0
        while not dropped().get('live_video_frames'):
            show('front', picture)
            frames += 1
            assert frames < 100, 'nothing was dropped'
        quick = stream(f'{SOURCE}/video/stream?camera_id=front')
        assert quick.receive()['type'] == 'init'
        wait_for(lambda: gateway.hub.viewers('kiln-7', 'front') == 2, 'the quick one is there')
        for _ in range(20):
            show('front')
            assert quick.receive()['type'] == 'video_frame'
        assert dropped()['live_video_frames'] >= 20
        assert slow.receive()['type'] == 'init'
        assert slow.receive()['type'] == 'video_frame'


    def test_a_viewer_that_does_not_read_is_cut_off_in_the_end(
            self, server: Any, stream: Any, gateway: Any, show: Any, wait_for: Any,
            monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(sockets, 'CLOSE_TIMEOUT_S', 0.1)
        monkeypatch.setattr(web_socket, 'CUT_TIMEOUT_S', 0.1)
        connections = server[0].server_state.connections
        before = set(connections)
        stream(f'{SOURCE}/video/stream?camera_id=front&timeout=0.5')
        wait_for(lambda: gateway.hub.viewers('kiln-7', 'front') == 1, 'the viewer is there')
        assert len(set(connections) - before) == 1
        while not gateway.store.counters.dropped().get('live_video_frames'):
            show('front', bytes(700_000))
        wait_for(lambda: not set(connections) - before, 'it was cut off')


class TestWhenNothingCanBeStored:

    def test_viewers_are_told_and_at_last_sent_away(
            self, stream: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(sockets, 'RECONNECT_DELAY_S', 0.05)
        gateway.store._writer.failure = 'disk full'
        metrics, video = stream(f'{SOURCE}/metrics/stream'), stream(f'{SOURCE}/video/stream')
        assert video.receive()['type'] == 'init'
        for attempt in range(1, 6):
            notice = {'type': 'gateway_reconnecting', 'attempt': attempt, 'delay_s': 0.05}
            assert metrics.receive() == notice
            assert video.receive() == {**notice, 'max_attempts': 5}
        assert metrics.receive() == video.receive() == {'close': 1011}

    def test_the_stream_goes_on_when_it_can_again(
            self, client: Any, stream: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(sockets, 'RECONNECT_DELAY_S', 0.05)
        gateway.store._writer.failure = 'disk full'
        viewer = stream(f'{SOURCE}/metrics/stream')
        assert viewer.receive()['attempt'] == 1
        gateway.store._writer.failure = None
        client.post('/ingest', {'source_id': 'kiln-7', 'points': [{'metric': 'a', 'value': 1}]})
        while (shown := viewer.receive())['type'] == 'gateway_reconnecting':
            assert shown['attempt'] < 5
        assert shown['points'][0]['metric'] == 'a'

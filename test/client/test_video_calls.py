# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures by the Python API, watched through a real gateway's live stream."""

from __future__ import annotations

import base64
from collections.abc import Iterator
import contextlib
import json
import os
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
import websocket

from plexus_bridge.errors import CameraError

JPEG = b'\xff\xd8\xff\xda\x00\x02picture\xff\xd9'


@contextlib.contextmanager
def viewer(gateway: Any, source: str, camera: str) -> Iterator[Any]:
    """A live video socket of one camera; yields a function that waits for the next frame."""
    connection = websocket.create_connection(
        f'{gateway.url.replace("http", "ws", 1)}/v1/sources/{source}/video/stream'
        f'?camera_id={camera}', timeout=20)
    connection.send(json.dumps({'type': 'auth', 'api_key': gateway.key}))

    def next_frame() -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(connection.recv())
            if message['type'] == 'video_frame':
                return message

    assert json.loads(connection.recv())['type'] == 'init'
    yield next_frame
    connection.close()


def test_a_picture_is_seen_as_it_was_sent(connect, local_gateway):
    px = connect(local_gateway.url, local_gateway.key, 'eye-1')
    px.send('m', 1)
    with viewer(local_gateway, 'eye-1', 'front') as next_frame:
        assert px.send_video_frame(JPEG, camera_id='front', timestamp=1790000000.5) is True
        frame = next_frame()
        assert base64.b64decode(frame['frame']) == JPEG
        assert frame['timestamp'] == 1_790_000_000_500
        assert px.send_video_frame(np.zeros((48, 64, 3), np.uint8), 'front')
        frame = next_frame()
        assert (frame['width'], frame['height']) == (64, 48)
        assert abs(frame['timestamp'] - time.time() * 1000) < 5000


def test_temperatures_are_seen_with_their_numbers(connect, local_gateway):
    px = connect(local_gateway.url, local_gateway.key, 'eye-2')
    px.send('m', 1)
    with viewer(local_gateway, 'eye-2', 'thermal:0') as next_frame:
        assert px.send_thermal_frame(np.linspace(20, 40, 24 * 32).reshape(24, 32))
        frame = next_frame()
        assert frame['video_type'] == 'thermal'
        assert (frame['sensor_width'], frame['temp_max'], len(frame['temps'])) == (32, 40.0, 768)


def test_without_a_socket_a_picture_is_refused_at_once_and_counted(connect):
    px = connect('http://127.0.0.1:9')
    px.send('m', 1)
    started = time.monotonic()
    for _ in range(20):
        assert px.send_video_frame(JPEG) is False
    assert time.monotonic() - started < 1  # the official SDK waits 5 s each time
    assert px.lost_points['video_offline'] == 20


def test_a_camera_is_streamed_until_it_is_stopped_and_ends_with_the_client(
        connect, local_gateway, tmp_path, monkeypatch, wait_until):
    program = tmp_path / 'ffmpeg'
    program.write_text(f'#!{sys.executable}\nimport sys, time\nwhile True:\n'
                       f'    sys.stdout.buffer.write({JPEG!r})\n    sys.stdout.flush()\n'
                       '    time.sleep(0.02)\n')
    program.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    px = connect(local_gateway.url, local_gateway.key, 'eye-3')
    px.send('m', 1)
    with viewer(local_gateway, 'eye-3', 'front') as next_frame:
        stop = px.stream_camera('rtsp://camera/1', camera_id='front')
        assert isinstance(stop, threading.Event)
        for _ in range(3):
            assert base64.b64decode(next_frame()['frame']) == JPEG
        stop.set()
    other = px.stream_camera('rtsp://camera/2', camera_id='rear')
    px.close()
    assert other.is_set()
    wait_until(lambda: not [thread for thread in threading.enumerate()
                            if thread.name.startswith('plexus-camera')], 'its threads end')


def test_bad_arguments_and_a_missing_ffmpeg_are_told_at_once(connect, monkeypatch, tmp_path):
    px = connect('http://127.0.0.1:9', timeout=0.2)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(CameraError, match='ffmpeg'):
        px.stream_camera('rtsp://camera/1')
    for more in ({'fps': 0}, {'quality': 0}):
        with pytest.raises(ValueError, match='expected'):
            px.stream_camera('rtsp://camera/1', **more)

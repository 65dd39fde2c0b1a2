# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures that agents upload: kept, listed, bounded; forms that are none."""

from __future__ import annotations

import os
from pathlib import Path
import random
from typing import Any

import pytest
import requests

from plexus_bridge.errors import RequestError
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.frames.folder import FrameFolder
from plexus_bridge.gateway.frames.multipart import read_form
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.limits import Ceilings
from plexus_bridge.gateway.limits import Limits

NOW_MS = 1_790_000_000_000
JPEG = b'\xff\xd8' + bytes(range(256)) * 40 + b'\r\n--\r\n\xff\xd9'
FIELDS = {'source_id': 'cam-1', 'camera_id': 'camera:0', 'timestamp': str(NOW_MS)}


def upload(client: Any, jpeg: bytes | None = JPEG, **fields: str | None) -> requests.Response:
    form = {**FIELDS, **fields}
    answer: requests.Response = client.request(
        'POST', '/api/frames', data={name: text for name, text in form.items() if text},
        files={'frame': ('f.jpg', jpeg, 'image/jpeg')} if jpeg is not None else {'x': b''})
    return answer


def test_a_picture_is_kept_listed_and_noted_as_an_event(client: Any, tmp_path: Path):
    answer = upload(client, run_id='test-1', tags='{"zone": "1"}')
    assert answer.status_code == 200, answer.text
    frame = answer.json()['frame']
    assert (frame['camera_id'], frame['timestamp_ms'], frame['bytes']) == (
        'camera:0', NOW_MS, len(JPEG))
    assert client.get('/api/frames', source_id='cam-1') == {'frames': [frame]}
    shown = client.request('GET', frame['url'])
    assert (shown.status_code, shown.headers['Content-Type']) == (200, 'image/jpeg')
    assert shown.content == JPEG
    [event] = client.get('/v1/sources/cam-1/events', tail=1)
    assert (event['metric'], event['timestamp_ms']) == ('frame', NOW_MS)
    assert event['tags'] == {'run_id': 'test-1', 'zone': '1'}
    [file] = (tmp_path / 'frames').rglob('*.jpg')
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_whatever_a_camera_is_called_its_picture_stays_in_its_folder(
        client: Any, tmp_path: Path):
    for camera_id in ('../../key', '/etc/passwd', '..', 'Kamera ü', "'; --", '%2e%2e'):
        frame = upload(client, camera_id=camera_id).json()['frame']
        assert frame['camera_id'] == camera_id
        assert client.request('GET', frame['url']).content == JPEG
    assert {path.parent for path in tmp_path.rglob('*.jpg')} == {tmp_path / 'frames' / 'cam-1'}
    assert (tmp_path / 'key').read_text().startswith('plx_')


@pytest.mark.parametrize('path', [
    '/api/frames/cam-1/..%2F..%2Fkey', '/api/frames/cam-1/1_.jpg', '/api/frames/cam-1/%00',
    '/api/frames/cam-1/1_a.jpg%00', '/api/frames/nobody/1_a.jpg'])
def test_pictures_that_are_not_there(client: Any, path: str):
    upload(client)
    answer = client.request('GET', path)
    assert (answer.status_code, answer.json()['error']) == (404, 'NOT_FOUND')


@pytest.mark.parametrize(('fields', 'text'), [
    ({'source_id': None}, 'source_id'), ({'source_id': '../x'}, 'source_id'),
    ({'camera_id': 'x' * 65}, 'camera_id'), ({'camera_id': 'ü' * 64}, 'camera_id'),
    ({'timestamp': 'now'}, 'timestamp'), ({'timestamp': '9' * 16}, 'timestamp'),
    ({'tags': '{'}, 'tags'), ({'tags': '[]'}, 'tags'), ({'tags': '{"a": 1}'}, 'tags'),
    ({'run_id': 'x' * 201}, 'run_id'), ({'jpeg': b'<script>'}, 'JPEG'), ({'jpeg': None}, 'JPEG')])
def test_wrong_forms(client: Any, tmp_path: Path, fields: dict[str, Any], text: str):
    answer = upload(client, **fields)
    assert (answer.status_code, answer.json()['error']) == (400, 'VALIDATION_ERROR')
    assert text in answer.json()['message']
    assert not list(tmp_path.rglob('*.jpg'))


@pytest.mark.parametrize(('kind', 'body', 'status'), [
    ('multipart/form-data', b'x', 400), ('multipart/form-data; boundary=b', b'x', 400),
    ('multipart/mixed; boundary=b', b'--b\r\n\r\nx\r\n--b--', 400), ('', b'', 400),
    ('application/json', b'{}', 400), ('multipart/form-data; boundary=b', b'--b\r\n' * 99, 400),
    ('multipart/form-data; boundary=b', b'x' * (5 * 1024 * 1024 + 1), 413)])
def test_bodies_that_are_no_form(client: Any, kind: str, body: bytes, status: int):
    answer = client.post('/api/frames', body, **{'Content-Type': kind})
    assert (answer.status_code, answer.json()['error']) == (status, 'VALIDATION_ERROR')


def test_any_bytes_come_through_a_form():
    seed = random.Random(7)
    for size in (0, 1, 2, 3, 1000, 100_000):
        for alphabet in (bytes(range(256)), b'\r\n', b'\r\n-b', b'=\n', b'\x80\xff\n'):
            content = bytes(seed.choices(alphabet, k=size))
            body = (b'--limit\r\nContent-Disposition: form-data; name="frame"; filename="f"\r\n'
                    b'Content-Type: image/jpeg\r\n\r\n' + content + b'\r\n--limit--\r\n')
            form = read_form('multipart/form-data; boundary=limit', body)
            assert form['frame'].content == content


def test_the_oldest_pictures_go_when_it_gets_much(tmp_path: Path):
    frames = FrameFolder(tmp_path / 'frames', max_bytes=1000)
    for index in range(1, 11):
        kept = frames.keep(f'cam-{index % 2}', 'c', index, b'x' * 100)
        os.utime(tmp_path / 'frames' / f'cam-{index % 2}' / kept.name, ns=(index, index))
    assert len(list(tmp_path.rglob('*.jpg'))) == 10
    frames.keep('cam-0', 'c', 99, b'x' * 100)
    left = [frame.timestamp_ms for name in ('cam-0', 'cam-1') for frame in frames.newest(name)]
    assert sorted(left) == [3, 4, 5, 6, 7, 8, 9, 10, 99]
    again = FrameFolder(tmp_path / 'frames', max_bytes=150)
    again.keep('cam-0', 'c', 100, b'x' * 200)
    assert [path.name for path in tmp_path.rglob('*.jpg')] == ['100_c.jpg'], 'the newest stays'


def test_a_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / 'frames').write_text('a file')
    with pytest.raises(StoreError, match='cannot be written'):
        FrameFolder(tmp_path / 'frames').keep('cam-1', 'c', 1, JPEG)
    with pytest.raises(RequestError, match='camera_id'):
        FrameFolder(tmp_path).keep('cam-1', 'x' * 201, 1, JPEG)


def test_a_disk_that_is_full_is_told(client: Any, gateway: Gateway, tmp_path: Path):
    (tmp_path / 'frames').write_text('a file where the folder should be')
    answer = upload(client)
    assert (answer.status_code, answer.json()['error']) == (503, 'DATABASE_ERROR')


def test_the_longest_source_id_has_a_folder(client: Any):
    slug = 'a' * 256
    assert client.get('/api/frames', source_id=slug) == {'frames': []}
    assert client.request('GET', f'/api/frames/{slug}/1_a.jpg').status_code == 404
    kept = client.request('POST', '/api/frames', data={'source_id': slug}, files={
        'frame': b'\xff\xd8\xff\xd9'}).json()['frame']
    assert client.request('GET', kept['url']).content == b'\xff\xd8\xff\xd9'
    other = 'a' * 255 + 'b'
    assert client.get('/api/frames', source_id=other) == {'frames': []}


def test_pictures_count_as_messages_of_their_device(client: Any, gateway: Gateway):
    gateway.ceilings = Ceilings(Limits(max_devices=1))
    for source_id, status in (('cam-1', 200), ('cam-2', 429), ('cam-1', 200)):
        answer = client.request('POST', '/api/frames', data={'source_id': source_id}, files={
            'frame': JPEG})
        assert answer.status_code == status
    assert client.get('/v1/gateway')['dropped'] == {'device_limit': 1}

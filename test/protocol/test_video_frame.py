# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures as they come from devices of both generations (protocol section 7)."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge import encoding
from plexus_bridge.errors import RemoteProtocolError
from plexus_bridge.protocol.video_frame import read_binary_frame
from plexus_bridge.protocol.video_frame import read_text_frame
from plexus_bridge.protocol.video_frame import ReceivedFrame

TEXT = {'type': 'video_frame', 'camera_id': 'front', 'frame': '/9j/2Q==', 'width': 800,
        'height': 600, 'timestamp': 1_790_000_000_123}
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
                    lambda inner: st.lists(inner, max_size=3), max_leaves=5)


def binary(camera: bytes, source: bytes = b'rig.1', width: int = 8) -> bytes:
    return (bytes([1, len(source)]) + source + bytes([len(camera)]) + camera
            + struct.pack('>IIq', width, 6, -1) + b'\xff\xd8\xff\xd9')


def test_a_camera_whose_name_was_cut_within_a_character():
    frame = read_binary_frame(binary(b'a' * 254 + b'\xc3'))
    assert frame == ReceivedFrame('a' * 254, b'\xff\xd8\xff\xd9', 8, 6, -1)


def test_names_may_be_empty():
    assert read_binary_frame(binary(b'', b'')).camera_id == ''


def test_thermal_extras_are_kept_and_others_not():
    thermal = {'video_type': 'thermal', 'sensor_width': 2, 'sensor_height': 1, 'temp_min': 20.5,
               'temp_max': 30.25, 'temps': [20.5, 30.25]}
    frame = read_text_frame({**TEXT, **thermal, 'v': 1, 'trace_id': 'x'}, 0)
    assert frame == ReceivedFrame('front', '/9j/2Q==', 800, 600, 1_790_000_000_123, thermal)


@pytest.mark.parametrize('temps', [['a'], [float('nan')], [1.0] * 4097, 'x'])
def test_temperatures_that_are_none_are_left_out(temps: object):
    assert read_text_frame({**TEXT, 'temps': temps}, 0).extra == {}


def test_what_is_missing_is_unknown_or_now():
    frame = read_text_frame({'camera_id': '', 'frame': '/9j/2Q=='}, 77)
    assert frame == ReceivedFrame('', '/9j/2Q==', 0, 0, 77)


@pytest.mark.parametrize('change', [
    {'camera_id': None}, {'camera_id': 'c' * 256}, {'frame': None}, {'frame': ''},
    {'frame': 'no base64'}, {'frame': 'ä'}])
def test_what_cannot_be_shown_is_refused(change: dict[str, Any]):
    with pytest.raises(RemoteProtocolError):
        read_text_frame({**TEXT, **change}, 0)


@given(st.binary(max_size=80), st.integers(0, 60))
def test_no_bytes_do_harm(noise: bytes, cut: int):
    for payload in (noise, b'\x01' + noise, binary(b'front')[:cut] + noise):
        try:
            frame = read_binary_frame(payload)
        except RemoteProtocolError:
            continue
        assert frame.camera_id.encode()


@given(JSON, st.sampled_from([*TEXT, 'temps', 'temp_min', 'video_type', 'sensor_width']))
def test_no_field_does_harm(value: Any, key: str):
    try:
        frame = read_text_frame({**TEXT, key: value}, 0)
    except RemoteProtocolError:
        return
    encoding.dumps([frame.camera_id, frame.width, frame.height, frame.timestamp_ms, frame.extra])

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Video frames, written and read (protocol section 7)."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge import encoding
from plexus_bridge.errors import RemoteProtocolError
from plexus_bridge.protocol.video import decode_binary
from plexus_bridge.protocol.video import decode_text
from plexus_bridge.protocol.video import encode_binary
from plexus_bridge.protocol.video import encode_text
from plexus_bridge.protocol.video import Picture
from plexus_bridge.protocol.video import Thermal

JPEG = bytes.fromhex('FFD8FFE000000000FFD9')
# Section 7.1: built with the official client.
VECTOR = bytes.fromhex(
    '01 05 7269672E31 05 66726F6E74 00000000 00000000 0000018BCFE56800 FFD8FFE000000000FFD9')

pictures = st.builds(
    Picture, source_id=st.text(max_size=60), camera_id=st.text(max_size=60),
    width=st.integers(0, 2**32 - 1), height=st.integers(0, 2**32 - 1),
    timestamp_ms=st.integers(0, 2**53), jpeg=st.binary(min_size=1, max_size=100))


def test_a_frame_has_the_bytes_of_the_official_client():
    picture = Picture('rig.1', 'front', 0, 0, 1_700_000_000_000, JPEG)
    assert encode_binary(picture).payload == VECTOR
    assert decode_binary(VECTOR) == picture


@given(pictures)
def test_a_binary_frame_comes_back_as_it_was(picture):
    assert decode_binary(encode_binary(picture).payload) == picture


@given(pictures)
def test_a_text_frame_comes_back_as_it_was(picture):
    message = encoding.loads(encode_text(picture).payload)
    if picture.camera_id:
        assert decode_text(message) == (picture, None)


def test_long_names_are_cut_between_characters():
    frame = encode_binary(Picture('ü' * 200, 'a' * 300, 1, 1, 1, JPEG)).payload
    picture = decode_binary(frame)
    assert (picture.source_id, picture.camera_id) == ('ü' * 127, 'a' * 255)
    assert picture.jpeg == JPEG


@given(st.binary(max_size=80))
def test_whatever_comes_is_read_or_refused(payload):
    refusal = ''
    picture = None
    try:
        picture = decode_binary(payload)
    except RemoteProtocolError as error:
        refusal = str(error)
    assert refusal.startswith('video frame: saw') or (picture and picture.jpeg)


@pytest.mark.parametrize('length', range(len(VECTOR) - len(JPEG) + 1))
def test_a_frame_that_ends_early_is_refused(length):
    with pytest.raises(RemoteProtocolError, match='saw'):
        decode_binary(VECTOR[:length])


def test_temperatures_travel_beside_a_thermal_picture():
    picture = Picture('kiln-7', 'thermal:0', 320, 240, 1_790_000_000_123, JPEG)
    thermal = Thermal(4, 2, 20.126, 30.5, [20.126, 21, 22, 23, 24, 25, 26, 30.5])
    message = encoding.loads(encode_text(picture, thermal).payload)
    assert message == {
        'type': 'video_frame', 'source_id': 'kiln-7', 'camera_id': 'thermal:0',
        'frame': base64.b64encode(JPEG).decode(), 'width': 320, 'height': 240,
        'timestamp': 1_790_000_000_123, 'video_type': 'thermal', 'sensor_width': 4,
        'sensor_height': 2, 'temp_min': 20.13, 'temp_max': 30.5,
        'temps': [20.13, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 30.5]}
    assert decode_text(message) == (
        picture, Thermal(4, 2, 20.13, 30.5, (20.13, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 30.5)))


def test_too_many_temperatures_stay_at_home():
    picture = Picture('k', 't', 1, 1, 1, JPEG)
    message = encoding.loads(
        encode_text(picture, Thermal(4097, 1, 0.0, 1.0, [0.0] * 4097)).payload)
    assert 'temps' not in message


@pytest.mark.parametrize(('message', 'text'), [
    ({}, 'camera_id'), ({'camera_id': 'a'}, 'frame'),
    ({'camera_id': 1, 'frame': 'a'}, 'camera_id'),
    ({'camera_id': 'a', 'frame': ''}, 'frame'), ({'camera_id': 'a', 'frame': '!!'}, 'base64'),
    ({'camera_id': 'a', 'frame': 'abc'}, 'base64')])
def test_a_text_frame_without_its_parts_is_refused(message, text):
    with pytest.raises(RemoteProtocolError, match=text):
        decode_text(message)


def test_numbers_that_are_none_are_unknown():
    picture, thermal = decode_text({
        'camera_id': 'a', 'frame': 'AAAA', 'width': float('inf'), 'height': -3,
        'timestamp': 10**400,
        'video_type': 'thermal', 'temps': [1, 'x', True, 2.5]})
    assert (picture.width, picture.height, picture.timestamp_ms) == (0, 0, 0)
    assert thermal == Thermal(0, 0, 0.0, 0.0, (1.0, 0.0, 0.0, 2.5))

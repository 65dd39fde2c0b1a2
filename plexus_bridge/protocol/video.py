# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Video frames on the wire, written and read (protocol section 7).

A picture travels as a binary message with a short header (VID-01, section 7.1). A thermal one
travels as JSON with its temperatures beside the picture (VID-10, section 7.2), and so do all
pictures of clients before 0.5.1 and of the agents (VID-02).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import functools
import math
import re
import struct
from typing import Any

from plexus_bridge.errors import RemoteProtocolError
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import encode
from plexus_bridge.protocol.messages import Text

VERSION = 1
MAX_ID_BYTES = 255
# What the gateway takes as one message, and what a JPEG may have so that it fits in either
# shape, base64 included (section 7.3).
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_JPEG_BYTES = 750_000
# A thermal frame brings its temperatures only up to so many (section 7.2).
MAX_TEMPERATURES = 4096

# Width, height, Unix ms behind the two names.
_SIZE_AND_STAMP = struct.Struct('>IIq')
_MAX_SIDE = 2**32 - 1
# Integers beyond are no stamps, sizes or temperatures, and may not even fit a float.
_LARGEST = 2**63
_TYPE_IN_TEXT = re.compile(rb'"type"\s*:\s*"video_frame"')


@dataclass(frozen=True)
class Picture:
    """
    One picture: a whole JPEG, its size in pixels (0 if unknown) and its stamp, Unix ms.

    `source_id` is what the frame says; a gateway goes by the authenticated one.
    """

    source_id: str
    camera_id: str
    width: int
    height: int
    timestamp_ms: int
    jpeg: bytes


@dataclass(frozen=True)
class Thermal:
    """
    The temperatures behind a picture, °C: row by row, `width` × `height` of the sensor.

    `temperatures` is empty where there are more than MAX_TEMPERATURES.
    """

    width: int
    height: int
    lowest: float
    highest: float
    temperatures: Sequence[float] = ()


def encode_binary(picture: Picture) -> Binary:
    """Return a picture as a binary message (section 7.1); names are cut to 255 bytes."""
    return Binary(b''.join((
        bytes([VERSION]), _name(picture.source_id), _name(picture.camera_id),
        _SIZE_AND_STAMP.pack(
            min(picture.width, _MAX_SIDE), min(picture.height, _MAX_SIDE), picture.timestamp_ms),
        picture.jpeg)))


@functools.lru_cache(maxsize=64)
def _name(text: str) -> bytes:
    """Return length and UTF-8; unlike the reference, never with half a character at its end."""
    encoded = text.encode(errors='replace')[:MAX_ID_BYTES].decode(errors='ignore').encode()
    return bytes([len(encoded)]) + encoded


def decode_binary(payload: bytes) -> Picture:
    """
    Return the picture of a binary message (section 7.1).

    RemoteProtocolError if its version or its lengths are not right. Whether what follows the
    header is a JPEG is not looked at, but for there being something.
    """
    if payload[:1] != bytes([VERSION]):
        raise RemoteProtocolError(
            f'video frame: saw version {payload[:1].hex() or "nothing"}, expected 01')
    source_id, start = _read_name(payload, 1, 'source_id')
    camera_id, start = _read_name(payload, start, 'camera_id')
    end = start + _SIZE_AND_STAMP.size
    if len(payload) <= end:
        raise RemoteProtocolError(
            f'video frame: saw {len(payload)} bytes, expected more than the {end} of its header')
    width, height, timestamp_ms = _SIZE_AND_STAMP.unpack_from(payload, start)
    return Picture(source_id, camera_id, width, height, timestamp_ms, payload[end:])


def _read_name(payload: bytes, start: int, what: str) -> tuple[str, int]:
    end = start + 1 + payload[start] if start < len(payload) else len(payload) + 1
    if end > len(payload):
        raise RemoteProtocolError(
            f'video frame: saw {len(payload)} bytes, which end within the {what}')
    # The official client may cut a character in two.
    return payload[start + 1:end].decode(errors='replace'), end


def encode_text(picture: Picture, thermal: Thermal | None = None) -> Text:
    """Return a picture as a JSON message (section 7.2), with temperatures if it has some."""
    message: dict[str, Any] = {
        'type': 'video_frame', 'source_id': picture.source_id, 'camera_id': picture.camera_id,
        'frame': base64.b64encode(picture.jpeg).decode(), 'width': picture.width,
        'height': picture.height, 'timestamp': picture.timestamp_ms}
    if thermal is not None:
        message |= {
            'video_type': 'thermal', 'sensor_width': thermal.width,
            'sensor_height': thermal.height, 'temp_min': round(thermal.lowest, 2),
            'temp_max': round(thermal.highest, 2)}
        if 0 < len(thermal.temperatures) == thermal.width * thermal.height <= MAX_TEMPERATURES:
            message['temps'] = [round(float(value), 2) for value in thermal.temperatures]
    return encode(message)


def decode_text(message: Mapping[str, Any]) -> tuple[Picture, Thermal | None]:
    """
    Return the picture of a `video_frame` object (section 7.2), and its temperatures.

    RemoteProtocolError unless `camera_id` and `frame` are there as texts and the frame is base64;
    numbers that are missing or no numbers become 0.
    """
    camera_id, frame = message.get('camera_id'), message.get('frame')
    for name, value in (('camera_id', camera_id), ('frame', frame)):
        if type(value) is not str or not value:
            raise RemoteProtocolError(
                f"video_frame: '{name}' is required, as a non-empty string")
    try:
        jpeg = base64.b64decode(str(frame), validate=True)
    except (binascii.Error, ValueError):
        raise RemoteProtocolError("video_frame: 'frame' must be base64") from None
    source_id = message.get('source_id')
    picture = Picture(
        source_id if type(source_id) is str else '', str(camera_id), _whole(message, 'width'),
        _whole(message, 'height'), _whole(message, 'timestamp'), jpeg)
    if message.get('video_type') != 'thermal':
        return picture, None
    temperatures = message.get('temps')
    return picture, Thermal(
        _whole(message, 'sensor_width'), _whole(message, 'sensor_height'),
        _number(message.get('temp_min')), _number(message.get('temp_max')),
        tuple(_number(value) for value in temperatures[:MAX_TEMPERATURES])
        if type(temperatures) is list else ())


def is_garbled(payload: bytes) -> bool:
    """Tell whether a text message that cannot be read is a picture that is not even UTF-8."""
    if _TYPE_IN_TEXT.search(payload) is None:
        return False
    try:
        payload.decode()
    except UnicodeDecodeError:
        return True
    return False


def _number(value: object) -> float:
    if type(value) is int and abs(value) < _LARGEST:
        return float(value)
    return value if type(value) is float and math.isfinite(value) else 0.0


def _whole(message: Mapping[str, Any], name: str) -> int:
    return max(0, int(_number(message.get(name))))

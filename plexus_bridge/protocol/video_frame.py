# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Video frames as a gateway reads them: binary (protocol section 7.1) and text (section 7.2).

Both become one object, from which viewers are sent what has the form of the text frame.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import math
import re
import struct
from typing import Any

from plexus_bridge.errors import RemoteProtocolError

VERSION = 1
MAX_ID_BYTES = 255
# The extras of thermal cameras that are handed on to viewers (section 7.2).
_NUMBERS = ('sensor_width', 'sensor_height', 'temp_min', 'temp_max')
MAX_TEMPERATURES = 4096

_TYPE_IN_TEXT = re.compile(rb'"type"\s*:\s*"video_frame"')
_SIZE_AND_TIME = struct.Struct('>IIq')


@dataclass(frozen=True)
class ReceivedFrame:
    """
    One picture of one camera; `timestamp_ms` is Unix ms, width and height are 0 if unknown.

    `picture` is the JPEG, or its base64 text where it came in a text frame; `extra` are the
    further fields of thermal frames, ready for JSON.
    """

    camera_id: str
    picture: bytes | str
    width: int
    height: int
    timestamp_ms: int
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_binary_frame(payload: bytes) -> ReceivedFrame:
    """Read a binary frame; RemoteProtocolError if it is too short or of another version."""
    try:
        if payload[0] != VERSION:
            raise RemoteProtocolError(f'saw version {payload[0]} of a video frame, expected 1')
        camera_at = 2 + payload[1]  # the source in the header does not count: the socket's does
        size_at = camera_at + 1 + payload[camera_at]
        width, height, stamp = _SIZE_AND_TIME.unpack_from(payload, size_at)
    except (IndexError, struct.error):
        raise RemoteProtocolError(
            f'saw a video frame of {len(payload)} bytes, which ends within its header') from None
    # Cut to 255 bytes by the sender, the id may end within a character.
    camera = payload[camera_at + 1:size_at].decode(errors='ignore')
    jpeg = payload[size_at + _SIZE_AND_TIME.size:]
    if not jpeg:
        raise RemoteProtocolError('saw a video frame without a picture')
    return ReceivedFrame(camera, jpeg, width, height, stamp)


def read_text_frame(body: Mapping[str, Any], now_ms: int) -> ReceivedFrame:
    """Read a `video_frame` message; RemoteProtocolError says which field is wrong."""
    camera = body.get('camera_id')
    picture = body.get('frame')
    if not isinstance(camera, str) or not isinstance(picture, str):
        raise RemoteProtocolError('video_frame: expected the strings "camera_id" and "frame"')
    camera = camera.encode(errors='replace').decode()  # half a surrogate pair is no character
    if len(camera.encode()) > MAX_ID_BYTES:
        raise RemoteProtocolError(f'camera_id: expected at most {MAX_ID_BYTES} bytes')
    try:
        empty = not base64.b64decode(picture, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteProtocolError(f'frame: is not base64: {error}') from None
    if empty:
        raise RemoteProtocolError('saw a video frame without a picture')
    stamp = _integer(body.get('timestamp'), now_ms)
    return ReceivedFrame(camera, picture, max(0, _integer(body.get('width'), 0)),
                         max(0, _integer(body.get('height'), 0)), stamp, _extras(body))


def is_garbled_frame(payload: bytes) -> bool:
    """Tell whether a message that cannot be read is a text frame that is not even UTF-8."""
    if _TYPE_IN_TEXT.search(payload) is None:
        return False
    try:
        payload.decode()
    except UnicodeDecodeError:
        return True
    return False


def _extras(body: Mapping[str, Any]) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if isinstance(body.get('video_type'), str):
        extras['video_type'] = body['video_type'][:64].encode(errors='replace').decode()
    for key in _NUMBERS:
        if _is_finite(body.get(key)):
            extras[key] = body[key]
    temperatures = body.get('temps')
    if (isinstance(temperatures, list) and len(temperatures) <= MAX_TEMPERATURES
            and all(map(_is_finite, temperatures))):
        extras['temps'] = temperatures
    return extras


def _integer(value: object, otherwise: int) -> int:
    return int(value) if _is_finite(value) else otherwise  # type: ignore[call-overload]


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -2**63 <= value < 2**63 and math.isfinite(value)

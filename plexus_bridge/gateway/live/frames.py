# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The JSON texts of the live streams (protocol section 13.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.points import ReceivedPoint
from plexus_bridge.protocol.video import encode_text
from plexus_bridge.protocol.video import Picture
from plexus_bridge.protocol.video import Thermal

_INTEGERS = range(-2**63, 2**63)


def telemetry_frame(source_id: str, points: Iterable[ReceivedPoint]) -> str:
    """Return one frame with these metrics."""
    return _text({'type': 'telemetry', 'points': [_point(source_id, point) for point in points]})


def event_frame(source_id: str, point: ReceivedPoint) -> str:
    """Return the frame of one event; its value keeps the type that it was sent with."""
    frame = {
        'type': 'event', 'source_id': source_id, 'metric': point.metric, 'value': point.value,
        'timestamp': point.timestamp_ms, 'class': 'event'}
    if point.tags:
        frame['tags'] = point.tags
    return _text(frame)


def video_frame(source_id: str, picture: Picture, thermal: Thermal | None) -> str:
    """Return the frame of one picture, in whatever shape it came; the device is the one known."""
    return encode_text(replace(picture, source_id=source_id), thermal).payload.decode()


def init_frame(source_id: str, cameras: Iterable[str] | None) -> str:
    """Return the first frame of a video stream; `cameras` is None while the device is away."""
    online = [] if cameras is None else [{'source_id': source_id, 'cameras': list(cameras)}]
    return _text({'type': 'init', 'online_sources': online})


def reconnecting_frame(attempt: int, delay_s: float, max_attempts: int | None) -> str:
    """Return the notice that nothing can come at present; only video names `max_attempts`."""
    frame = {'type': 'gateway_reconnecting', 'attempt': attempt, 'delay_s': delay_s}
    if max_attempts is not None:
        frame['max_attempts'] = max_attempts
    return _text(frame)


def _point(source_id: str, point: ReceivedPoint) -> dict[str, Any]:
    _, metric, value, stamp, tags = point
    if type(value) is int and value not in _INTEGERS:
        value = float(value)  # as it is stored
    # The seeds' document shows `alert`, which is always 0 there, and clients may read it.
    body = {'source_id': source_id, 'metric': metric, 'value': value, 'timestamp': stamp,
            'class': 'metric', 'alert': 0}
    if tags:
        body['tags'] = tags
    return body


def _text(frame: dict[str, Any]) -> str:
    return encoding.dumps(frame).decode()

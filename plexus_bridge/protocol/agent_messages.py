# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What people ask of agents: streams, sessions, settings, processes, cameras, CAN (section 11.3).

A message is rebuilt from the fields that its type has, so that nothing else gets to a device.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import math
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.errors import CommandError

MAX_TEXT = 4_096
MAX_LIST = 1_000
MAX_CONFIG_BYTES = 65_536

_Check = Callable[[object], bool]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_TEXT and value.isprintable()


def _is_number(value: object) -> bool:
    return (isinstance(value, int | float) and not isinstance(value, bool)
            and 0 <= value <= 2**53 and math.isfinite(value))


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_LIST and all(map(_is_text, value))


def _is_size(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))


def _is_config(value: object) -> bool:
    try:
        return isinstance(value, dict) and (
            len(encoding.standard_dumps(value)) <= MAX_CONFIG_BYTES)
    except (TypeError, ValueError):
        return False


_EXPECTED: Mapping[_Check, str] = {
    _is_text: f'a text of 1 to {MAX_TEXT} printable characters', _is_number: 'a number from 0 on',
    _is_flag: 'true or false', _are_texts: f'at most {MAX_LIST} texts',
    _is_size: 'width and height', _is_config: f'an object of at most {MAX_CONFIG_BYTES} bytes'}

_STREAM: Mapping[str, _Check] = {'metrics': _are_texts, 'interval_ms': _is_number}
_CAMERA: Mapping[str, _Check] = {
    'camera_id': _is_text, 'frame_rate': _is_number, 'resolution': _is_size,
    'quality': _is_number}
_MAVLINK: Mapping[str, _Check] = {'connection_string': _is_text}

# The fields of each type, those that it must have, and what stands where one is left out.
FIELDS: Mapping[str, Mapping[str, _Check]] = {
    'start_stream': {**_STREAM, 'id': _is_text, 'store': _is_flag},
    'stop_stream': {'id': _is_text},
    'start_session': {**_STREAM, 'session_id': _is_text, 'session_name': _is_text},
    'stop_session': {'session_id': _is_text},
    'configure': {'sensor': _is_text, 'config': _is_config},
    'execute': {'id': _is_text, 'command': _is_text, 'timeout_seconds': _is_number},
    'cancel': {'id': _is_text},
    'ping': {},
    'start_camera': _CAMERA,
    'stop_camera': {'camera_id': _is_text},
    'configure_camera': {'camera_id': _is_text, 'config': _is_config},
    'start_can': {'channel': _is_text, 'dbc_path': _is_text, 'interval_ms': _is_number,
                  'store': _is_flag},
    'stop_can': {'channel': _is_text},
    'start_mavlink': {**_MAVLINK, 'interval_ms': _is_number, 'include_messages': _are_texts},
    'stop_mavlink': _MAVLINK,
    'mavlink_command': {**_MAVLINK, 'command': _is_text, 'mode': _is_text, 'force': _is_flag},
}
_REQUIRED = {
    'stop_session': ('session_id',), 'configure': ('sensor', 'config'), 'execute': ('command',),
    'start_camera': ('camera_id',), 'stop_camera': ('camera_id',),
    'configure_camera': ('camera_id', 'config'), 'start_can': ('channel',),
    'stop_can': ('channel',), 'mavlink_command': ('command',)}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    'start_stream': {'metrics': [], 'interval_ms': 100}, 'stop_stream': {'id': '*'},
    'start_session': {'metrics': [], 'interval_ms': 100}}


def agent_message(source_id: str, asked: Mapping[str, Any], new_id: str) -> dict[str, Any]:
    """
    Return the message to a device for what was asked; CommandError ``bad_params`` if it is none.

    `new_id` is taken where the type has an id of its own and none was given.
    """
    kind = asked.get('type')
    fields = FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None or not isinstance(kind, str):
        raise CommandError('bad_params', f'type: saw {str(kind)[:40]!r}, expected one of '
                           f'{", ".join(FIELDS)}')
    message = {'type': kind, 'source_id': source_id, **_DEFAULTS.get(kind, {})}
    for key, value in asked.items():
        if key == 'type' or value is None:
            continue
        check = fields.get(key)
        if check is None:
            raise CommandError('bad_params', f'{key[:40]!r}: {kind} has only '
                               f'{", ".join(fields) or "no fields"}')
        if not check(value):
            raise CommandError('bad_params', f'{key}: expected {_EXPECTED[check]}')
        message[key] = value
    for key in _REQUIRED.get(kind, ()):
        if key not in message:
            raise CommandError('bad_params', f'{key}: is missing')
    if kind in ('start_stream', 'execute'):
        message.setdefault('id', new_id)
    if kind == 'start_session':
        message.setdefault('session_id', new_id)
        message.setdefault('session_name', message['session_id'])
    return message


def as_typed_command(message: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return command and params of the later form of such a message (section 11.8)."""
    params = dict(message)
    return params.pop('type'), params

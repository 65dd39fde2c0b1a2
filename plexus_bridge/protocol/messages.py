# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""WebSocket messages as both sessions see them, and the close codes (protocol section 6.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import enum
from typing import Any

from plexus_bridge import encoding
from plexus_bridge.errors import RemoteProtocolError


@dataclass(frozen=True)
class Text:
    """A whole text message, UTF-8."""

    payload: bytes


@dataclass(frozen=True)
class Binary:
    """A whole binary message: a video frame (protocol section 7.1)."""

    payload: bytes


@dataclass(frozen=True)
class Close:
    """A close frame; after it nothing more is sent."""

    code: int
    reason: str = ''


Message = Text | Binary | Close


class CloseCode(enum.IntEnum):
    """The codes that the two sides use."""

    NORMAL = 1000
    GOING_AWAY = 1001
    NO_STATUS = 1005
    UNAUTHORISED = 1008
    TOO_BIG = 1009
    TRY_AGAIN_LATER = 1013


def encode(message: Mapping[str, Any]) -> Text:
    """Return a JSON object as a text message."""
    return Text(encoding.dumps(dict(message)))


def decode(payload: bytes) -> dict[str, Any]:
    """Return the JSON object of a text message; RemoteProtocolError if there is none."""
    try:
        message = encoding.loads(payload)
    except ValueError as error:
        raise RemoteProtocolError(f'saw text that is not JSON ({error})') from None
    if type(message) is not dict:
        raise RemoteProtocolError(
            f'saw a JSON {type(message).__name__}, expected an object with a "type"')
    kind = message.get('type')
    if type(kind) is not str or not 1 <= len(kind) <= 64:
        raise RemoteProtocolError(
            f'saw type {str(kind)[:80]!r}, expected a string of 1 to 64 characters')
    return message


def is_seq(value: object) -> bool:
    """
    Tell whether this is a sequence number: a JSON integer from 1 on (section 6.5).

    One that does not fit 64 bits is none: no counter gets there, and no database takes it.
    """
    return type(value) is int and 1 <= value < 2**63

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
WebSocket frames as a client sends them (RFC 6455, section 5.2).

Everything that a client sends is masked. websocket-client does that by one integer of the
message's length, which took longer than all else that is done to a message; numpy takes a
hundredth of it.
"""

from __future__ import annotations

import os

import numpy as np

_FINAL = 0x80
_MASKED = 0x80
_MASK_BYTES = 4


def client_frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole message as one frame under a fresh mask."""
    mask = os.urandom(_MASK_BYTES)
    return b''.join((_head(opcode, len(payload)), mask, *masked(payload, mask)))


def masked(payload: bytes, mask: bytes) -> tuple[memoryview, bytes]:
    """
    Return a payload with its bytes XORed by the four of the mask, over and over.

    It comes in two parts, to be copied but once.
    """
    count, rest = divmod(len(payload), _MASK_BYTES)
    words = np.frombuffer(payload, np.uint32, count) ^ np.frombuffer(mask, np.uint32)
    end = bytes(a ^ b for a, b in zip(payload[-rest:], mask, strict=False)) if rest else b''
    return words.data, end


def _head(opcode: int, length: int) -> bytes:
    first = _FINAL | opcode
    if length < 126:
        return bytes((first, _MASKED | length))
    if length < 1 << 16:
        return bytes((first, _MASKED | 126)) + length.to_bytes(2, 'big')
    return bytes((first, _MASKED | 127)) + length.to_bytes(8, 'big')

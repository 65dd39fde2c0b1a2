# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes messages as plain CDR from dictionaries, without ROS; what is not given is zero."""

from __future__ import annotations

from collections.abc import Mapping
import struct
from typing import Any

from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import members
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String

HEADS = {'<': b'\0\1\0\0', '>': b'\0\0\0\0'}


def write_cdr(message: Message, values: Mapping[str, Any], order: str = '<') -> bytes:
    """Return a message's bytes; `order` is that of `struct`."""
    body = bytearray()
    _write(message, values, body, order)
    return HEADS[order] + bytes(body)


def _write(layout: Layout, value: Any, body: bytearray, order: str) -> None:
    if isinstance(layout, Message):
        unknown = set(value or {}) - {name for name, _ in layout.fields}
        assert not unknown, f'{layout.name} has no field {unknown}'
        for name, inner in members(layout):
            _write(inner, (value or {}).get(name), body, order)
    elif isinstance(layout, Primitive):
        body += bytes(-len(body) % layout.size)
        body += struct.pack(order + layout.code, value or 0)
    elif isinstance(layout, String):
        text = (value or '') if layout.wide else (value or '').encode() + b'\0'
        body += bytes(-len(body) % 4) + struct.pack(f'{order}I', len(text))
        body += text.encode('utf-32-le' if order == '<' else 'utf-32-be') if layout.wide else text
    else:
        _write_elements(layout, value, body, order)


def _write_elements(layout: Array | Sequence, value: Any, body: bytearray, order: str) -> None:
    elements = list(value or [])
    if isinstance(layout, Array):
        elements += [None] * (layout.length - len(elements))
    else:
        body += bytes(-len(body) % 4) + struct.pack(f'{order}I', len(elements))
    for element in elements:
        _write(layout.element, element, body, order)

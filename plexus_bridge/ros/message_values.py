# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages from plain values (mappings, lists, numbers, texts), and back."""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

from rclpy.clock import Clock

from plexus_bridge.commands.fields import converted
from plexus_bridge.commands.fields import NOW
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.ros.layouts import layout_of_class
from plexus_bridge.ros.layouts import message_class

# Longer lists are not for a command's result: an image would block everything else.
MAX_ELEMENTS = 1024


def build(cls: Any, type_name: str, values: Mapping[str, Any], clock: Clock, where: str) -> Any:
    """Return a message of a class; CommandError ``bad_params`` for values that do not fit."""
    layout = layout_of_class(cls, type_name)
    message = cls()
    _set(message, layout, converted(values, layout, where), clock)
    return message


def _set(message: Any, layout: Message, values: Mapping[str, Any], clock: Clock) -> None:
    for name, value in values.items():
        field = layout.field(name)
        if isinstance(field, Message) and not _is_now(value):
            _set(getattr(message, name), field, value, clock)
        else:
            setattr(message, name, _value(value, field, clock))


def _is_now(value: Any) -> bool:
    return isinstance(value, str) and value == NOW


def _value(value: Any, layout: Layout | None, clock: Clock) -> Any:
    if isinstance(layout, Array | Sequence):
        return [_value(item, layout.element, clock) for item in value]
    if isinstance(layout, Message):
        if _is_now(value):
            return clock.now().to_msg()
        message = message_class(layout.name)()
        _set(message, layout, value, clock)
        return message
    if isinstance(layout, Primitive) and layout.name == 'byte':
        return bytes([value])
    return value


def plain(value: Any) -> Any:
    """Return a message as JSON can carry it: what is not finite becomes null."""
    if hasattr(value, 'get_fields_and_field_types'):
        return {name: plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, bytes):
        return value[0] if len(value) == 1 else list(value)
    if hasattr(value, 'tolist') and not hasattr(value, '__len__'):  # a single number of numpy
        return plain(value.tolist())
    if len(value) > MAX_ELEMENTS:
        return f'{len(value)} elements, left out'
    return [plain(item) for item in value]

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Message classes of the running ROS installation, and their layouts."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from rosidl_parser.definition import AbstractNestedType
from rosidl_parser.definition import AbstractString
from rosidl_parser.definition import AbstractWString
from rosidl_parser.definition import Array as IdlArray
from rosidl_parser.definition import BasicType
from rosidl_parser.definition import NamespacedType

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String

# IDL's names for what a .msg file calls otherwise.
_MSG_NAMES = {'boolean': 'bool', 'octet': 'byte', 'float': 'float32', 'double': 'float64'}


@functools.cache
def message_class(type_name: str) -> Any:
    """Return the class of ``package/msg/Name``; MappingError says what is not installed."""
    found = _interface(type_name, 'msg', 'sensor_msgs/msg/Imu')
    if not hasattr(found, 'SLOT_TYPES'):
        raise _no_such(type_name)
    return found


@functools.cache
def service_class(type_name: str) -> Any:
    """Return the class of ``package/srv/Name``; MappingError as `message_class`."""
    found = _interface(type_name, 'srv', 'std_srvs/srv/Trigger')
    if not hasattr(found, 'Request'):
        raise _no_such(type_name)
    return found


@functools.cache
def action_class(type_name: str) -> Any:
    """Return the class of ``package/action/Name``; MappingError as `message_class`."""
    found = _interface(type_name, 'action', 'plexus_msgs/action/RunCommand')
    if not hasattr(found, 'Goal'):
        raise _no_such(type_name)
    return found


def _interface(type_name: str, folder: str, example: str) -> Any:
    parts = type_name.split('/')
    if len(parts) == 2:
        parts.insert(1, folder)
    if len(parts) != 3 or not all(part.isidentifier() for part in parts):
        raise MappingError(f'type {type_name!r}: expected a name such as "{example}"')
    package, kind, name = parts
    try:
        found = getattr(importlib.import_module(f'{package}.{kind}'), name)
    except ImportError as error:
        raise MappingError(
            f'type {type_name}: package {package} is not installed here ({error}); install '
            f'ros-$ROS_DISTRO-{package.replace("_", "-")} or source the workspace that has it'
        ) from None
    except AttributeError:
        raise _no_such(type_name) from None
    if not isinstance(found, type):
        raise _no_such(type_name)
    return found


def _no_such(type_name: str) -> MappingError:
    package, *kind, name = type_name.split('/')
    return MappingError(
        f'type {type_name}: package {package} has no {"/".join(kind) or "msg"} {name} here; it is '
        'an older or newer version than the one that the messages were made with')


@functools.cache
def message_layout(type_name: str) -> Message:
    """Return the layout of ``package/msg/Name``; MappingError as `message_class`."""
    return layout_of_class(message_class(type_name), type_name)


def part_layout(type_name: str, part: str) -> Message:
    """
    Return the layout of a part of an interface; MappingError as `message_class`.

    `part` is Request or Response of a service, Goal, Result or Feedback of an action, '' of a
    message.
    """
    if not part:
        return message_layout(type_name)
    find = service_class if part in ('Request', 'Response') else action_class
    whole = find(type_name)
    return layout_of_class(getattr(whole, part), f'{type_name} {part.lower()}')


def layout_of_class(cls: Any, type_name: str) -> Message:
    """Return the layout of a message class, or of a service's request, an action's goal …"""
    return Message(type_name, tuple(
        (name, _layout(slot)) for name, slot in
        zip(cls.get_fields_and_field_types(), cls.SLOT_TYPES, strict=True)))


def _layout(slot: Any) -> Layout:
    if isinstance(slot, AbstractNestedType):
        element = _layout(slot.value_type)
        return Array(element, slot.size) if isinstance(slot, IdlArray) else Sequence(element)
    if isinstance(slot, AbstractWString):
        return String(wide=True)
    if isinstance(slot, AbstractString):
        return String()
    if isinstance(slot, NamespacedType):
        return message_layout('/'.join(slot.namespaced_name()))
    if isinstance(slot, BasicType) and _MSG_NAMES.get(slot.typename, slot.typename) in PRIMITIVES:
        return PRIMITIVES[_MSG_NAMES.get(slot.typename, slot.typename)]
    raise MappingError(f'a field of type {slot!r} cannot be read')

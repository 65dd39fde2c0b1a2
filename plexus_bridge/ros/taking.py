# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Takes images from the middleware with one copy of their pixels instead of three.

rclpy hands out a message as a Python object, which means an array built anew, or as bytes, which
means a serialised copy of what is serialised already and a copy of that. The C message between
middleware and rclpy has the pixels, too: here it is taken by ``rcl_take``, as rclpy does, and seen
where it lies. Whether its layout is what this module expects is found out at start, by having the
type's own code fill one in; where anything is otherwise, rclpy's bytes stand in.
"""

from __future__ import annotations

from collections.abc import Callable
import ctypes
import logging
import os
import struct
from typing import Any

import numpy as np
from rclpy.subscription import Subscription
from rclpy.type_support import check_for_type_support

from plexus_bridge.errors import PictureError
from plexus_bridge.video.raw_image import CompressedImage
from plexus_bridge.video.raw_image import ImageMessage
from plexus_bridge.video.raw_image import RawImage
from plexus_bridge.video.rules import COMPRESSED_IMAGE

log = logging.getLogger(__name__)

# What came and when (Unix ns, 0 if the middleware does not say).
Taken = tuple[ImageMessage, int]
# Returns None if there is nothing. Called with True after the middleware has said that there is
# something, it raises PictureError if that cannot be read.
Take = Callable[[bool], Taken | None]

# In native order and alignment, as C has them: the stamp's two numbers; texts and sequences as
# address, size and capacity (rosidl_runtime_c).
_IMAGE = struct.Struct('@iI PNN II PNN BI PNN')
_COMPRESSED = struct.Struct('@iI PNN PNN PNN')
# rcl/types.h
_OK, _NOTHING_THERE = 0, 401
# rmw_message_info_t begins with the stamps of sending and receipt, ns; no release has 128 bytes.
_INFO_BYTES = 512
# rcl_take does not tell a message that it cannot read from none: so many of those behind one are
# taken as bytes, so that each that is of no use is counted, and told by what is wrong with it.
_LOOKED_AT = 100
_RECEIVED = struct.Struct('@q')


class _Functions:
    """What is needed of rcl and of a message type; any exception says that it is not there."""

    def __init__(self, message_class: Any):
        check_for_type_support(message_class)
        # The copy that rclpy has loaded, and no other.
        rcl = ctypes.CDLL('librcl.so', mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        self.take = rcl.rcl_take
        self.take.argtypes = [ctypes.c_void_p] * 4
        self.topic_name = rcl.rcl_subscription_get_topic_name
        self.topic_name.argtypes = [ctypes.c_void_p]
        self.topic_name.restype = ctypes.c_char_p
        self.forget_error = ctypes.CDLL(
            'librcutils.so', mode=os.RTLD_NOLOAD | os.RTLD_NOW).rcutils_reset_error
        self.forget_error.restype = None
        kind = type(message_class)
        self.create = ctypes.CFUNCTYPE(ctypes.c_void_p)(_address(kind._CREATE_ROS_MESSAGE))
        self.destroy = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(
            _address(kind._DESTROY_ROS_MESSAGE))
        self.fill = ctypes.PYFUNCTYPE(ctypes.c_bool, ctypes.py_object, ctypes.c_void_p)(
            _address(kind._CONVERT_FROM_PY))


def _address(capsule: Any) -> int:
    """Return what a PyCapsule points to."""
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.argtypes, name_of.restype = [ctypes.py_object], ctypes.c_char_p
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]
    pointer_of.restype = ctypes.c_void_p
    address: int = pointer_of(capsule, name_of(capsule))
    return address


class _Message:
    """One message in C; it lasts as long as this object, and this as long as views of it."""

    def __init__(self, functions: _Functions):
        self._destroy = functions.destroy
        self.address = functions.create()
        if not self.address:
            raise MemoryError('no memory for a message')

    def __del__(self) -> None:
        if self.address:
            self._destroy(self.address)

    def view(self, address: int, size: int) -> Any:
        """Return a part as an array of bytes, which keeps the message."""
        if not size:
            return np.empty(0, np.uint8)
        # ctypes is to numpy the owner of these bytes, and this object its attribute.
        memory: Any = (ctypes.c_ubyte * size).from_address(address)
        memory.message = self
        return np.frombuffer(memory, np.uint8)


def _read_image(message: _Message) -> RawImage:
    (seconds, nanoseconds, _, _, _, height, width, encoding, size, _, big_endian, step, data,
     count, _) = _IMAGE.unpack(ctypes.string_at(message.address, _IMAGE.size))
    return RawImage((seconds, nanoseconds), height, width, _text(encoding, size),
                    bool(big_endian), step, message.view(data, count))


def _read_compressed(message: _Message) -> CompressedImage:
    seconds, nanoseconds, _, _, _, kind, size, _, data, count, _ = _COMPRESSED.unpack(
        ctypes.string_at(message.address, _COMPRESSED.size))
    return CompressedImage(
        (seconds, nanoseconds), _text(kind, size), message.view(data, count))


def _text(address: int, size: int) -> str:
    return ctypes.string_at(address, size).decode('utf-8', 'replace')


def image_take(subscription: Subscription[Any], kind: str, message_class: Any) -> Take:
    """Return the best way to take images of one of the two types, for one thread at a time."""
    try:
        functions = _Functions(message_class)
        read = _read_compressed if kind == COMPRESSED_IMAGE else _read_image
        _check_layout(functions, read, message_class)
        return _Taking(functions, read, subscription, message_class)
    except Exception as error:  # whatever it is: there is another way
        log.info('images are taken as bytes, which costs two more copies of each: %s: %s',
                 type(error).__name__, error)
        return lambda _ready: take_bytes(subscription, message_class)


def take_bytes(subscription: Subscription[Any], message_class: Any) -> Taken | None:
    """Take the bytes of an image, as rclpy gives them."""
    taken = subscription.handle.take_message(message_class, True)
    return None if taken is None else (taken[0], taken[1]['received_timestamp'])


def _check_layout(functions: _Functions, read: Callable[[_Message], Any], message_class: Any
                  ) -> None:
    """Raise an exception unless what the type's own code has filled in is read as it was."""
    wanted: dict[str, Any] = {'data': bytes(range(1, 12))}
    wanted |= {'format': 'a jpeg'} if read is _read_compressed else {
        'height': 3, 'width': 1_000_005, 'encoding': 'rgb8', 'is_bigendian': 1, 'step': 77_777}
    filled = message_class(**wanted)
    filled.header.stamp.sec, filled.header.stamp.nanosec = -7, 999_999_999
    filled.header.frame_id = 'camera_optical_frame'
    message = _Message(functions)
    if not functions.fill(filled, message.address):
        raise TypeError('a message cannot be converted')
    _check_numbers(message, read is _read_image)
    seen = read(message)
    stamp, data = (-7, 999_999_999), wanted['data']
    expected = RawImage(stamp, 3, 1_000_005, 'rgb8', True, 77_777, data) \
        if read is _read_image else CompressedImage(stamp, 'a jpeg', data)
    if seen._replace(data=bytes(seen.data)) != expected:
        raise TypeError(f'saw {seen}, expected {expected}')


def _check_numbers(message: _Message, is_image: bool) -> None:
    """Raise TypeError unless numbers and sizes stand where expected, before addresses are used."""
    layout = _IMAGE if is_image else _COMPRESSED
    seen = layout.unpack(ctypes.string_at(message.address, layout.size))
    frame_id = len('camera_optical_frame')
    expected = (-7, 999_999_999, frame_id, 3, 1_000_005, 4, 1, 77_777, 11) if is_image else (
        -7, 999_999_999, frame_id, 6, 11)
    places = (0, 1, 3, 5, 6, 8, 10, 11, 13) if is_image else (0, 1, 3, 6, 9)
    if tuple(seen[place] for place in places) != expected:
        raise TypeError(f'saw a message of {seen}, expected {expected} in it')


class _Taking:
    """Takes the C messages of one subscription."""

    def __init__(self, functions: _Functions, read: Callable[[_Message], Any],
                 subscription: Subscription[Any], message_class: Any):
        self._functions = functions
        self._read = read
        self._subscription = subscription
        self._message_class = message_class
        self._info = ctypes.create_string_buffer(_INFO_BYTES)
        self._as_bytes = 0
        with subscription.handle:
            name = functions.topic_name(subscription.handle.pointer)
        if name != subscription.topic_name.encode():
            raise TypeError(f'saw a subscription to {name!r}, expected {subscription.topic_name}')

    def __call__(self, ready: bool) -> Taken | None:
        if self._as_bytes:
            self._as_bytes -= 1
            return take_bytes(self._subscription, self._message_class)
        functions = self._functions
        message = _Message(functions)
        handle = self._subscription.handle
        with handle:  # so that whoever destroys it meanwhile does so afterwards
            answer = functions.take(handle.pointer, message.address, self._info, None)
        if answer == _OK:
            received_ns: int = _RECEIVED.unpack_from(self._info, _RECEIVED.size)[0]
            return self._read(message), received_ns
        functions.forget_error()
        if answer == _NOTHING_THERE and not ready:
            return None
        self._as_bytes = _LOOKED_AT
        raise PictureError(
            f'saw a message that the middleware cannot read (rcl_take answers {answer})')

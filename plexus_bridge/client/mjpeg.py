# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A stream of JPEGs, one behind the other, cut into pictures (VID-06)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

CHUNK_BYTES = 65_536
# What has no end by then is no picture.
MAX_PICTURE_BYTES = 16_000_000
_START, _END = b'\xff\xd8\xff', b'\xff\xd9'
_START_OF_SCAN = 0xDA


class Pipe(Protocol):
    """What can be read from; `read` gives b'' at the end."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes."""


def read_mjpeg_frames(pipe: Pipe, chunk: int = CHUNK_BYTES) -> Iterator[bytes]:
    """
    Yield each whole JPEG of a stream.

    What stands between pictures is passed over, and what breaks off at the end is not yielded.
    """
    read = getattr(pipe, 'read1', pipe.read)  # a picture is not to wait for the next one
    buffer = bytearray()
    searched = 0
    while data := read(chunk):
        buffer += data
        while True:
            start = buffer.find(_START)
            if start < 0:
                del buffer[:max(0, len(buffer) - len(_START) + 1)]
                searched = 0
                break
            if start:
                del buffer[:start]
                searched = 0
            searched = searched or _start_of_data(buffer)
            end = buffer.find(_END, searched) if searched else -1
            if end < 0:
                # The mark may be cut in two; and all that was looked at is not looked at again.
                searched = max(searched, len(buffer) - 1) if searched else 0
                if len(buffer) > MAX_PICTURE_BYTES:
                    del buffer[:len(_START)]
                    searched = 0
                    continue
                break
            yield bytes(buffer[:end + len(_END)])
            del buffer[:end + len(_END)]
            searched = 0


def _start_of_data(buffer: bytearray) -> int:
    """
    Return where the compressed data of the JPEG at 0 begin; 0 if that is not known yet.

    Segments before are skipped by their length: a thumbnail in them has an end mark, too.
    """
    position = 2
    while position + 4 <= len(buffer):
        if buffer[position] != 0xFF:
            return position  # no JPEG by the book: any end mark will do
        marker = buffer[position + 1]
        if marker in (0xFF, 0x00):
            position += 1
            continue
        if marker == 0xD9:
            return position
        position += 2 + int.from_bytes(buffer[position + 2:position + 4], 'big')
        if marker == _START_OF_SCAN:
            return position
    return 0

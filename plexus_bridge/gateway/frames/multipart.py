# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads ``multipart/form-data`` (RFC 7578), by the standard library's reader of e-mail."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from typing import NamedTuple

from plexus_bridge.errors import RequestError

MAX_PARTS = 32


class Part(NamedTuple):
    """One field of a form."""

    name: str
    content: bytes

    def text(self) -> str:
        """Return a field that is no file; RequestError 400 if it is no UTF-8."""
        try:
            return self.content.decode()
        except UnicodeDecodeError:
            raise RequestError(400, f'{self.name[:40]}: is not UTF-8') from None


def read_form(content_type: str, body: bytes) -> dict[str, Part]:
    """Return the fields of a form by name, the first of each; RequestError 400 if it is none."""
    if not content_type.isascii() or not content_type.isprintable():
        raise RequestError(400, 'Content-Type: expected multipart/form-data')
    message = BytesParser().parsebytes(
        b'Content-Type: ' + content_type.encode() + b'\r\n\r\n' + body)
    if message.get_content_type() != 'multipart/form-data' or not message.is_multipart():
        raise RequestError(
            400, f'Content-Type: saw {content_type[:60]!r}, expected multipart/form-data with '
            'the boundary that parts the body')
    parts: dict[str, Part] = {}
    for index, part in enumerate(_parts(message)):
        if index >= MAX_PARTS:
            raise RequestError(400, f'body: expected at most {MAX_PARTS} fields')
        parts.setdefault(part.name, part)
    return parts


def _parts(message: Message) -> Iterator[Part]:
    for part in message.get_payload():
        assert isinstance(part, Message)
        name = part.get_param('name', header='Content-Disposition')
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            yield Part(name, content)

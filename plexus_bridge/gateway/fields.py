# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What requests of the app API bring: a JSON object of bounded size, whose fields are checked.

Every method raises RequestError 400 saying what was seen and expected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from plexus_bridge import encoding
from plexus_bridge.errors import PointError
from plexus_bridge.errors import RequestError
from plexus_bridge.gateway.instants import read_instant
from plexus_bridge.points import check_source_id

MAX_BODY_BYTES = 1024 * 1024
MAX_OBJECT_BYTES = 64 * 1024
# A body that is refused is read on to here: who is still sending would never see the answer.
MAX_DISCARDED_BYTES = 20 * MAX_BODY_BYTES
BODY_TIMEOUT_S = 60.0


class Fields:
    """The fields of a JSON object; one that is null counts as absent."""

    def __init__(self, body: Mapping[str, Any]):
        self._body = body

    def __contains__(self, name: str) -> bool:
        return name in self._body

    def value(self, name: str) -> Any:
        """Return a field as it came."""
        return self._body.get(name)

    def text(self, name: str, max_characters: int, default: str | None = None) -> str:
        """Return a text of 1 to so many characters; without a default it must be there."""
        value = self._body.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not 1 <= len(value) <= max_characters:
            raise RequestError(
                400, f'{name}: saw {shown(value)}, expected 1 to {max_characters} characters')
        try:
            value.encode()
        except UnicodeEncodeError:
            raise RequestError(400, f'{name}: has half a surrogate pair in it') from None
        return value

    def label(self, name: str, max_characters: int, default: str = '') -> str:
        """Return a text that is shown to people, maybe on a terminal: it can be printed."""
        value = self.text(name, max_characters, default)
        if not value.isprintable():
            raise RequestError(400, f'{name}: expected characters that can be printed')
        return value

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        """Return one of the choices; without a default it must be there."""
        value = self._body.get(name)
        if value is None and default is not None:
            return default
        if value not in choices:
            raise RequestError(
                400, f'{name}: saw {shown(value)}, expected one of {", ".join(choices)}')
        return str(value)

    def source_id(self, name: str = 'source_id', *, refuse_uuid: bool = False) -> str | None:
        """Return a slug (section 3), None if there is none."""
        value = self._body.get(name)
        try:
            return None if value is None else check_source_id(value, refuse_uuid=refuse_uuid)
        except PointError as error:
            text = str(error) if name == 'source_id' else f'{name}: {error}'
            raise RequestError(400, text) from None

    def instant(self, name: str) -> int | None:
        """Return a time, ISO 8601 with offset or Z, as Unix ms; None if there is none."""
        value = self._body.get(name)
        if value is None:
            return None
        stamp = read_instant(value) if isinstance(value, str) else None
        if stamp is None:
            raise RequestError(
                400, f'{name}: saw {shown(value)}, expected a time with offset or Z, such as '
                '2026-01-31T12:00:00.000Z')
        return stamp

    def number(
            self, name: str, low: float, high: float, default: float | None = None
            ) -> float | None:
        """Return a number within bounds, `default` if there is none."""
        value = self._body.get(name)
        if value is None:
            return default
        if (not isinstance(value, int | float) or isinstance(value, bool)
                or not low <= value <= high):
            raise RequestError(
                400, f'{name}: saw {shown(value)}, expected a number from {low:g} to {high:g}')
        return float(value)

    def everything(self) -> Mapping[str, Any]:
        """Return all fields as they came."""
        return self._body

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean, the default if there is none."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, bool):
            raise RequestError(400, f'{name}: saw {shown(value)}, expected true or false')
        return default if value is None else value

    def seconds(self, name: str, maximum: int) -> int | None:
        """Return a whole number of seconds from 1 on, None if there is none."""
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
            raise RequestError(
                400, f'{name}: saw {shown(value)}, expected seconds from 1 to {maximum}')
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an object, empty if there is none."""
        value = self._body.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise RequestError(400, f'{name}: saw {shown(value)}, expected an object')
        _check_storable(name, value)
        return value

    def array(self, name: str, max_items: int) -> list[Any]:
        """Return an array, empty if there is none."""
        value = self._body.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > max_items:
            raise RequestError(
                400, f'{name}: saw {shown(value)}, expected an array of at most {max_items}')
        return value


async def read_bounded(request: Request, max_bytes: int, *, discard: bool = False) -> bytes:
    """
    Read a request's body; RequestError 413 if it is too large, 408 if it takes for ever.

    With `discard` it is read for the client's sake alone, and may be as large as it likes.
    """
    try:
        body = await asyncio.wait_for(_read_on(request, max_bytes), BODY_TIMEOUT_S)
    except asyncio.TimeoutError:
        raise RequestError(
            408, f'body: did not come within {BODY_TIMEOUT_S:.0f} s') from None
    if body is None and not discard:
        raise too_large(max_bytes)
    return body or b''


def too_large(max_bytes: int) -> RequestError:
    """Return the error that says so of a body."""
    return RequestError(413, f'body: expected at most {max_bytes} bytes')


async def _read_on(request: Request, max_bytes: int) -> bytes | None:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_DISCARDED_BYTES:
            break
        if size <= max_bytes:
            chunks.append(chunk)
    return b''.join(chunks) if size <= max_bytes else None


async def read_fields(request: Request) -> Fields:
    """Read a request's JSON object; RequestError 400, or as `read_bounded`."""
    try:
        body = encoding.loads(await read_bounded(request, MAX_BODY_BYTES) or b'{}')
    except ValueError as error:
        raise RequestError(400, f'invalid JSON: {error}') from None
    if not isinstance(body, dict):
        raise RequestError(400, f'body: saw {shown(body)}, expected a JSON object')
    return Fields(body)


def answer(body: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(encoding.dumps(body), status_code=status, media_type='application/json')


def shown(value: object) -> str:
    """Return what a message shows of a value: never much."""
    if value is None:
        return 'nothing'
    if isinstance(value, str):
        return repr(value[:40])
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**64):
        return repr(value)
    return f'{type(value).__name__}' + (f' of {len(value)}' if isinstance(value, list) else '')


def _check_storable(name: str, value: object) -> None:
    try:
        size = len(encoding.dumps(value))
    except (ValueError, TypeError) as error:  # half a surrogate pair
        raise RequestError(400, f'{name}: cannot be kept: {error}') from None
    if size > MAX_OBJECT_BYTES:
        raise RequestError(
            400, f'{name}: saw {size} bytes of JSON, expected at most {MAX_OBJECT_BYTES}')

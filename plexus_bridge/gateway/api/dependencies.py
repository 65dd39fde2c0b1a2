# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the routes of the data API ask for: a key that may read, a known source, a window."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi import HTTPException
from fastapi import Request
from fastapi import Security

from plexus_bridge.errors import AccessError
from plexus_bridge.errors import WindowError
from plexus_bridge.gateway.access.authorise import API_KEY
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.storage import queries
from plexus_bridge.gateway.storage.windows import read_window
from plexus_bridge.gateway.storage.windows import Window


async def authorised(
        request: Request, key: Annotated[str | None, Security(API_KEY)]) -> Gateway:
    """Return the gateway for a request whose key may read, else 401 or 403."""
    gateway = gateway_of(request)
    try:
        await gateway.admit(key, 'read')
    except AccessError as error:
        text = 'invalid api key' if error.status == 401 else str(error)  # section 12.1
        raise HTTPException(error.status, text) from None
    return gateway


async def find_source(gateway: Gateway, source_id: str) -> queries.SourceRow:
    """Return a source that has sent or is connected, else 404."""
    row = await gateway.store.read(queries.find_source, source_id)
    if row is not None:
        return row
    if source_id in gateway.devices:
        return queries.SourceRow(source_id, None)
    raise HTTPException(404, 'device not found')


async def known_source(
        source_id: str, gateway: Annotated[Gateway, Depends(authorised)]) -> queries.SourceRow:
    """Return the source of the path, else 404."""
    return await find_source(gateway, source_id)


async def asked_window(
        last: str | None = None, start: str | None = None, end: str | None = None) -> Window:
    """Return the window that is asked for, else 400."""
    try:
        return read_window(last, start, end, wall_ms())
    except WindowError as error:
        raise HTTPException(400, str(error)) from None


def names_in(text: str | None) -> list[str] | None:
    """Return the names of a list with commas, None for all."""
    return [name for name in text.split(',') if name] or None if text else None


Authorised = Annotated[Gateway, Depends(authorised)]
KnownSource = Annotated[queries.SourceRow, Depends(known_source)]
AskedWindow = Annotated[Window, Depends(asked_window)]

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``GET /v1/export``: metrics as a CSV or Parquet file (protocol section 12.7)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from typing import Literal

from fastapi import APIRouter
from fastapi import Depends
from fastapi import HTTPException
from fastapi import Query
from starlette.responses import Response
from starlette.responses import StreamingResponse
from starlette.types import Message
from starlette.types import Receive
from starlette.types import Scope
from starlette.types import Send

from plexus_bridge.gateway.api.dependencies import AskedWindow
from plexus_bridge.gateway.api.dependencies import Authorised
from plexus_bridge.gateway.api.dependencies import find_source
from plexus_bridge.gateway.api.dependencies import names_in
from plexus_bridge.gateway.api.models import answers
from plexus_bridge.gateway.api.models import Estimate
from plexus_bridge.gateway.api.tables import CsvTable
from plexus_bridge.gateway.api.tables import ParquetTable
from plexus_bridge.gateway.api.tables import Table
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.storage import extracts
from plexus_bridge.gateway.storage.extracts import Extract

MAX_SOURCES = 50
MAX_EXPORTS = 3
# Who takes nothing for so long makes room for others.
STALL_TIMEOUT_S = 60.0

router = APIRouter(prefix='/v1', default_response_class=Response, tags=['data'])


class _ExportResponse(StreamingResponse):
    """A file that is counted while it is sent, and given up when it is not taken."""

    def __init__(self, gateway: Gateway, table: Table, extract: Extract, name: str):
        super().__init__(_content(gateway, table, extract), media_type=table.media_type, headers={
            'Content-Disposition': f'attachment; filename="{name}"'})
        self._gateway = gateway
        gateway.exports += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            await asyncio.wait_for(send(message), STALL_TIMEOUT_S)

        try:
            await super().__call__(scope, receive, send_in_time)
        finally:
            self._gateway.exports -= 1


async def asked_extract(
        gateway: Authorised, window: AskedWindow, sources: str, metrics: str | None = None,
        resolution: Literal['raw', '1m', '1h'] = 'raw') -> Extract:
    """Return what is to be exported: 1 to 50 known sources, else 400 or 404."""
    names = list(dict.fromkeys(names_in(sources) or ()))
    if not 1 <= len(names) <= MAX_SOURCES:
        raise HTTPException(
            400, f'sources: saw {len(names)} of them, expected 1 to {MAX_SOURCES} with commas')
    for name in names:
        await find_source(gateway, name)
    return Extract(names, names_in(metrics), window, resolution)


@router.get('/export', responses={
    **answers(Estimate, 400, 404, 429, 501),
    200: {'description': 'The file, or with `estimate` how many rows it would have', 'content': {
        'application/json': {'schema': Estimate.model_json_schema()},
        'text/csv': {'schema': {'type': 'string'}},
        ParquetTable.media_type: {'schema': {'type': 'string', 'format': 'binary'}}}}})
async def export(
        gateway: Authorised, extract: Annotated[Extract, Depends(asked_extract)],
        file_format: Annotated[Literal['csv', 'parquet'], Query(alias='format')] = 'csv',
        estimate: bool = False) -> Response:
    """Return metrics as a file, or about how many rows it would have."""
    if estimate:
        return answer({'rows': await gateway.store.read(extracts.estimate, extract)})
    if gateway.exports >= MAX_EXPORTS:
        raise HTTPException(
            429, f'{MAX_EXPORTS} exports are going on; try again when one has ended',
            headers={'Retry-After': '10'})
    try:
        table = (CsvTable if file_format == 'csv' else ParquetTable)(extract.columns)
    except ImportError:
        raise HTTPException(
            501, "format=parquet: the gateway lacks pyarrow, which is in the extra 'parquet' of "
            'plexus_bridge; take format=csv, or have it installed') from None
    return _ExportResponse(gateway, table, extract, f'plexus-export.{file_format}')


async def _content(gateway: Gateway, table: Table, extract: Extract) -> AsyncIterator[bytes]:
    store = gateway.store
    loop = asyncio.get_running_loop()
    for part in await store.read(extracts.parts, extract):
        from_ms: int | None = extract.begin_ms
        while from_ms is not None:
            rows, from_ms = await store.read(extracts.portion, extract, part, from_ms)
            if rows:
                yield await loop.run_in_executor(None, table.write, rows)
    yield await loop.run_in_executor(None, table.end)

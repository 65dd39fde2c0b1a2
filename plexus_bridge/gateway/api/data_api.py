# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The data API's reading side: sources, metrics and events (protocol section 12)."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

from fastapi import APIRouter
from fastapi import Depends
from fastapi import HTTPException
from fastapi import Query
from fastapi import Request
from fastapi import Security
from fastapi.security import APIKeyHeader
from starlette.responses import Response

from plexus_bridge import encoding
from plexus_bridge.errors import AccessError
from plexus_bridge.errors import WindowError
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.gateway import wall_ms
from plexus_bridge.gateway.storage import queries
from plexus_bridge.gateway.storage.windows import BUCKET_MS
from plexus_bridge.gateway.storage.windows import RAW
from plexus_bridge.gateway.storage.windows import read_interval
from plexus_bridge.gateway.storage.windows import read_window
from plexus_bridge.gateway.storage.windows import Window

MAX_EVENTS = 10_000
DEFAULT_EVENTS = 1_000

_API_KEY = APIKeyHeader(name='x-api-key', auto_error=False)


def authorised(request: Request, key: Annotated[str | None, Security(_API_KEY)]) -> Gateway:
    """Return the gateway for a request whose key may read, else 401 or 403."""
    gateway = gateway_of(request)
    try:
        gateway.keys.admit(key, 'read')
    except AccessError as error:
        text = 'invalid api key' if error.status == 401 else str(error)  # section 12.1
        raise HTTPException(error.status, text) from None
    return gateway


async def known_source(
        source_id: str, gateway: Annotated[Gateway, Depends(authorised)]) -> queries.SourceRow:
    """Return a source that has sent or is connected, else 404."""
    row = await gateway.store.read(queries.find_source, source_id)
    if row is not None:
        return row
    if source_id in gateway.devices:
        return queries.SourceRow(source_id, None)
    raise HTTPException(404, 'device not found')


def asked_window(
        last: str | None = None, start: str | None = None, end: str | None = None) -> Window:
    """Return the window that is asked for, else 400."""
    try:
        return read_window(last, start, end, wall_ms())
    except WindowError as error:
        raise HTTPException(400, str(error)) from None


Authorised = Annotated[Gateway, Depends(authorised)]
KnownSource = Annotated[queries.SourceRow, Depends(known_source)]
AskedWindow = Annotated[Window, Depends(asked_window)]

router = APIRouter(prefix='/v1', default_response_class=Response)


@router.get('/gateway')
async def show_gateway(gateway: Authorised) -> Response:
    """Tell what this gateway has received and stored since its start (a route of our own)."""
    counters = gateway.store.counters
    return _json({'counters': counters.totals(), 'dropped': counters.dropped(),
                  'devices': len(gateway.devices)})


@router.get('/sources')
async def list_sources(
        gateway: Authorised, status: Literal['online', 'offline'] | None = None) -> Response:
    """List the sources that have sent or are connected."""
    rows = {row.source_id: row for row in await gateway.store.read(queries.sources)}
    for source_id in gateway.devices:
        rows.setdefault(source_id, queries.SourceRow(source_id, None))
    devices = [_describe(gateway, rows[source_id]) for source_id in sorted(rows)]
    if status is not None:
        devices = [device for device in devices if device['online'] == (status == 'online')]
    return _json({'devices': devices})


@router.get('/sources/{source_id}')
async def show_source(gateway: Authorised, source: KnownSource) -> Response:
    """Tell whether a source is connected, and the stamp of its newest metric."""
    return _json(_describe(gateway, source))


@router.get('/sources/{source_id}/metrics')
async def list_metrics(gateway: Authorised, source: KnownSource) -> Response:
    """List the names of all metrics that a source ever sent."""
    return _json(await gateway.store.read(queries.metric_names, source.source_id))


@router.get('/sources/{source_id}/metrics/latest')
async def show_latest(gateway: Authorised, source: KnownSource) -> Response:
    """Tell the newest value of each metric that was received within the last hour."""
    metrics = await gateway.store.read(queries.latest, source.source_id, wall_ms())
    return _json({'metrics': metrics})


@router.get('/sources/{source_id}/metrics/query')
async def query_metrics(
        gateway: Authorised, source: KnownSource, window: AskedWindow,
        metrics: str | None = None, interval: str | None = None) -> Response:
    """Return samples, or statistics of buckets of time, as columns."""
    try:
        chosen = read_interval(interval, window)
    except WindowError as error:
        raise HTTPException(400, str(error)) from None
    names = [name for name in metrics.split(',') if name] if metrics else None
    slug = source.source_id
    if chosen == RAW:
        result = await gateway.store.read(queries.raw_samples, slug, names, window)
    else:
        result = await gateway.store.read(
            queries.bucketed_samples, slug, names, window, BUCKET_MS[chosen])
    return _json({
        'interval': chosen, 'auto_downsampled': interval is None and chosen != RAW,
        'truncated': result.truncated, 'series': result.series})


@router.get('/sources/{source_id}/events')
@router.get('/sources/{source_id}/logs', include_in_schema=False)
async def query_events(
        gateway: Authorised, source: KnownSource, window: AskedWindow, name: str | None = None,
        limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = DEFAULT_EVENTS,
        tail: Annotated[int | None, Query(ge=1, le=MAX_EVENTS)] = None) -> Response:
    """Return a window's first events, or the newest of all with `tail`, in time order."""
    if tail is not None:
        rows = await gateway.store.read(queries.last_events, source.source_id, name, tail)
    else:
        rows = await gateway.store.read(queries.events, source.source_id, name, window, limit)
    return _json([row._asdict() for row in rows])


def _describe(gateway: Gateway, source: queries.SourceRow) -> dict[str, Any]:
    return {'source_id': source.source_id, 'online': source.source_id in gateway.devices,
            'last_seen_ms': source.newest_metric_ms}


def _json(body: Any) -> Response:
    return Response(encoding.dumps(body), media_type='application/json')

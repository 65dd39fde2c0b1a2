# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The data API about one source: state, metrics, events (protocol sections 12.2 to 12.4)."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

from fastapi import APIRouter
from fastapi import HTTPException
from fastapi import Query
from starlette.responses import Response

from plexus_bridge.errors import WindowError
from plexus_bridge.gateway.api.dependencies import AskedWindow
from plexus_bridge.gateway.api.dependencies import Authorised
from plexus_bridge.gateway.api.dependencies import KnownSource
from plexus_bridge.gateway.api.dependencies import names_in
from plexus_bridge.gateway.api.models import answers
from plexus_bridge.gateway.api.models import Event
from plexus_bridge.gateway.api.models import GatewayTotals
from plexus_bridge.gateway.api.models import LatestValues
from plexus_bridge.gateway.api.models import QueryAnswer
from plexus_bridge.gateway.api.models import Source
from plexus_bridge.gateway.api.models import SourceList
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.storage import queries
from plexus_bridge.gateway.storage.retention import read_size
from plexus_bridge.gateway.storage.windows import BUCKET_MS
from plexus_bridge.gateway.storage.windows import RAW
from plexus_bridge.gateway.storage.windows import read_interval

MAX_EVENTS = 10_000
DEFAULT_EVENTS = 1_000

router = APIRouter(prefix='/v1', default_response_class=Response, tags=['data'])


@router.get('/gateway', responses=answers(GatewayTotals))
async def show_gateway(gateway: Authorised) -> Response:
    """Tell what this gateway has received and stored since its start (a route of our own)."""
    size = await gateway.store.read(read_size)
    counters = gateway.store.counters
    return answer({
        'counters': counters.totals(), 'dropped': counters.dropped(),
        'devices': len(gateway.devices), 'viewers': gateway.hub.open_views,
        'database_bytes': size.pages * size.page_bytes})


@router.get('/sources', responses=answers(SourceList))
async def list_sources(
        gateway: Authorised, status: Literal['online', 'offline'] | None = None) -> Response:
    """List the sources that have sent or are connected."""
    rows = {row.source_id: row for row in await gateway.store.read(queries.sources)}
    for source_id in gateway.devices:
        rows.setdefault(source_id, queries.SourceRow(source_id, None))
    devices = [_describe(gateway, rows[source_id]) for source_id in sorted(rows)]
    if status is not None:
        devices = [device for device in devices if device['online'] == (status == 'online')]
    return answer({'devices': devices})


@router.get('/sources/{source_id}', responses=answers(Source, 404))
async def show_source(gateway: Authorised, source: KnownSource) -> Response:
    """Tell whether a source is connected, and the stamp of its newest metric."""
    return answer(_describe(gateway, source))


@router.get('/sources/{source_id}/metrics', responses=answers(list[str], 404))
async def list_metrics(gateway: Authorised, source: KnownSource) -> Response:
    """List the names of all metrics that a source ever sent."""
    return answer(await gateway.store.read(queries.metric_names, source.source_id))


@router.get('/sources/{source_id}/metrics/latest', responses=answers(LatestValues, 404))
async def show_latest(gateway: Authorised, source: KnownSource) -> Response:
    """Tell the newest value of each metric that was received within the last hour."""
    metrics = await gateway.store.read(queries.latest, source.source_id, wall_ms())
    return answer({'metrics': metrics})


@router.get('/sources/{source_id}/metrics/query', responses=answers(QueryAnswer, 400, 404))
async def query_metrics(
        gateway: Authorised, source: KnownSource, window: AskedWindow,
        metrics: str | None = None, interval: str | None = None) -> Response:
    """Return samples, or statistics of buckets of time, as columns."""
    try:
        chosen = read_interval(interval, window)
    except WindowError as error:
        raise HTTPException(400, str(error)) from None
    names = names_in(metrics)
    slug = source.source_id
    if chosen == RAW:
        result = await gateway.store.read(queries.raw_samples, slug, names, window)
    else:
        result = await gateway.store.read(
            queries.bucketed_samples, slug, names, window, BUCKET_MS[chosen])
    return answer({
        'interval': chosen, 'auto_downsampled': interval is None and chosen != RAW,
        'truncated': result.truncated, 'series': result.series})


@router.get('/sources/{source_id}/events', responses=answers(list[Event], 400, 404))
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
    return answer([row._asdict() for row in rows])


def _describe(gateway: Gateway, source: queries.SourceRow) -> dict[str, Any]:
    return {'source_id': source.source_id, 'online': source.source_id in gateway.devices,
            'last_seen_ms': source.newest_metric_ms}

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The data API about all sources together (protocol section 12.5)."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from plexus_bridge.gateway.api.dependencies import AskedWindow
from plexus_bridge.gateway.api.dependencies import Authorised
from plexus_bridge.gateway.api.models import answers
from plexus_bridge.gateway.api.models import FleetHealth
from plexus_bridge.gateway.api.models import FleetMetrics
from plexus_bridge.gateway.fields import answer
from plexus_bridge.gateway.storage import queries
from plexus_bridge.gateway.storage.windows import BUCKET_MS
from plexus_bridge.gateway.storage.windows import RAW
from plexus_bridge.gateway.storage.windows import read_interval

router = APIRouter(prefix='/v1/fleet', default_response_class=Response, tags=['fleet'])


@router.get('/health', responses=answers(FleetHealth))
async def show_fleet_health(gateway: Authorised) -> Response:
    """Count the sources that have ever sent a metric, and those that are connected."""
    rows = await gateway.store.read(queries.sources)
    return answer({
        'sources_total': sum(row.newest_metric_ms is not None for row in rows),
        'sources_online': len(gateway.devices)})


@router.get('/metrics', responses=answers(FleetMetrics, 400))
async def query_fleet(gateway: Authorised, window: AskedWindow, metric: str) -> Response:
    """Return statistics of one metric for each source that has it, never finer than a minute."""
    interval = read_interval(None, window)
    if interval == RAW:
        interval = '1m'
    found, truncated = await gateway.store.read(
        queries.fleet_buckets, metric, window, BUCKET_MS[interval])
    return answer({
        'metric': metric, 'interval': interval, 'sources_online': len(gateway.devices),
        'sources_w_metric': len(found), 'truncated': truncated,
        'sources': [{'source_id': source_id, 'online': source_id in gateway.devices, **columns}
                    for source_id, columns in found.items()]})

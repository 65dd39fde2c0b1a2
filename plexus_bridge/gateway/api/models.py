# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The answers of the data API as its OpenAPI description shows them (protocol section 12).

They describe and are not run through: what is answered comes from the database as it was checked
when it was stored.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from plexus_bridge.gateway.documented import documented


class Source(BaseModel):
    """One source; `online` means that its device socket is open."""

    source_id: str
    online: bool
    last_seen_ms: int | None


class SourceList(BaseModel):
    """Sources, by name."""

    devices: list[Source]


class LatestValues(BaseModel):
    """The newest value of each metric that was received within the last hour."""

    metrics: dict[str, float]


class Samples(BaseModel):
    """Columns of one metric, raw."""

    timestamp_ms: list[int]
    value: list[float]


class Buckets(BaseModel):
    """Columns of one metric, by intervals; stamps are their beginnings, aligned to UTC."""

    timestamp_ms: list[int]
    min: list[float]
    max: list[float]
    avg: list[float]
    count: list[int]


class QueryAnswer(BaseModel):
    """Columns by metric; metrics without data are absent."""

    interval: str
    auto_downsampled: bool
    truncated: bool
    series: dict[str, Samples | Buckets]


class Event(BaseModel):
    """One event; a value that was no text is told as JSON."""

    timestamp_ms: int
    metric: str
    value: str
    tags: dict[str, str]


class FleetHealth(BaseModel):
    """How many sources have ever sent a metric, and how many are connected."""

    sources_total: int
    sources_online: int


class FleetSource(Buckets):
    """One source's columns of the metric."""

    source_id: str
    online: bool


class FleetMetrics(BaseModel):
    """One metric of all sources that have it within the window."""

    metric: str
    interval: str
    sources_online: int
    sources_w_metric: int
    sources: list[FleetSource]
    truncated: bool


class Estimate(BaseModel):
    """About how many rows an export has."""

    rows: int


class GatewayTotals(BaseModel):
    """What was received, stored and dropped since the start, and what the database takes."""

    counters: dict[str, int]
    dropped: dict[str, int]
    devices: int
    viewers: int
    database_bytes: int


class Health(BaseModel):
    """Whether points can be stored; `browsers` are open live streams."""

    status: str
    devices: int
    browsers: int
    uptime_s: int
    error: str | None = None


def answers(model: Any, *statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that answers so, or with one of these statuses."""
    return {200: {'model': model}, **documented(*statuses)}

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What becomes of a device's messages: points are metered and stored, the rest finds its reader.

One `Inbox` belongs to one device that was let in; it runs on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
import logging
import time
from typing import Any

from plexus_bridge.errors import PointError
from plexus_bridge.gateway.devices import Connection
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.limits import Refusal
from plexus_bridge.gateway.runs.sessions import note_started
from plexus_bridge.gateway.runs.sessions import note_stopped
from plexus_bridge.points import milliseconds
from plexus_bridge.points import ReceivedPoint
from plexus_bridge.points import trim
from plexus_bridge.protocol.gateway_events import HeartbeatReceived
from plexus_bridge.protocol.gateway_events import MessageReceived
from plexus_bridge.protocol.gateway_events import TelemetryReceived
from plexus_bridge.protocol.gateway_events import VideoReceived

logger = logging.getLogger(__name__)

MAX_TEXT_BYTES = 256
# Told to the people who listen, as they came (sections 9 and 11.4).
RELAYED = frozenset(('output', 'pong', 'session_started', 'session_stopped', 'command_ack'))

# Called with a ticket and None where the frame is stored, a Refusal, or the text of a failure.
Verdict = Callable[[int, Refusal | str | None], None]


class Inbox:
    """Takes the events of one device's session."""

    def __init__(
            self, gateway: Gateway, source_id: str, peer: str | None, connection: Connection,
            decide: Verdict):
        self._gateway = gateway
        self._source_id = source_id
        self._peer = peer
        self._connection = connection
        self._decide = decide
        self._meter = gateway.ceilings.connection_meter(peer, time.monotonic())
        self._registered = False
        self.uptime_s: float | None = None

    def take(
            self, event: TelemetryReceived | VideoReceived | HeartbeatReceived
            | MessageReceived) -> None:
        """Take one event."""
        counters = self._gateway.store.counters
        if isinstance(event, TelemetryReceived):
            counters.add('socket_frames')
            counters.add('socket_points', len(event.points))
            self._store(event)
        elif isinstance(event, VideoReceived):
            self._show(event)
        elif isinstance(event, HeartbeatReceived):
            self.uptime_s = event.uptime_s
            self._register()
        else:
            self._read(event.kind, event.body)

    # -- points

    def _store(self, frame: TelemetryReceived) -> None:
        refusal = self._refusal()
        if refusal is not None:
            self._gateway.store.counters.drop(refusal.code.lower(), len(frame.points))
            self._decide(frame.ticket, refusal)
            return
        self._registered = True
        future = self._gateway.store.write(((self._source_id, frame.points),), wall_ms())
        future.add_done_callback(partial(self._settle, frame.ticket))

    def _settle(self, ticket: int, verdict: asyncio.Future[None]) -> None:
        error = verdict.exception()
        self._decide(ticket, None if error is None else str(error))

    def _refusal(self) -> Refusal | None:
        now = time.monotonic()
        if self._meter is not None and not self._meter.take(now):
            return Refusal('RATE_LIMITED', 'too many messages on this connection')
        return self._gateway.ceilings.refusal(self._source_id, self._peer, now)

    def _register(self) -> None:
        """Have a source that lives and has sent nothing yet in the list (section 6.7)."""
        if not self._registered:
            self._registered = True
            self._gateway.store_quietly(((self._source_id, ()),))

    # -- pictures

    def _show(self, event: VideoReceived) -> None:
        counters = self._gateway.store.counters
        counters.add('video_frames')
        # Pictures share the connection's budget with telemetry; a lost one is not told of.
        if self._meter is not None and not self._meter.take(time.monotonic()):
            counters.drop('video_rate_limited')
            return
        picture = event.picture
        stamp = picture.timestamp_ms if picture.timestamp_ms > 0 else wall_ms()
        # Half a surrogate pair, which is no character, cannot be told on.
        camera_id = picture.camera_id.encode(errors='replace').decode()
        self._gateway.hub.publish_video(
            self._source_id, replace(picture, camera_id=camera_id, timestamp_ms=stamp),
            event.thermal)

    # -- everything else

    def _read(self, kind: str, body: dict[str, Any]) -> None:
        runs = self._gateway.commands
        if kind == 'command_status':
            runs.hear_status(self._connection, self._source_id, body)
        elif kind == 'command_sync':
            runs.hear_sync(self._connection, self._source_id, body)
        elif kind == 'command_result':
            runs.hear_legacy(self._source_id, body)
        elif kind == 'device_error':
            self._note_error(body)
        elif kind in RELAYED:
            self._note_session(kind, body)
            self._gateway.updates.tell(
                self._source_id, {**body, 'source_id': self._source_id})

    def _note_session(self, kind: str, body: dict[str, Any]) -> None:
        """Keep that an agent began or ended a recording (section 11.4)."""
        session_id, name = body.get('session_id'), body.get('session_name')
        if not isinstance(session_id, str) or not session_id.isprintable() or (
                not 0 < len(session_id) <= MAX_TEXT_BYTES):
            return
        source_id = self._source_id
        if kind == 'session_started':
            self._gateway.change(
                note_started, source_id, session_id, name if isinstance(name, str) else '',
                wall_ms())
        elif kind == 'session_stopped':
            self._gateway.change(note_stopped, source_id, session_id, wall_ms())

    def _note_error(self, body: dict[str, Any]) -> None:
        """Keep an agent's error as an event (section 11.4); its stamp is in seconds."""
        try:
            stamp = milliseconds(body.get('timestamp'), wall_ms())
        except PointError:
            stamp = wall_ms()
        tags = {
            tag: trim(str(body[key]), MAX_TEXT_BYTES)
            for tag, key in (('error_source', 'source'), ('severity', 'severity'))
            if isinstance(body.get(key), str)}
        if tags.get('severity') == 'warning':  # agents' word; events have those of ROS and the map
            tags['severity'] = 'warn'
        text = trim(str(body.get('error') or 'unknown'), MAX_TEXT_BYTES)
        point = ReceivedPoint('event', 'device.error', text, stamp, tags or None)
        self._gateway.store_quietly(((self._source_id, (point,)),))

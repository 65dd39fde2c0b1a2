# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
``/ws/device``: a GatewaySession with a WebSocket under it and an Inbox behind it (section 6).

Two tasks per device: one reads, one sends and keeps the time. Verdicts of the store come in
between as callbacks of the same loop, so the session needs no lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
import contextlib
from dataclasses import replace
import logging
import time
from typing import Any

from fastapi import APIRouter
from fastapi import Request
from fastapi import WebSocket
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from plexus_bridge import encoding
from plexus_bridge.errors import AccessError
from plexus_bridge.errors import RequestError
from plexus_bridge.errors import StoreError
from plexus_bridge.gateway import sources
from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import gateway_of
from plexus_bridge.gateway.inbox import Inbox
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.limits import Refusal
from plexus_bridge.gateway.presence import introduction
from plexus_bridge.gateway.web_socket import payload_of
from plexus_bridge.gateway.web_socket import watch
from plexus_bridge.protocol.gateway import GatewaySession
from plexus_bridge.protocol.gateway_events import DeviceLeft
from plexus_bridge.protocol.gateway_events import GatewayEvent
from plexus_bridge.protocol.gateway_events import HelloReceived
from plexus_bridge.protocol.gateway_events import InvalidReceived
from plexus_bridge.protocol.gateway_events import TelemetryReceived
from plexus_bridge.protocol.hello import Declared
from plexus_bridge.protocol.hello import DeviceHello
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Close
from plexus_bridge.protocol.messages import CloseCode
from plexus_bridge.protocol.messages import Message
from plexus_bridge.protocol.messages import Text

logger = logging.getLogger(__name__)

router = APIRouter()

# Frames that came before a shutdown are answered if the store does it within this time.
GOODBYE_TIMEOUT_S = 5.0
HANG_UP_TIMEOUT_S = 1.0
MAX_INSTALL_ID = 256
# Each may fill some memory before it has shown a key. Of more than these the one that has been
# silent for longest goes, and never the newest: robots show their key in a moment.
MAX_STRANGERS = 1024


@router.websocket('/ws/device')
@router.websocket('/party/{room}')  # where agents of old connect (section 11.1)
async def device_socket(websocket: WebSocket) -> None:
    """Serve one device until either side ends it; refused before the upgrade when degraded."""
    gateway = gateway_of(websocket)
    failure = gateway.store.failure
    if failure is not None:
        body = encoding.dumps({'error': f'storage unavailable: {failure}'})
        await websocket.send_denial_response(
            Response(body, status_code=503, media_type='application/json'))
        return
    await websocket.accept()
    await DeviceSocket(gateway, websocket).run()


@router.get('/api/config')
async def show_config(request: Request) -> Response:
    """Tell agents of old where the socket is: here (section 11.1)."""
    scheme = 'wss' if request.url.scheme == 'https' else 'ws'
    return Response(encoding.dumps({'ws_url': f'{scheme}://{request.url.netloc}'}),
                    media_type='application/json')


class DeviceSocket:
    """One device's connection."""

    def __init__(self, gateway: Gateway, websocket: WebSocket):
        self._gateway = gateway
        self._websocket = websocket
        self._session = GatewaySession(time.monotonic(), dict(websocket.headers))
        self._peer = websocket.client.host if websocket.client else None
        self._inbox: Inbox | None = None
        self._entered_ms = 0
        self._heard_ms = 0
        self._hello: DeviceHello | None = None
        self._until_left = contextlib.ExitStack()
        self._undecided = 0
        self._all_decided = asyncio.Event()
        self._all_decided.set()
        self._less_congested = asyncio.Event()
        self._to_send = asyncio.Event()
        self._ended = asyncio.Event()
        self._lost = asyncio.Event()
        watch(websocket, on_pong=self._heard, on_lost=self._lost.set)

    async def run(self) -> None:
        """Serve until the connection is over; leaves nothing running."""
        self._reader = asyncio.create_task(self._read())
        self._sender = asyncio.create_task(self._send())
        self._wait_to_be_let_in()
        self._reader.add_done_callback(lambda _: self._to_send.set())
        try:
            await asyncio.wait((self._sender,))
        finally:
            self._reader.cancel()
            self._sender.cancel()
            results = await asyncio.gather(self._reader, self._sender, return_exceptions=True)
            self._gateway.strangers.pop(self, None)
            self._until_left.close()
            hello = self._hello
            if hello is not None and self._gateway.devices.leave(hello.source_id, self):
                self._gateway.left(hello.source_id, self._heard_ms)
            self._ended.set()
        for result in results:
            if isinstance(result, Exception):
                raise result

    @property
    def declared(self) -> Declared:
        """The commands that the device may be sent."""
        return self._session.declared

    @property
    def has_room(self) -> bool:
        """Whether the device reads what it is sent."""
        return self._session.has_room

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; ignored once the connection is over."""
        self._session.send(message)
        self._to_send.set()

    def describe(self) -> dict[str, Any]:
        """Return what is known of the device and its connection."""
        hello = self._hello
        assert hello is not None
        return {
            **introduction(hello), 'address': self._peer, 'connected_ms': self._entered_ms,
            'last_heard_ms': self._heard_ms,
            'uptime_s': self._inbox.uptime_s if self._inbox else None}

    def displace(self) -> None:
        """Drop the connection without a close frame (section 3)."""
        self._sender.cancel()

    async def say_goodbye(self, reason: str) -> None:
        """Stop reading, answer the frames that came, close with 1001."""
        self._reader.cancel()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all_decided.wait(), GOODBYE_TIMEOUT_S)
        self._session.goodbye(reason)
        self._to_send.set()
        try:
            await asyncio.wait_for(self._ended.wait(), GOODBYE_TIMEOUT_S)
            # Closed by us while the device is still sending, the connection would be reset and
            # the close frame with it; a device that heard it hangs up at once.
            await asyncio.wait_for(self._lost.wait(), HANG_UP_TIMEOUT_S)
        except asyncio.TimeoutError:  # the device does not read
            self._sender.cancel()

    def _wait_to_be_let_in(self) -> None:
        strangers = self._gateway.strangers
        if len(strangers) >= MAX_STRANGERS:
            self._gateway.store.counters.add('sockets_turned_away')
            oldest = next(iter(strangers))
            del strangers[oldest]
            oldest.displace()
        strangers[self] = None

    def _heard(self) -> None:
        self._session.heard(time.monotonic())
        self._heard_ms = wall_ms()

    # -- reading

    async def _read(self) -> None:
        session = self._session
        while not session.closed:
            await self._gateway.store.room()
            await self._gateway.commands.room()
            while session.congested:
                self._less_congested.clear()
                await self._less_congested.wait()
            message = await self._receive()
            self._heard_ms = wall_ms()
            for event in session.receive(message, time.monotonic(), self._heard_ms):
                await self._handle(event)
            self._to_send.set()

    async def _receive(self) -> Message:
        message = await self._websocket.receive()
        if message['type'] == 'websocket.disconnect':
            return Close(message.get('code') or CloseCode.NO_STATUS)
        text = message.get('text')
        return Binary(message['bytes']) if text is None else Text(payload_of(text))

    async def _handle(self, event: GatewayEvent) -> None:
        if isinstance(event, HelloReceived):
            await self._let_in(event.hello)
        elif isinstance(event, InvalidReceived):
            self._gateway.store.counters.add('socket_refused')
            logger.debug('Refused a message: %s %s', event.code, event.detail)
        elif isinstance(event, DeviceLeft):
            self._sender.cancel()
        elif self._inbox is not None:
            if isinstance(event, TelemetryReceived):
                self._undecided += 1
                self._all_decided.clear()
            self._inbox.take(event)

    async def _let_in(self, hello: DeviceHello) -> None:
        try:
            key = await self._gateway.admit(
                hello.device_token or hello.api_key, 'write', hello.source_id)
        except AccessError as error:
            self._session.refuse('', 'Invalid API key' if error.status == 401 else str(error))
            return
        try:
            hello = self._hello = await self._named(hello, key)
        except RequestError as error:
            self._session.refuse('', str(error))
            return
        except StoreError as error:
            self._session.storage_failed(str(error))
            return
        self._gateway.strangers.pop(self, None)
        # When the key is revoked, the device hears why as it comes again.
        self._until_left.enter_context(self._gateway.keys.held(key, self.displace))
        self._entered_ms = wall_ms()
        self._inbox = Inbox(self._gateway, hello.source_id, self._peer, self, self._decide)
        self._gateway.displaced(hello.source_id, self._peer)
        self._gateway.devices.enter(hello.source_id, self)
        self._session.accept(
            self._entered_ms, source_id=hello.source_id, receives_commands=key.receive_commands,
            store_results=None if self._gateway.settings.store_results else False)
        self._gateway.entered(hello, self)

    async def _named(self, hello: DeviceHello, key: Key) -> DeviceHello:
        """Return the introduction under the name that is the device's own (section 3)."""
        install_id = hello.body.get('install_id')
        if not isinstance(install_id, str) or not 0 < len(install_id) <= MAX_INSTALL_ID \
                or key.source_id is not None:
            return hello
        return replace(hello, source_id=await self._gateway.store.execute(
            sources.claim, hello.source_id, install_id))

    def _decide(self, ticket: int, verdict: Refusal | str | None) -> None:
        if verdict is None:
            self._session.stored(ticket)
        elif isinstance(verdict, Refusal):
            self._session.discarded(ticket, verdict.code, verdict.detail)
        else:
            self._session.storage_failed(verdict)
        self._undecided -= 1
        if self._undecided == 0:
            self._all_decided.set()
        self._less_congested.set()
        self._to_send.set()

    # -- sending

    async def _send(self) -> None:
        session = self._session
        while True:
            self._to_send.clear()
            try:
                for message in session.messages_to_send():
                    await self._transmit(message)
            except WebSocketDisconnect:
                return
            self._less_congested.set()
            deadline = session.deadline()
            if deadline is None or (self._reader.done() and not self._reader.cancelled()):
                return
            wait = max(0.0, deadline - time.monotonic())
            try:
                await asyncio.wait_for(self._to_send.wait(), wait)
            except asyncio.TimeoutError:
                session.tick(time.monotonic())

    async def _transmit(self, message: Message) -> None:
        if isinstance(message, Close):
            await self._websocket.close(message.code, message.reason)
        elif isinstance(message, Binary):
            await self._websocket.send_bytes(message.payload)
        else:
            await self._websocket.send_text(message.payload.decode())

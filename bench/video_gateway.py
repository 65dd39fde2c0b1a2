# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A gateway that lets everybody in, acknowledges, and notes when what arrived."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from dataclasses import field
import json
import threading
import time
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve
from websockets.sync.server import ServerConnection

from plexus_bridge.errors import RemoteProtocolError
from plexus_bridge.protocol.video import decode_binary
from plexus_bridge.protocol.video import decode_text
from plexus_bridge.protocol.video import Picture


@dataclass
class Arrivals:
    """What came: (Unix s, Unix ms of its stamp, bytes, camera or metric)."""

    pictures: list[tuple[float, int, int, str]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    points: list[tuple[float, int, str, str]] = field(default_factory=list)
    first_picture: threading.Event = field(default_factory=threading.Event)

    def clear(self) -> None:
        self.pictures.clear()
        self.sizes.clear()
        self.points.clear()


class VideoGateway:
    """Runs in threads of this process, on a port of its own."""

    def __init__(self) -> None:
        self.arrivals = Arrivals()
        self._server = serve(self._handle, '127.0.0.1', 0, max_size=None, compression=None)
        self.port: int = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.port}'

    def close(self) -> None:
        self._server.shutdown()

    def _handle(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            connection.recv()
            connection.send(json.dumps({
                'type': 'authenticated', 'acks': True, 'server_time_ms': time.time() * 1000}))
            while True:
                self._take(connection, connection.recv())

    def _take(self, connection: ServerConnection, message: Any) -> None:
        now = time.time()
        if isinstance(message, bytes):
            with contextlib.suppress(RemoteProtocolError):
                self._note(now, decode_binary(message), len(message))
            return
        body = json.loads(message)
        if body['type'] == 'video_frame':
            self._note(now, decode_text(body)[0], len(message))
        elif body['type'] == 'telemetry':
            self.arrivals.points += [
                (now, point['timestamp'], point['metric'], point['class'])
                for point in body['points']]
            if 'seq' in body:
                connection.send(json.dumps({'type': 'telemetry_ack', 'seq': body['seq']}))

    def _note(self, now: float, picture: Picture, size: int) -> None:
        self.arrivals.pictures.append((now, picture.timestamp_ms, size, picture.camera_id))
        self.arrivals.sizes.append((picture.width, picture.height))
        self.arrivals.first_picture.set()

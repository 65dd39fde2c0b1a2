# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A gateway that does as a test says, on a real socket: WebSocket by websockets, HTTP by hand."""

from __future__ import annotations

from collections.abc import Callable
import gzip
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
import json
import threading
from typing import Any

from websockets.sync.server import serve
from websockets.sync.server import ServerConnection


class ScriptedSocket:
    """Runs `script(connection)` for every device socket that is opened; `auths` has the first."""

    def __init__(self, script: Callable[[ServerConnection], None]):
        self._script = script
        self.connections = 0
        # A script that stops reading would otherwise wait for a close frame behind the unread.
        self._server = serve(
            self._handle, '127.0.0.1', 0, compression=None, close_timeout=0.2)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> ScriptedSocket:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.port}'

    def _handle(self, connection: ServerConnection) -> None:
        self.connections += 1
        self._script(connection)


class ScriptedIngest:
    """
    Answers POST /ingest by `answer(body)` → (status, JSON or bytes, headers).

    There is no device socket: who asks for one gets `upgrade_status`.
    """

    def __init__(self, answer: Callable[[dict[str, Any]], tuple[int, Any, dict[str, str]]],
                 upgrade_status: int = HTTPStatus.SERVICE_UNAVAILABLE):
        self.upgrades = 0
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self) -> None:
                outer.upgrades += 1
                self.send_error(upgrade_status)

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers['Content-Length']))
                if self.headers.get('Content-Encoding') == 'gzip':
                    raw = gzip.decompress(raw)
                body = json.loads(raw)
                outer.bodies.append(body)
                outer.headers.append(dict(self.headers))
                status, content, headers = answer(body)
                content = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header('Content-Length', str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> ScriptedIngest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.port}'

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy on loopback that lets a test do to a link what radio and firewalls do."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time

_CHUNK = 65536
_RESET = struct.pack('ii', 1, 0)


class CuttingProxy:
    """
    Forwards to a port until told otherwise.

    `cut` resets all connections; `swallow` takes everything and passes nothing on, as does a
    route that is gone; `mute` passes on only what the client sends, so that answers get lost;
    `pause` does not even read. `heal` ends that, and resets what was open meanwhile: of those
    streams bytes are missing. `bytes_per_s` slows down what the client sends.
    """

    def __init__(self, port: int, bytes_per_s: float | None = None):
        self._target = port
        self._rate = bytes_per_s
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f'http://127.0.0.1:{self.port}'
        self.connections = 0
        self._mode = 'pass'
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._closing = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> CuttingProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self.cut()
        # Closing alone does not wake a thread that waits in accept.
        with contextlib.suppress(OSError):
            socket.create_connection(('127.0.0.1', self.port), 1).close()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def cut(self) -> None:
        """Reset all connections that are open."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.shutdown(socket.SHUT_RDWR)

    def swallow(self) -> None:
        """Pass nothing on from now on, without a word."""
        self._mode = 'swallow'

    def mute(self) -> None:
        """Pass on nothing that the server says."""
        self._mode = 'mute'

    def pause(self) -> None:
        """Read nothing, so that the client's buffers fill."""
        self._mode = 'pause'

    def heal(self) -> None:
        """Pass everything on again, on new connections."""
        self._mode = 'pass'
        self.cut()

    def _accept(self) -> None:
        while not self._closing:
            client = self._listener.accept()[0]
            if self._closing:
                client.close()
                return
            try:
                server = socket.create_connection(('127.0.0.1', self._target), 5)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._pairs.append((client, server))
            self._threads.append(threading.Thread(
                target=self._forward, args=(client, server), daemon=True))
            self._threads[-1].start()
            self.connections += 1

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        ends = {client: server, server: client}
        with client, server, contextlib.suppress(OSError):
            while True:
                if self._mode == 'pause':
                    readable = []
                    time.sleep(0.01)
                    client.getpeername()  # raises once it is cut
                else:
                    readable = select.select(list(ends), [], [], 0.1)[0]
                for end in readable:
                    data = end.recv(_CHUNK if self._rate is None else 4096)
                    if not data:
                        return
                    if self._mode == 'swallow' or (self._mode == 'mute' and end is server):
                        continue
                    if self._rate is not None and end is client:
                        time.sleep(len(data) / self._rate)
                    ends[end].sendall(data)

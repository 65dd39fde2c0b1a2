# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A link that is narrow: it passes on so many bytes per second and buffers little of its own."""

from __future__ import annotations

import socket
import threading
import time

# Ethernet's; a loop-back device would pass on 64 kB at once.
SEGMENT_BYTES = 1448
# What waits in the link itself: the kernel doubles it.
BUFFER_BYTES = 4096


class Throttle:
    """Passes connections to `port` on to another port, upwards at so many bytes per second."""

    def __init__(self, target_port: int, bytes_per_s: float):
        self._target_port = target_port
        self._bytes_per_s = bytes_per_s
        self._server = socket.socket()
        # Before it listens: the window that is offered at the beginning follows from it.
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        self._server.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
        self._server.bind(('127.0.0.1', 0))
        self._server.listen()
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no further connections; those that are open end with their peers."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.create_connection(('127.0.0.1', self._target_port))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink, rate in ((near, far, self._bytes_per_s), (far, near, 1e9)):
                threading.Thread(target=_pump, args=(source, sink, rate), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, bytes_per_s: float) -> None:
    """Pass on piece by piece, each when the one before it would have gone through."""
    free_at = time.monotonic()
    try:
        while data := source.recv(SEGMENT_BYTES):
            free_at = max(free_at, time.monotonic()) + len(data) / bytes_per_s
            time.sleep(max(0.0, free_at - time.monotonic()))
            sink.sendall(data)
    except OSError:
        pass  # one of the ends is gone, and so is the other then
    for end in (source, sink):
        end.close()

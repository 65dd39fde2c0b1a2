# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
A WebSocket that never blocks once it is open: websocket-client for handshake and frames.

Bytes to be sent wait here, not in the kernel, so that what is urgent never stands behind more
than one frame of bulk.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
from urllib.parse import urlsplit

import websocket
from websocket import ABNF

from plexus_bridge.errors import LinkError
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Close
from plexus_bridge.protocol.messages import CloseCode
from plexus_bridge.protocol.messages import Message
from plexus_bridge.protocol.messages import Text

CONNECT_TIMEOUT_S = 10.0
# Largest message that we take from a gateway; theirs are commands and acknowledgements.
MAX_RECEIVED_BYTES = 1024 * 1024
_SEND_CHUNK = 65536
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def socket_url(gateway_url: str) -> str:
    """Return ``ws://host/ws/device`` for a gateway's ``http://host`` (protocol section 6.1)."""
    parts = urlsplit(gateway_url)
    scheme = {'http': 'ws', 'https': 'wss', 'ws': 'ws', 'wss': 'wss'}[parts.scheme]
    path = parts.path.rstrip('/')
    if not path.endswith('/ws/device'):
        path += '/ws/device'
    return f'{scheme}://{parts.netloc}{path}'


class DeviceSocket:
    """An open device socket; LinkError from any method says that it is gone."""

    def __init__(self, url: str, *, timeout_s: float = CONNECT_TIMEOUT_S):
        try:
            self._connection = websocket.create_connection(
                url, timeout=timeout_s, skip_utf8_validation=True,
                sockopt=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),))
        except (websocket.WebSocketException, OSError, ValueError) as error:
            raise LinkError(f'{url}: {_reason(error)}') from None
        self._connection.settimeout(0)
        self._outgoing = bytearray()
        self._fragments: list[bytes] = []
        self._fragments_opcode = ABNF.OPCODE_TEXT

    def fileno(self) -> int:
        """Return the file descriptor, for `select`."""
        number: int = self._connection.sock.fileno()
        return number

    @property
    def unsent_bytes(self) -> int:
        """How much waits to be written."""
        return len(self._outgoing)

    def send(self, message: Message) -> None:
        """Queue one message and write what the network takes now."""
        if isinstance(message, Close):
            payload = int(message.code).to_bytes(2, 'big') + message.reason.encode()
            opcode = ABNF.OPCODE_CLOSE
        else:
            payload = message.payload
            opcode = ABNF.OPCODE_TEXT if isinstance(message, Text) else ABNF.OPCODE_BINARY
        self._queue(payload, opcode)
        self.write()

    def _queue(self, payload: bytes, opcode: int) -> None:
        # A frame built from text would be encoded twice, hence the opcode set afterwards.
        frame = ABNF(1, 0, 0, 0, opcode, 1, payload)
        self._outgoing += frame.format()

    def write(self) -> None:
        """Write what the network takes without waiting."""
        try:
            while self._outgoing:
                sent = self._connection.sock.send(self._outgoing[:_SEND_CHUNK])
                del self._outgoing[:sent]
        except _WOULD_BLOCK:
            return
        except OSError as error:
            raise LinkError(f'writing failed: {_reason(error)}') from None

    def read(self) -> list[Message]:
        """Return the whole messages that have arrived; pings are answered on the way."""
        messages: list[Message] = []
        while True:
            try:
                frame = self._connection.recv_frame()
            except _WOULD_BLOCK:
                length = self._connection.frame_buffer.length
                if length and length > MAX_RECEIVED_BYTES:
                    raise LinkError(
                        f'the gateway began a message of {length} bytes, expected at most '
                        f'{MAX_RECEIVED_BYTES}') from None
                return messages
            except (websocket.WebSocketException, OSError) as error:
                if messages:  # a goodbye may stand before the end
                    return messages
                raise LinkError(f'reading failed: {_reason(error)}') from None
            message = self._message(frame.opcode, frame.fin, frame.data)
            if message:
                messages.append(message)

    def _message(self, opcode: int, final: int, data: bytes) -> Message | None:
        if opcode == ABNF.OPCODE_PING:
            self._queue(data, ABNF.OPCODE_PONG)
            self.write()
            return None
        if opcode == ABNF.OPCODE_CLOSE:
            code = int.from_bytes(data[:2], 'big') if len(data) >= 2 else CloseCode.NO_STATUS
            return Close(code, data[2:].decode(errors='replace'))
        if opcode == ABNF.OPCODE_PONG:
            return None
        if opcode != ABNF.OPCODE_CONT:
            self._fragments_opcode = opcode
            self._fragments.clear()
        self._fragments.append(data)
        if sum(map(len, self._fragments)) > MAX_RECEIVED_BYTES:
            raise LinkError(f'the gateway sent a message of over {MAX_RECEIVED_BYTES} bytes')
        if not final:
            return None
        payload = b''.join(self._fragments)
        self._fragments.clear()
        return Text(payload) if self._fragments_opcode == ABNF.OPCODE_TEXT else Binary(payload)

    def close(self, timeout_s: float = 0.0) -> None:
        """Write what is queued for up to `timeout_s`, then let go of the connection."""
        try:
            if self._outgoing and timeout_s:
                self._connection.sock.settimeout(timeout_s)
                self._connection.sock.sendall(self._outgoing)
        except OSError:
            pass  # it is to be closed anyway
        self._connection.shutdown()


def wait(connection: DeviceSocket | None, wake: socket.socket, timeout_s: float
         ) -> tuple[bool, bool]:
    """Wait until the socket can be read, or written if that is wanted, or `wake` was poked."""
    reading: list[DeviceSocket | socket.socket] = [wake]
    writing: list[DeviceSocket] = []
    if connection is not None:
        reading.append(connection)
        if connection.unsent_bytes:
            writing.append(connection)
    readable, writable, _ = select.select(reading, writing, [], timeout_s)
    return connection in readable, bool(writable)


def _reason(error: Exception) -> str:
    if isinstance(error, websocket.WebSocketBadStatusException):
        return (f'saw HTTP status {error.status_code}, expected 101: this is no Plexus gateway, '
                'or it is not ready')
    if isinstance(error, ssl.SSLCertVerificationError):
        return f'its certificate cannot be trusted: {error.verify_message}'
    if isinstance(error, ConnectionRefusedError):
        return 'nobody listens there (connection refused)'
    if isinstance(error, OSError) and error.errno == errno.ENETUNREACH:
        return 'no network'
    return str(error) or type(error).__name__

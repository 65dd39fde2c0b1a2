# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
A WebSocket that never blocks once it is open: websocket-client for handshake and frames.

Bytes to be sent wait here, not in the kernel, so that what is urgent never stands behind more
than one frame of bulk.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import errno
from http import HTTPStatus
import select
import socket
import ssl
import threading
from typing import Any
from urllib.parse import urlsplit

import websocket
from websocket import ABNF

from plexus_bridge.client.masking import client_frame
from plexus_bridge.client.tls import ca_bundle
from plexus_bridge.config.gateway_url import is_loopback
from plexus_bridge.errors import LinkError
from plexus_bridge.errors import NotAuthorised
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Close
from plexus_bridge.protocol.messages import CloseCode
from plexus_bridge.protocol.messages import Message
from plexus_bridge.protocol.messages import Text

CONNECT_TIMEOUT_S = 10.0
# Largest message that we take from a gateway; theirs are commands and acknowledgements.
MAX_RECEIVED_BYTES = 1024 * 1024
# What one `read` takes at most, so that a peer that never stops does not keep us from sending.
MAX_READ_BYTES = 262_144
MAX_READ_FRAMES = 256
_READ_AHEAD_BYTES = 16384
_SEND_CHUNK = 65536
_PING_BYTES = 8
# Answers to our own pings that wait; a peer that invents more must not fill our memory.
_MAX_PONGS = 256
KERNEL_UNSENT_BYTES = 32768
_SWITCHING_PROTOCOLS = 101
# websocket-client heeds the list of hosts without a proxy only where a proxy is named.
_NO_PROXY = {'http_proxy_host': 'unused.invalid', 'http_no_proxy': ['*']}
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def socket_url(gateway_url: str) -> str:
    """Return ``ws://host/ws/device`` for a gateway's ``http://host`` (protocol section 6.1)."""
    parts = urlsplit(gateway_url)
    scheme = {'http': 'ws', 'https': 'wss', 'ws': 'ws', 'wss': 'wss'}[parts.scheme]
    path = parts.path.rstrip('/')
    if not path.endswith('/ws/device'):
        path += '/ws/device'
    return f'{scheme}://{parts.netloc}{path}'


class _BoundedWebSocket(websocket.WebSocket):  # type: ignore[misc]
    """
    Hands out `allowance` bytes, then says that it would block.

    It reads ahead: the library asks for a head's two bytes, then for the rest of a frame.
    """

    allowance = 0
    _ahead = b''
    _position = 0
    _is_dry = False

    def allow(self, size: int) -> None:
        """Let so many bytes be handed out, which may come from the network again."""
        self.allowance = size
        self._is_dry = False

    def _recv(self, bufsize: int) -> bytes:
        length = self.frame_buffer.length
        if length and length > MAX_RECEIVED_BYTES:
            raise LinkError(f'the gateway began a message of {length} bytes, expected at most '
                            f'{MAX_RECEIVED_BYTES}')
        if self.allowance <= 0:
            raise BlockingIOError
        if self._position == len(self._ahead):
            self._read_ahead()
        data = self._ahead[self._position:self._position + bufsize]
        self._position += len(data)
        self.allowance -= len(data)
        return data

    def _read_ahead(self) -> None:
        if self._is_dry:
            raise BlockingIOError
        self._ahead = super()._recv(_READ_AHEAD_BYTES)
        self._position = 0
        # Less than was asked for is all there is; but TLS hands out one record at a time.
        self._is_dry = (len(self._ahead) < _READ_AHEAD_BYTES
                        and not isinstance(self.sock, ssl.SSLSocket))


class DeviceSocket:
    """
    An open device socket; LinkError from any method says that it is gone.

    NotAuthorised says that the gateway refused already the request for a socket.
    """

    def __init__(self, url: str, *, timeout_s: float = CONNECT_TIMEOUT_S):
        self._connection = _BoundedWebSocket(
            sockopt=_socket_options(), sslopt=_ssl_options(), skip_utf8_validation=True)
        deadline = _Deadline(self._connection, timeout_s)
        try:
            # The time-out is for connecting and for each single read of the answer.
            self._connection.settimeout(timeout_s)
            self._connection.connect(
                url, redirect_limit=0, **(_NO_PROXY if is_loopback(url) else {}))
            _check_answer(self._connection)
        except Exception as error:
            # Old websocket-client raises IndexError, TypeError … where the peer speaks no HTTP.
            self._connection.shutdown()
            reason = (deadline.reason() or _redirected(self._connection.handshake_response)
                      or _reason(error))
            kind = NotAuthorised if _is_refusal(error) else LinkError
            raise kind(f'{url}: {reason}') from None
        finally:
            deadline.cancel()
        self._connection.settimeout(0)
        self._outgoing = bytearray()
        self._fragments = bytearray()
        self._fragments_opcode = ABNF.OPCODE_TEXT
        self._unread = False
        self._pongs: list[int] = []

    def fileno(self) -> int:
        """Return the file descriptor, for `select`."""
        number: int = self._connection.sock.fileno()
        return number

    @property
    def unsent_bytes(self) -> int:
        """How much waits to be written."""
        return len(self._outgoing)

    @property
    def unread(self) -> bool:
        """Whether `read` stopped before the end: `select` may know nothing of what is left."""
        return self._unread

    def send(self, message: Message) -> None:
        """Queue one message and write what the network takes now."""
        if isinstance(message, Close):
            payload = int(message.code).to_bytes(2, 'big') + message.reason.encode()
            opcode = ABNF.OPCODE_CLOSE
        else:
            payload = message.payload
            opcode = ABNF.OPCODE_TEXT if isinstance(message, Text) else ABNF.OPCODE_BINARY
        frame = memoryview(client_frame(opcode, payload))
        if not self._outgoing:
            frame = frame[self._taken_of(frame):]
        self._outgoing += frame
        self.write()

    def _queue(self, payload: bytes, opcode: int) -> None:
        self._outgoing += client_frame(opcode, payload)

    def ping(self, number: int) -> None:
        """Queue a ping with this number, to learn when what stands before it has arrived."""
        self._queue(number.to_bytes(_PING_BYTES, 'big'), ABNF.OPCODE_PING)

    def take_pongs(self) -> list[int]:
        """Return the numbers of the pings that were answered since the last call."""
        pongs, self._pongs = self._pongs, []
        return pongs

    def write(self) -> None:
        """Write what the network takes without waiting."""
        while self._outgoing:
            taken = self._taken_of(self._outgoing)
            if not taken:
                break
            del self._outgoing[:taken]

    def _taken_of(self, data: bytearray | memoryview) -> int:
        """Return how much of it the network takes without waiting, perhaps nothing."""
        try:
            taken: int = self._connection.sock.send(data[:_SEND_CHUNK])
            return taken
        except _WOULD_BLOCK:
            return 0
        except OSError as error:
            raise LinkError(f'writing failed: {_reason(error)}') from None

    def read(self) -> list[Message]:
        """
        Return the whole messages that have arrived; pings are answered on the way.

        After MAX_READ_BYTES or MAX_READ_FRAMES the rest is left for the next call.
        """
        messages: list[Message] = []
        self._connection.allow(MAX_READ_BYTES)
        self._unread = False
        for _ in range(MAX_READ_FRAMES):
            try:
                frame = self._connection.recv_frame()
            except _WOULD_BLOCK:
                self._unread = self._connection.allowance <= 0
                return messages
            except (websocket.WebSocketException, OSError) as error:
                if messages:  # a goodbye may stand before the end
                    return messages
                raise LinkError(f'reading failed: {_reason(error)}') from None
            message = self._message(frame.opcode, frame.fin, frame.data)
            if message:
                messages.append(message)
        self._unread = True
        return messages

    def _message(self, opcode: int, final: int, data: bytes) -> Message | None:
        if opcode == ABNF.OPCODE_PING:
            # A peer that pings and never reads must not fill our memory with answers.
            if len(self._outgoing) < _SEND_CHUNK:
                self._queue(data, ABNF.OPCODE_PONG)
                self.write()
            return None
        if opcode == ABNF.OPCODE_CLOSE:
            code = int.from_bytes(data[:2], 'big') if len(data) >= 2 else CloseCode.NO_STATUS
            return Close(code, data[2:].decode(errors='replace'))
        if opcode == ABNF.OPCODE_PONG:
            if len(data) == _PING_BYTES and len(self._pongs) < _MAX_PONGS:
                self._pongs.append(int.from_bytes(data, 'big'))
            return None
        if opcode != ABNF.OPCODE_CONT:
            self._fragments_opcode = opcode
            self._fragments.clear()
        self._fragments += data
        if len(self._fragments) > MAX_RECEIVED_BYTES:
            raise LinkError(f'the gateway sent a message of over {MAX_RECEIVED_BYTES} bytes')
        if not final:
            return None
        payload = bytes(self._fragments)
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
         ) -> tuple[bool, bool, bool]:
    """Wait; returns whether the socket can be read, or written if wanted, or `wake` was poked."""
    reading: list[DeviceSocket | socket.socket] = [wake]
    writing: list[DeviceSocket] = []
    unread = False
    if connection is not None:
        reading.append(connection)
        if connection.unread:
            unread = True
            timeout_s = 0.0
        if connection.unsent_bytes:
            writing.append(connection)
    readable, writable, _ = select.select(reading, writing, [], timeout_s)
    return connection in readable or unread, bool(writable), wake in readable


def _ssl_options() -> dict[str, str]:
    bundle = ca_bundle()
    return {'ca_certs': bundle} if bundle else {}


def _socket_options() -> tuple[tuple[int, int, int], ...]:
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    # What the kernel holds unsent stands before everything urgent; not all systems can bound it.
    if hasattr(socket, 'TCP_NOTSENT_LOWAT'):
        options.append((socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_UNSENT_BYTES))
    return tuple(options)


class _Deadline:
    """
    Ends a handshake that takes longer than it may, however busily the peer sends.

    The connection to an environment's proxy is not covered: each of its steps has a time-out.
    """

    def __init__(self, connection: websocket.WebSocket, timeout_s: float):
        self._connection = connection
        self._timeout_s = timeout_s
        self._passed = False
        self._timer = threading.Timer(timeout_s, self._end)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()

    def reason(self) -> str:
        """Return why the handshake ended, empty if not for this."""
        return f'no whole answer within {self._timeout_s:g} s' if self._passed else ''

    def _end(self) -> None:
        self._passed = True
        connected = self._connection.sock
        if connected is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                # Not of the TLS layer, whose own shutdown would forget its state under the reader.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)


def _check_answer(connection: websocket.WebSocket) -> None:
    # Some websocket-client take a redirect that is not to be followed for success.
    if connection.handshake_response.status != _SWITCHING_PROTOCOLS:
        raise LinkError(f'saw HTTP status {connection.handshake_response.status}, expected 101')


def _redirected(answer: Any) -> str:
    """Return why an answer is refused that sends us elsewhere, empty if it does not."""
    if answer is None or not 300 <= answer.status < 400:
        return ''
    return _redirect_reason(answer.status, answer.headers)


def _redirect_reason(status: int, headers: Mapping[str, str] | None) -> str:
    where = (headers or {}).get('location') or 'nowhere'
    return (f'saw HTTP status {status}, a redirect to {where[:200]!r}, expected 101: the key is '
            'sent to the configured address only; if that is right, set it as the gateway url')


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, websocket.WebSocketBadStatusException) and error.status_code in (
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def _reason(error: Exception) -> str:
    if isinstance(error, websocket.WebSocketBadStatusException):
        return _status_reason(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f'its certificate cannot be trusted: {error.verify_message}'
    if isinstance(error, ConnectionRefusedError):
        return 'nobody listens there (connection refused)'
    if isinstance(error, OSError) and error.errno == errno.ENETUNREACH:
        return 'no network'
    if isinstance(error, LinkError | OSError | websocket.WebSocketException):
        return str(error) or type(error).__name__
    return f'what answers there is no Plexus gateway ({type(error).__name__}: {error})'


def _status_reason(error: websocket.WebSocketBadStatusException) -> str:
    status = error.status_code
    if status is None:
        return 'what answers there is no Plexus gateway (no HTTP status)'
    if 300 <= status < 400:
        return _redirect_reason(status, error.resp_headers)
    if _is_refusal(error):
        return f'the gateway refuses the key with HTTP status {status}'
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return 'the gateway is not ready (HTTP status 503)'
    return f'saw HTTP status {status}, expected 101: this is no Plexus gateway'

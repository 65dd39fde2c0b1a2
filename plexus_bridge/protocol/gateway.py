# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Gateway side of one ``/ws/device`` connection (protocol sections 6, 18 and 20).

The owner hands in what came, acts on the events, and says what became of each telemetry frame:
`stored`, `discarded` or `storage_failed`. The session answers in the order of arrival, because
a client releases every frame up to the sequence number that it hears.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
import enum
import re
from typing import Any

from plexus_bridge.errors import LocalProtocolError
from plexus_bridge.errors import PointError
from plexus_bridge.errors import RemoteProtocolError
from plexus_bridge.points import MAX_MESSAGE_BYTES
from plexus_bridge.points import read_points
from plexus_bridge.points import with_session
from plexus_bridge.protocol.gateway_events import DEVICE_MESSAGES
from plexus_bridge.protocol.gateway_events import DeviceLeft
from plexus_bridge.protocol.gateway_events import GatewayEvent
from plexus_bridge.protocol.gateway_events import HeartbeatReceived
from plexus_bridge.protocol.gateway_events import HelloReceived
from plexus_bridge.protocol.gateway_events import InvalidReceived
from plexus_bridge.protocol.gateway_events import MessageReceived
from plexus_bridge.protocol.gateway_events import TelemetryReceived
from plexus_bridge.protocol.gateway_events import VideoReceived
from plexus_bridge.protocol.hello import Declared
from plexus_bridge.protocol.hello import DeviceHello
from plexus_bridge.protocol.hello import FIRST_MESSAGES
from plexus_bridge.protocol.hello import read_hello
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Close
from plexus_bridge.protocol.messages import CloseCode
from plexus_bridge.protocol.messages import decode
from plexus_bridge.protocol.messages import encode
from plexus_bridge.protocol.messages import is_seq
from plexus_bridge.protocol.messages import Message
from plexus_bridge.protocol.messages import Text
from plexus_bridge.protocol.video import decode_binary
from plexus_bridge.protocol.video import decode_text
from plexus_bridge.protocol.video import is_garbled

AUTH_TIMEOUT_S = 10.0
SILENCE_TIMEOUT_S = 90.0
PROTOCOL_VERSION = 1
# Twice the window of a well-behaved client; an owner that sees `congested` stops reading.
MAX_UNDECIDED_FRAMES = 64
MAX_UNDECIDED_POINTS = 20_000
MAX_UNSENT_MESSAGES = 64

_SEQ_IN_TEXT = re.compile(rb'"seq"\s*:\s*([1-9][0-9]{0,15})\b')
_STORED = 'stored'


class _State(enum.Enum):
    WAITING = 'waiting for device_auth'
    AUTHORISING = 'authorising'
    LIVE = 'live'
    CLOSED = 'closed'


@dataclass
class _Verdict:
    """What became of one telemetry frame: `answer` is None until that is known."""

    seq: int | None
    answer: str | None = None
    detail: str = ''
    points: int = 0


class GatewaySession:
    """
    One device's connection as the gateway sees it; `now` is monotonic seconds.

    `headers` are those of the upgrade, in lower case: the oldest agents bring their key there.
    """

    def __init__(self, now: float, headers: Mapping[str, str] | None = None):
        self._state = _State.WAITING
        self._headers = headers
        self._declared = Declared()
        self._hello: DeviceHello | None = None
        self._acks = False
        self._heard_at = now
        self._outgoing: deque[Message] = deque()
        self._newest_seq = 0
        self._newest_ack: Message | None = None
        self._undecided: deque[_Verdict] = deque()
        self._undecided_points = 0
        self._first_ticket = 0

    @property
    def hello(self) -> DeviceHello | None:
        """What the device said of itself, None until it has."""
        return self._hello

    @property
    def declared(self) -> Declared:
        """The commands that the device may be sent; empty until it is let in."""
        return self._declared

    @property
    def live(self) -> bool:
        """Whether the device is let in and the connection open."""
        return self._state is _State.LIVE

    @property
    def closed(self) -> bool:
        """Whether nothing more will be sent or understood."""
        return self._state is _State.CLOSED

    @property
    def congested(self) -> bool:
        """Whether the owner should stop reading until frames are decided and answers sent."""
        return (len(self._undecided) >= MAX_UNDECIDED_FRAMES
                or self._undecided_points >= MAX_UNDECIDED_POINTS
                or len(self._outgoing) >= MAX_UNSENT_MESSAGES)

    @property
    def has_room(self) -> bool:
        """Whether the device is there and reads what it is sent."""
        return self.live and len(self._outgoing) < MAX_UNSENT_MESSAGES

    def deadline(self) -> float | None:
        """Return when `tick` must be called next, None for never."""
        if self._state is _State.CLOSED:
            return None
        wait = AUTH_TIMEOUT_S if self._state is _State.WAITING else SILENCE_TIMEOUT_S
        return self._heard_at + wait

    def heard(self, now: float) -> None:
        """Note a sign of life of a device that is no message: its answer to a ping."""
        if self._state is _State.LIVE:  # before, only device_auth counts
            self._heard_at = now

    def tick(self, now: float) -> None:
        """Act on time-outs: no `device_auth` in 10 s, or 90 s of silence (section 6.12)."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return
        if self._state is _State.WAITING:
            self._refuse_and_close('', f'no device_auth within {AUTH_TIMEOUT_S:.0f} s')
        else:
            self._close(CloseCode.GOING_AWAY, f'silent for {SILENCE_TIMEOUT_S:.0f} s')

    def messages_to_send(self) -> list[Message]:
        """Return, once, what has to be sent now, in order."""
        messages = list(self._outgoing)
        self._outgoing.clear()
        return messages

    def receive(self, message: Message, now: float, wall_ms: int) -> list[GatewayEvent]:
        """Take one message that came; `wall_ms` stamps points that bring no time."""
        if self._state is _State.CLOSED:
            return []
        if self._state is _State.AUTHORISING:
            raise LocalProtocolError('read on while device_auth was not answered')
        self._heard_at = now
        if isinstance(message, Close):
            self._close(CloseCode.NORMAL)
            return [DeviceLeft(message.code)]
        if len(message.payload) > MAX_MESSAGE_BYTES:
            self._close(CloseCode.TOO_BIG, f'message over {MAX_MESSAGE_BYTES} bytes')
            return [InvalidReceived('MESSAGE_TOO_BIG', f'{len(message.payload)} bytes')]
        if self._state is _State.WAITING:
            return self._receive_hello(message)
        if isinstance(message, Binary):
            return [self._receive_video(message.payload)]
        return self._receive_text(message.payload, wall_ms)

    def accept(
            self, server_time_ms: int, *, receives_commands: bool = True,
            store_results: bool | None = None, source_id: str = '') -> None:
        """
        Let the device in: `authenticated` is the first thing that it hears (section 6.3).

        `source_id` is the name that it goes by if that is not the one it asked for (section 3).

        Then it is told what is wrong with its commands, or that its key may not have any.
        `store_results` False asks the device to keep the results of commands to itself.
        """
        hello = self._expect_authorising()
        self._state = _State.LIVE
        self._acks = hello.acks
        answer: dict[str, Any] = {
            'type': 'authenticated', 'source_id': source_id or hello.source_id,
            'server_time_ms': server_time_ms, 'protocol': PROTOCOL_VERSION,
            'max_frame_bytes': MAX_MESSAGE_BYTES}
        if self._acks:
            answer['acks'] = True
        if store_results is not None:
            answer['store_results'] = store_results
        self._outgoing.append(encode(answer))
        self._take_declared(hello.declared(), receives_commands)

    def refuse(self, code: str, detail: str) -> None:
        """Turn the device away; the owner drops the connection without awaiting an answer."""
        self._expect_authorising()
        self._refuse_and_close(code, detail)

    def stored(self, ticket: int) -> None:
        """Say that a frame's points are safe on disk."""
        self._decide(ticket, _STORED)

    def discarded(self, ticket: int, code: str, detail: str) -> None:
        """Say that a frame was thrown away for good: it will not be sent again (section 6.6)."""
        self._decide(ticket, code, detail)

    def storage_failed(self, detail: str) -> None:
        """Say that nothing can be stored now: every undecided frame will come again."""
        if self._state is _State.CLOSED:
            return
        self._undecided.clear()
        self._undecided_points = 0
        # The code that clients know for a store that is down, whatever the store is made of.
        self._error('REDIS_UNAVAILABLE', detail)
        self._close(CloseCode.TRY_AGAIN_LATER, 'storage unavailable')

    def goodbye(self, reason: str) -> None:
        """
        Close before a shutdown; answer the undecided frames first.

        Devices that do not hear goodbyes are left to notice the end of the connection.
        """
        if self._state is _State.LIVE and self._hello and not self._hello.hears_goodbye:
            self._state = _State.CLOSED
        elif self._state is not _State.CLOSED:
            self._close(CloseCode.GOING_AWAY, reason)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message of the owner's, such as a command; ignored once closed."""
        if self._state is _State.LIVE:
            self._outgoing.append(encode(message))

    # -- device_auth

    def _receive_hello(self, message: Text | Binary) -> list[GatewayEvent]:
        try:
            if isinstance(message, Binary):
                raise RemoteProtocolError('saw a binary message')
            body = decode(message.payload)
            if body['type'] not in FIRST_MESSAGES:
                raise RemoteProtocolError(f'saw {body["type"][:64]!r}')
            hello = read_hello(body, self._headers)
        except RemoteProtocolError as error:
            self._refuse_and_close('', f'first message must be device_auth: {error}')
            return [InvalidReceived('AUTH', str(error))]
        except PointError as error:
            self._refuse_and_close('', str(error))
            return [InvalidReceived('AUTH', str(error))]
        self._hello = hello
        self._state = _State.AUTHORISING
        return [HelloReceived(hello)]

    def _expect_authorising(self) -> DeviceHello:
        if self._state is not _State.AUTHORISING or self._hello is None:
            raise LocalProtocolError(f'no device_auth to answer: session is {self._state.value}')
        return self._hello

    def _take_declared(self, declared: Declared, receives_commands: bool) -> None:
        if receives_commands:
            self._declared = declared
            for problem in declared.problems:
                self._error('invalid_command', problem)
        elif declared != Declared():
            self._error('commands_not_permitted', 'this key may not receive commands')

    # -- what a live device sends

    def _receive_text(self, payload: bytes, wall_ms: int) -> list[GatewayEvent]:
        try:
            body = decode(payload)
        except RemoteProtocolError as error:
            code = 'INVALID_FRAME_ENCODING' if is_garbled(payload) else 'INVALID_JSON'
            return [self._invalid(code, str(error), self._broken_seq(payload))]
        kind = body['type']
        if kind == 'telemetry':
            return [self._receive_telemetry(body, wall_ms)]
        if kind == 'heartbeat':
            if body.get('wants_time') is True:  # others do not expect an answer (section 6.7)
                self.send({'type': 'heartbeat_ack', 'server_time_ms': wall_ms})
            uptime = body.get('uptime_s')
            return [HeartbeatReceived(uptime if type(uptime) in (int, float) else None)]
        if kind == 'video_frame':
            try:
                return [VideoReceived(*decode_text(body))]
            except RemoteProtocolError as error:
                return [self._invalid('INVALID_MESSAGE', str(error), None)]
        if kind in DEVICE_MESSAGES:
            return [MessageReceived(kind, body)]
        return [self._invalid('INVALID_MESSAGE', f'unknown type {kind!r}', None)]

    def _receive_video(self, payload: bytes) -> GatewayEvent:
        try:
            return VideoReceived(decode_binary(payload))
        except RemoteProtocolError as error:
            return InvalidReceived('INVALID_FRAME', str(error))  # not told (section 7.1)

    def _broken_seq(self, payload: bytes) -> int | None:
        """
        Return the number of a telemetry frame that cannot be read, if its text tells.

        The client then does not keep a frame that can never be stored (section 6.5). Only the next
        number is believed: a wrong one would make the client forget frames that are on their way.
        """
        found = _SEQ_IN_TEXT.search(payload)
        if found is None or int(found[1]) != self._newest_seq + 1:
            return None
        self._newest_seq += 1
        return self._newest_seq

    def _receive_telemetry(self, body: dict[str, Any], wall_ms: int) -> GatewayEvent:
        number = body.get('seq')
        seq = number if is_seq(number) else None
        if seq is not None:
            self._newest_seq = seq
        elif self._acks:
            return self._invalid(
                'INVALID_MESSAGE', 'telemetry without "seq", an integer from 1 on', None)
        try:
            points = read_points(body.get('points'), wall_ms)
        except PointError as error:
            return self._invalid('INVALID_MESSAGE', str(error), seq)
        session_id = body.get('session_id')
        if session_id is not None:
            try:
                points = [with_session(point, session_id) for point in points]
            except PointError as error:
                return self._invalid('INVALID_MESSAGE', str(error), seq)
        ticket = self._first_ticket + len(self._undecided)
        self._undecided.append(_Verdict(seq, points=len(points)))
        self._undecided_points += len(points)
        return TelemetryReceived(ticket, points, session_id or None)

    def _invalid(self, code: str, detail: str, seq: int | None) -> InvalidReceived:
        # Queued behind the frames before it: the client takes the number as cumulative.
        self._undecided.append(_Verdict(seq, code, detail))
        self._answer_decided()
        return InvalidReceived(code, detail)

    # -- answers

    def _decide(self, ticket: int, answer: str, detail: str = '') -> None:
        if self._state is _State.CLOSED:
            return
        index = ticket - self._first_ticket
        if not 0 <= index < len(self._undecided) or self._undecided[index].answer is not None:
            raise LocalProtocolError(f'telemetry frame {ticket} is not waiting for a verdict')
        self._undecided[index].answer = answer
        self._undecided[index].detail = detail
        self._answer_decided()

    def _answer_decided(self) -> None:
        ack = 0
        while self._undecided and self._undecided[0].answer is not None:
            verdict = self._undecided.popleft()
            self._first_ticket += 1
            self._undecided_points -= verdict.points
            if verdict.answer == _STORED:
                ack = max(ack, verdict.seq or 0)
                continue
            self._acknowledge(ack)
            ack = 0
            self._error(verdict.answer or '', verdict.detail, verdict.seq)
        self._acknowledge(ack)

    def _acknowledge(self, seq: int) -> None:
        if not seq or not self._acks:
            return
        if self._outgoing and self._outgoing[-1] is self._newest_ack:
            self._outgoing.pop()  # not sent yet, and the new one says that too
        self._newest_ack = encode({'type': 'telemetry_ack', 'seq': seq})
        self._outgoing.append(self._newest_ack)

    def _error(self, code: str, detail: str, seq: int | None = None) -> None:
        # "message" is what the agents of old read, "detail" what the SDKs read (section 6.6).
        error: dict[str, Any] = {'type': 'error', 'detail': detail, 'message': detail}
        if code:
            error['code'] = code
        if seq is not None and self._acks:
            error['seq'] = seq
        self._outgoing.append(encode(error))

    def _refuse_and_close(self, code: str, detail: str) -> None:
        self._error(code, detail)
        self._close(CloseCode.UNAUTHORISED, detail)

    def _close(self, code: CloseCode, reason: str = '') -> None:
        # A close frame's reason has room for 123 bytes (RFC 6455 section 5.5).
        self._outgoing.append(Close(code, reason.encode()[:123].decode(errors='ignore')))
        self._state = _State.CLOSED

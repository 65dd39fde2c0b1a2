# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Robot side of ``/ws/device`` (protocol sections 6 and 20), one object for the life of a link.

The owner opens a socket, calls `opened`, hands in what comes, and sends what
`messages_to_send` gives. Telemetry frames are known by the owner's own keys; every key handed
to `send_telemetry` comes back exactly once: in `FramesStored`, `FramesDiscarded` or
`FramesReturned`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
import enum
import re
from types import MappingProxyType
from typing import Any

from plexus_bridge.errors import LocalProtocolError
from plexus_bridge.errors import RemoteProtocolError
from plexus_bridge.points import FIRST_MILLISECOND_STAMP
from plexus_bridge.points import LAST_MILLISECOND_STAMP
from plexus_bridge.protocol.device_events import Authenticated
from plexus_bridge.protocol.device_events import ClockRead
from plexus_bridge.protocol.device_events import DeviceEvent
from plexus_bridge.protocol.device_events import Disconnected
from plexus_bridge.protocol.device_events import FramesDiscarded
from plexus_bridge.protocol.device_events import FramesReturned
from plexus_bridge.protocol.device_events import FramesStored
from plexus_bridge.protocol.device_events import MessageReceived
from plexus_bridge.protocol.device_events import Refused
from plexus_bridge.protocol.device_events import Trouble
from plexus_bridge.protocol.messages import Binary
from plexus_bridge.protocol.messages import Close
from plexus_bridge.protocol.messages import CloseCode
from plexus_bridge.protocol.messages import decode
from plexus_bridge.protocol.messages import encode
from plexus_bridge.protocol.messages import is_seq
from plexus_bridge.protocol.messages import Message
from plexus_bridge.protocol.messages import Text

AUTH_TIMEOUT_S = 10.0
ACK_TIMEOUT_S = 30.0
HEARTBEAT_S = 30.0
WINDOW_FRAMES = 32
WINDOW_POINTS = 10_000
PROTOCOL_VERSION = 1
_CODE = re.compile('[A-Za-z_]{1,40}')


_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Hello:
    """What we say of ourselves in `device_auth` (section 6.2)."""

    api_key: str
    source_id: str
    platform: str
    agent_version: str

    def message(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """Return the frame's JSON object, with what the control plane adds."""
        return {
            **more,
            'type': 'device_auth', 'api_key': self.api_key, 'source_id': self.source_id,
            'platform': self.platform, 'agent_version': self.agent_version,
            'protocol': PROTOCOL_VERSION, 'hears_goodbye': True, 'acks': True}


class _State(enum.Enum):
    DOWN = 'no connection'
    AUTHENTICATING = 'waiting for authenticated'
    LIVE = 'live'


@dataclass(frozen=True)
class _Unacknowledged:
    seq: int
    key: int
    points: int
    sent_at: float


class DeviceSession:
    """Our end of the device socket; `now` is monotonic seconds."""

    def __init__(self, hello: Hello):
        self._hello = hello
        self._state = _State.DOWN
        self._acks = False
        self._outgoing: deque[Message] = deque()
        self._window: deque[_Unacknowledged] = deque()
        self._window_points = 0
        self._last_seq = 0
        self._opened_at = 0.0
        self._heartbeat_at = 0.0
        self._released_at = 0.0
        # When a heartbeat went out that was not answered yet.
        self._heartbeat_sent: float | None = None

    @property
    def live(self) -> bool:
        """Whether the gateway has let us in and the connection stands."""
        return self._state is _State.LIVE

    @property
    def connected(self) -> bool:
        """Whether there is a connection, let in or not."""
        return self._state is not _State.DOWN

    @property
    def acks(self) -> bool:
        """
        Whether telemetry goes over this connection.

        Without acknowledgements a frame written to a socket that dies is lost, so with gateways
        that do not offer them telemetry is left to HTTP.
        """
        return self._acks and self._state is _State.LIVE

    def opened(self, now: float, hello_more: Mapping[str, Any] = _NOTHING) -> None:
        """
        Take over a fresh connection: the first message to send is `device_auth`.

        `hello_more` is what the control plane says in it, such as `commands` (section 8.1).
        """
        if self._state is not _State.DOWN:
            raise LocalProtocolError(f'a connection was opened while one is {self._state.value}')
        self._state = _State.AUTHENTICATING
        self._opened_at = now
        self._released_at = now
        self._outgoing.append(encode(self._hello.message(hello_more)))

    def room_points(self, reserved_frames: int = 0, reserved_points: int = 0) -> int | None:
        """
        Return how many points a frame may have to fit into the window (section 6.5).

        None: as many as it likes. What is reserved is left free for others.
        """
        if not self.acks:
            return 0
        if not self._window:
            return None
        if len(self._window) >= WINDOW_FRAMES - reserved_frames:
            return 0
        return max(0, WINDOW_POINTS - reserved_points - self._window_points)

    def can_send(self, points: int) -> bool:
        """Tell whether a frame of so many points fits into the window."""
        room = self.room_points()
        return room is None or 0 < points <= room

    def send_telemetry(self, key: int, points_json: bytes, points: int, now: float) -> None:
        """Send a frame; `points_json` is the points' JSON objects with commas between them."""
        if not self.can_send(points):
            raise LocalProtocolError('telemetry was sent without room in the window')
        self._last_seq += 1
        self._window.append(_Unacknowledged(self._last_seq, key, points, now))
        self._window_points += points
        self._outgoing.append(Text(
            b'{"type":"telemetry","seq":%d,"points":[%b]}' % (self._last_seq, points_json)))

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message of the control plane's; only while `live`."""
        if not self.live:
            raise LocalProtocolError(f'a message was sent while {self._state.value}')
        self._outgoing.append(encode(message))

    def send_video(self, frame: Binary | Text) -> None:
        """Send a video frame (section 7); only while `live`."""
        if not self.live:
            raise LocalProtocolError(f'video was sent while {self._state.value}')
        self._outgoing.append(frame)

    def messages_to_send(self) -> list[Message]:
        """Return, once, what has to be sent now, in order."""
        messages = list(self._outgoing)
        self._outgoing.clear()
        return messages

    def deadline(self) -> float | None:
        """Return when `tick` must be called next, None for never."""
        if self._state is _State.DOWN:
            return None
        if self._state is _State.AUTHENTICATING:
            return self._opened_at + AUTH_TIMEOUT_S
        if self._window:
            return min(self._heartbeat_at, self._ack_deadline())
        return self._heartbeat_at

    def tick(self, now: float) -> list[DeviceEvent]:
        """Act on time-outs and heartbeats; after `Disconnected` the owner closes the socket."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        if self._state is _State.AUTHENTICATING:
            return self.lost(f'no answer to device_auth within {AUTH_TIMEOUT_S:.0f} s')
        if self._window and now >= self._ack_deadline():
            return self.lost(f'no acknowledgement within {ACK_TIMEOUT_S:.0f} s')
        self._heartbeat_at = now + HEARTBEAT_S
        self._heartbeat_sent = now
        # Gateways that do not know "wants_time" do not answer; ours tells its time.
        self._outgoing.append(encode({
            'type': 'heartbeat', 'source_id': self._hello.source_id,
            'agent_version': self._hello.agent_version, 'wants_time': True}))
        return []

    def _ack_deadline(self) -> float:
        # On a slow link the oldest frame waited for others, whose answers prove that it moves.
        return max(self._window[0].sent_at, self._released_at) + ACK_TIMEOUT_S

    def receive(self, message: Message, now: float) -> list[DeviceEvent]:
        """Take one message that came; after `Disconnected` the owner closes the socket."""
        if self._state is _State.DOWN:
            return []
        if isinstance(message, Close):
            text = f'the gateway closed with {message.code} {message.reason}'.rstrip()
            # Only an answer remains to be sent: what was queued behind it would be lost.
            self._outgoing.clear()
            self._outgoing.append(Close(CloseCode.NORMAL))
            return self._end(text, goodbye=True, code=message.code)
        if isinstance(message, Binary):
            return [Trouble('', 'the gateway sent a binary message; it was ignored')]
        try:
            body = decode(message.payload)
        except RemoteProtocolError as error:
            if self._state is _State.AUTHENTICATING:
                return self.lost(f'the answer to device_auth is no Plexus frame: {error}')
            return [Trouble('', f'the gateway sent no Plexus frame: {error}')]
        if self._state is _State.AUTHENTICATING:
            return self._receive_answer(body, now)
        events = self._receive_body(body, now)
        if any(isinstance(event, FramesStored | FramesDiscarded) for event in events):
            self._released_at = now
        return events

    def lost(self, reason: str) -> list[DeviceEvent]:
        """Take note that the connection is gone or not to be trusted any more."""
        if self._state is _State.DOWN:
            return []
        self._outgoing.clear()
        return self._end(reason, goodbye=False)

    def close(self) -> list[DeviceEvent]:
        """End the connection from our side."""
        if self._state is _State.DOWN:
            return []
        self._outgoing.append(Close(CloseCode.NORMAL))
        return self._end('closed by us', goodbye=False)

    # -- the answer to device_auth

    def _receive_answer(self, body: Mapping[str, Any], now: float) -> list[DeviceEvent]:
        if body['type'] == 'authenticated':
            self._state = _State.LIVE
            self._acks = body.get('acks') is True
            self._heartbeat_at = now + HEARTBEAT_S
            return [Authenticated(
                self._acks, _server_time(body), now - self._opened_at, body)]
        if body['type'] == 'error':
            code, detail = _complaint(body)
            return [Refused(code, detail), *self.lost(f'device_auth was refused: {detail}')]
        return self.lost(
            f'saw {body["type"]!r} as the answer to device_auth, expected "authenticated"')

    # -- what comes on a live connection

    def _receive_body(self, body: Mapping[str, Any], now: float) -> list[DeviceEvent]:
        kind = body['type']
        if kind == 'telemetry_ack':
            keys = self._release(body.get('seq'))
            return [FramesStored(keys)] if keys else []
        if kind == 'error':
            code, detail = _complaint(body)
            keys = self._release(body.get('seq'))
            if not keys:
                return [Trouble(code, detail)]
            *before, refused = keys
            discarded = FramesDiscarded([refused], code, detail)
            # The refusal is of one frame. Those before it are most likely stored, but nobody has
            # said so: to send them again costs less than to lose them.
            return [FramesReturned(before), discarded] if before else [discarded]
        if kind == 'heartbeat_ack':
            return self._receive_time(body, now)
        return [MessageReceived(kind, body)]

    def _receive_time(self, body: Mapping[str, Any], now: float) -> list[DeviceEvent]:
        sent, self._heartbeat_sent = self._heartbeat_sent, None
        server_time = _server_time(body)
        if sent is None or server_time is None:
            return []
        return [ClockRead(server_time, now - sent)]

    def _release(self, seq: object) -> list[int]:
        # A number that was never sent acknowledges nothing: trusting it would lose frames.
        if not is_seq(seq) or seq > self._last_seq:  # type: ignore[operator]
            return []
        keys = []
        while self._window and self._window[0].seq <= seq:  # type: ignore[operator]
            frame = self._window.popleft()
            self._window_points -= frame.points
            keys.append(frame.key)
        return keys

    def _end(self, reason: str, *, goodbye: bool, code: int | None = None) -> list[DeviceEvent]:
        keys = [frame.key for frame in self._window]
        self._window.clear()
        self._window_points = 0
        self._last_seq = 0
        self._acks = False
        self._state = _State.DOWN
        self._heartbeat_sent = None
        ended = Disconnected(reason, goodbye, code)
        return [FramesReturned(keys), ended] if keys else [ended]


def _server_time(body: Mapping[str, Any]) -> float | None:
    """Return a plausible `server_time_ms` of a message, None if it has none."""
    value = body.get('server_time_ms')
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Whoever says something else does not know the time, and would shift all stamps.
    return value if FIRST_MILLISECOND_STAMP <= value <= LAST_MILLISECOND_STAMP else None


def _complaint(body: Mapping[str, Any]) -> tuple[str, str]:
    code = body.get('code')
    detail = body.get('detail') or body.get('message') or code or 'no reason given'
    # Codes become names of counters: what does not look like one of the protocol's is none.
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        code = ''
    return code, str(detail)[:500]

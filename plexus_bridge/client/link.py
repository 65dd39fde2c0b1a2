# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The thread that owns the connection: it moves frames from the outbox to the gateway and back.

The device socket is preferred; while it cannot be had, or brings no acknowledgements, telemetry
goes by HTTP. Nothing here decides what the protocol says: that is `DeviceSession`'s.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from dataclasses import replace
import logging
import threading
import time

from plexus_bridge.client.connector import Connector
from plexus_bridge.client.device_socket import DeviceSocket
from plexus_bridge.client.device_socket import socket_url
from plexus_bridge.client.device_socket import wait
from plexus_bridge.client.gateway_clock import ClockEstimate
from plexus_bridge.client.http_road import HttpRoad
from plexus_bridge.client.link_status import LinkStatus
from plexus_bridge.client.link_status import Transport
from plexus_bridge.client.news import News
from plexus_bridge.client.sending import Sending
from plexus_bridge.client.verdicts import Verdicts
from plexus_bridge.client.waker import Waker
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import LinkError
from plexus_bridge.errors import NotAuthorised
from plexus_bridge.protocol import backoff
from plexus_bridge.protocol import device
from plexus_bridge.protocol import device_events
from plexus_bridge.protocol.control import Control
from plexus_bridge.protocol.messages import CloseCode

log = logging.getLogger(__name__)

# Answers that say that a gateway is sent more messages than it takes.
_TOO_MANY = ('RATE_LIMITED', 'SOURCE_LIMIT')
_LONGEST_WAIT_S = 5.0
# So long the network is given at the end to take what was said.
LAST_WORDS_S = 0.5
_Decided = (device_events.FramesStored, device_events.FramesDiscarded,
            device_events.FramesReturned)


class Link:
    """
    Runs from `start` to `stop`; everything else happens in its own thread.

    `control` says and hears what is not telemetry, `video` holds frames that go when nothing else
    waits. `device_url` is the address of the device socket where it is not the gateway's; empty,
    there is none, and telemetry goes by HTTP alone. Without `max_bytes_per_s` (before framing
    and compression) the network alone is the limit. `http_pauses` are made between failed
    requests. `on_change` is called, on the link's thread, after the status has changed.
    """

    def __init__(self, gateway_url: str, hello: device.Hello, outbox: Outbox,
                 counters: Counters, *, user_agent: str, control: Control | None = None,
                 video: VideoFrames | None = None, device_url: str | None = None,
                 max_bytes_per_s: float | None = None,
                 http_pauses: backoff.Backoff | None = None):
        if device_url is None:
            device_url = gateway_url
        self.on_change: Callable[[LinkStatus], None] = _nobody
        self._session = device.DeviceSession(hello)
        self._outbox = outbox
        self._control = control
        self._video = video
        self._counters = counters
        self._news = News()
        self._verdicts = Verdicts(outbox, counters, self._news)
        self._sending = Sending(self._session, outbox, counters, video=video,
                                max_bytes_per_s=max_bytes_per_s)
        self._http = HttpRoad(
            gateway_url, hello.api_key, hello.source_id, user_agent, outbox=outbox,
            take=self._sending.take_for_http, verdicts=self._verdicts, counters=counters,
            wake=self.wake, tell=self._tell_http, heard_time=self._heard_time, pauses=http_pauses)
        self._socket: DeviceSocket | None = None
        self._connector = Connector(socket_url(device_url) if device_url else '', self.wake)
        self._error_backoff = backoff.Backoff()
        self._reconnect = self._reconnecting = self._hurry = False
        self._told_down = ''
        self._status = self._told_status = LinkStatus()
        self._stop_by: float | None = None
        self._stopping = threading.Event()
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, name='plexus-link', daemon=True)

    @property
    def status(self) -> LinkStatus:
        """How the link is now."""
        return self._status

    @property
    def last_acknowledged_ms(self) -> int:
        """When the gateway last said that it has data safe (Unix ms), 0 for never."""
        return self._verdicts.last_acknowledged_ms

    def start(self) -> None:
        """Begin to connect, and go on for ever."""
        self._outbox.wake = self.wake
        if self._video is not None:
            self._video.wake = self.wake
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do; any thread may."""
        self._waker.wake()

    def reconnect(self) -> None:
        """
        Leave the gateway and come back at once, to say anew who we are; any thread may.

        For what is said in `device_auth` only, such as commands that were declared meanwhile.
        """
        self._reconnect = True
        self.wake()

    def hurry(self) -> None:
        """Try again at once instead of when the back-off says; any thread may."""
        self._hurry = True
        self.wake()

    def stop(self, drain_s: float = 2.0) -> None:
        """Send what can be sent within `drain_s`, then end; the journal has the rest."""
        self._stop_by = time.monotonic() + drain_s
        self._stopping.set()
        self.wake()
        if self._thread.ident:
            self._thread.join(drain_s + 1.0)
        self._http.close(timeout_s=0.5)
        if not self._thread.is_alive():
            self._waker.close()

    # -- the thread

    def _run(self) -> None:
        while not self._is_finished():
            try:
                self._step()
            except LinkError as error:
                self._handle(self._session.lost(str(error)))
            except Exception as error:
                self._survive(error)
        self._connector.close()
        self._say_control(time.monotonic())  # such as how a command has just ended
        self._handle(self._session.close())
        self._outbox.close_backlog()
        self._tell_change()

    def _tell_change(self) -> None:
        if self._status is not self._told_status and self._status != self._told_status:
            self._told_status = self._status
            self.on_change(self._status)

    def _survive(self, error: Exception) -> None:
        """Start anew after a bad moment: it must not end the link, nor keep it busy."""
        if self._news.is_new(f'{type(error).__name__}: {error}'):
            log.error('unexpected error on the link; it starts anew', exc_info=error)
        self._counters.add('link_errors')
        self._handle(self._session.lost('unexpected error'))
        self._drop_socket()
        self._stopping.wait(self._error_backoff.next_delay())

    def _is_finished(self) -> bool:
        if self._stop_by is None:
            return False
        return time.monotonic() >= self._stop_by or self._outbox.idle or not (
            self._session.acks or self._http.busy or not self._http.failing)

    def _step(self) -> None:
        now = time.monotonic()
        self._reconnect_if_asked()
        self._connect_if_due(now)
        self._handle(self._session.tick(now))
        self._http.heed_answers(now)
        self._send(now)
        self._tell_change()
        readable, writable, woken = wait(self._socket, self._waker.reader, self._patience(now))
        if woken:
            self._waker.clear()
        if self._socket and writable:
            self._socket.write()
        if self._socket and readable:
            for message in self._socket.read():
                self._handle(self._session.receive(message, time.monotonic()))
        if self._socket and self._video is not None:
            for number in self._socket.take_pongs():
                self._video.answered(number, time.monotonic())

    def _patience(self, now: float) -> float:
        """Return how long there is nothing to do unless something comes."""
        if self._is_finished():
            return 0.0
        moments = [now + _LONGEST_WAIT_S]
        if self._socket is None:
            moments.append(self._connector.deadline)
        deadline = self._session.deadline()
        if deadline is not None:
            moments.append(deadline)
        if self._control is not None and self._session.live:
            deadline = self._control.deadline()
            if deadline is not None:
                moments.append(deadline)
        if not self._session.acks:
            deadline = self._http.deadline()
            if deadline is not None and deadline > now:
                moments.append(deadline)
        deadline = self._sending.deadline(now)
        if deadline is not None:
            moments.append(deadline)
        if self._stop_by is not None:
            moments.append(self._stop_by)
        return max(0.0, min(moments) - now)

    # -- the socket

    def _reconnect_if_asked(self) -> None:
        if self._reconnect:
            self._reconnect = False
            if self._session.connected:
                self._reconnecting = True
                self._handle(self._session.close())
                self._reconnecting = False
                self._connector.hurry()
        if self._hurry:
            self._hurry = False
            self._http.hurry()
            self._connector.hurry()

    def _connect_if_due(self, now: float) -> None:
        if self._socket is not None:
            return
        try:
            self._socket = self._connector.connect(now, begin=self._stop_by is None)
        except LinkError as error:
            if isinstance(error, NotAuthorised):
                self._tell_refused(str(error))
            else:
                self._tell_down(str(error))
        if self._socket is None:
            return
        hello_more = self._control.hello() if self._control else {}
        self._session.opened(time.monotonic(), hello_more)
        self._write_messages()

    def _write_messages(self) -> None:
        for message in self._session.messages_to_send():
            if self._socket is not None:
                self._socket.send(message)

    def _send(self, now: float) -> None:
        self._say_control(now)
        if self._video is not None:
            self._open_or_clear(self._video)
        if self._socket is not None:
            self._sending.send(self._socket, now)
        # While a socket is being opened, wait for it: HTTP is for when that has failed before.
        opening = self._connector.promising or (
            self._session.connected and not self._session.live and not self._connector.failing)
        if not self._session.acks and not opening:
            self._http.send(now)

    def _say_control(self, now: float) -> None:
        if self._control is not None and self._session.live:
            for message in self._control.messages_to_send(now):
                self._session.send(message)

    def _open_or_clear(self, video: VideoFrames) -> None:
        if self._session.live:
            if not video.live:
                video.opened()
        elif pictures := video.clear():
            self._counters.drop('video_offline', pictures)

    def _drop_socket(self, flush_s: float = 0.0) -> None:
        if self._socket is not None:
            self._socket.close(flush_s)
            self._socket = None

    # -- what the session says

    def _handle(self, events: list[device_events.DeviceEvent]) -> None:
        if self._control and any(isinstance(e, device_events.Disconnected) for e in events):
            # Before all that waits for a disk or may fail: it is what stops a robot.
            self._control.lost(time.monotonic())
        too_long = any(isinstance(event, device_events.Disconnected)
                       and event.code == CloseCode.TOO_BIG for event in events)
        for event in events:
            if isinstance(event, _Decided):
                self._decide(event, too_long)
            elif isinstance(event, device_events.ClockRead):
                self._heard_time(event.server_time_ms, event.round_trip_s)
            elif isinstance(event, device_events.Authenticated):
                self._authenticated(event)
            elif isinstance(event, device_events.Refused):
                self._refuse(event)
            elif isinstance(event, device_events.Disconnected):
                self._disconnected(event)
            elif isinstance(event, device_events.Trouble):
                self._counters.add('gateway_complaints')
                if self._news.is_new(f'{event.code} {event.detail}'):
                    log.warning('the gateway complains: %s %s%s', event.code, event.detail,
                                f'; {event.remedy}' if event.remedy else '')
            elif not (self._control and self._control.receive(event.body, time.monotonic())):
                log.info('message %r of the gateway is not known here', event.kind)
        self._write_messages()

    def _decide(self, event: device_events.FramesStored | device_events.FramesDiscarded
                | device_events.FramesReturned, too_long: bool) -> None:
        """Carry out the gateway's word on frames; `too_long`: it closed because of one."""
        if isinstance(event, device_events.FramesStored):
            self._connector.proved()
            self._verdicts.stored(event.keys)
        elif isinstance(event, device_events.FramesReturned):
            if too_long:
                self._verdicts.too_long(self._sending.longest(event.keys))
            self._verdicts.returned(event.keys)
        else:
            self._verdicts.discarded(event)
            if event.code in _TOO_MANY:
                self._sending.too_many_messages()
        self._sending.answered(event.keys, time.monotonic())

    def _heard_time(self, server_time_ms: float, round_trip_s: float) -> None:
        """Learn the gateway's time, if this tells it better than what is known."""
        now = time.monotonic()
        heard = ClockEstimate.from_round_trip(server_time_ms, round_trip_s, now)
        clock = heard.better(self._status.clock, now)
        self._status = replace(
            self._status, clock=clock, clock_offset_ms=clock.now_ms(now) - time.time() * 1000,
            clock_error_ms=clock.error_at(now))

    def _authenticated(self, event: device_events.Authenticated) -> None:
        again = self._status.connections > 0
        if self._control is not None:
            self._control.opened(event.answer, time.monotonic())
        self._told_down = ''
        self._connector.let_in()
        self._error_backoff.succeeded()
        self._status = replace(
            self._status, transport=Transport.SOCKET if event.acks else Transport.HTTP, detail='',
            refused=False, connections=self._status.connections + 1)
        if event.server_time_ms is not None:
            self._heard_time(event.server_time_ms, event.round_trip_s)
        log.info('%s to %s%s', 'reconnected' if again else 'connected', self._connector.url,
                 '' if event.acks else ', which does not acknowledge: telemetry goes by HTTP')

    def _refuse(self, event: device_events.Refused) -> None:
        if event.code == 'streaming_requires_plan':
            self._status = replace(self._status, refused=True, without_socket=True)
            log.warning('the plan does not include the device socket; telemetry goes by HTTP')
        else:
            self._tell_refused(event.detail)

    def _tell_refused(self, detail: str) -> None:
        if not self._status.refused or self._status.detail != detail:
            log.error(
                'the gateway refuses this robot: %s. Check PLEXUS_API_KEY (or api_key in '
                'config.json) and the source_id; what is measured meanwhile is kept on disk',
                detail)
        self._status = replace(self._status, refused=True, detail=detail)

    def _disconnected(self, event: device_events.Disconnected) -> None:
        with contextlib.suppress(LinkError):  # the connection is over in any case
            self._write_messages()
        self._drop_socket(flush_s=0.0 if self._stop_by is None else LAST_WORDS_S)
        self._sending.lost()
        delay = self._connector.failed(goodbye=event.goodbye, refused=self._status.refused)
        # To connect anew because there is something to announce is no trouble, and is not told.
        self._status = replace(self._status, transport=Transport.NONE,
                               detail='' if self._reconnecting else event.reason)
        if self._stop_by is None and not self._reconnecting:
            log.warning('not connected: %s; next try in %.1f s', event.reason, delay)

    def _tell_down(self, detail: str) -> None:
        if self._told_down != detail:
            self._told_down = detail
            log.warning('cannot connect: %s; trying on', detail)
        self._status = replace(self._status, refused=False, detail=detail)

    def _tell_http(self, detail: str, refused: bool) -> None:
        """Take note of how HTTP fares: it counts while the socket is not there."""
        if not self._session.live:
            self._status = replace(
                self._status, transport=Transport.NONE if detail else Transport.HTTP,
                detail=detail or self._status.detail,
                refused=refused or (self._status.refused and (
                    bool(detail) or self._status.without_socket)))


def _nobody(status: LinkStatus) -> None:
    """Stand in until somebody wants to know."""

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""In which order things leave on the device socket, and how much of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from plexus_bridge.client.link_rate import LinkRate
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.budget import ByteBudget
from plexus_bridge.delivery.budget import Level
from plexus_bridge.delivery.budget import MessagePace
from plexus_bridge.delivery.budget import Window
from plexus_bridge.delivery.frames import Frame
from plexus_bridge.delivery.frames import MAX_FRAME_BYTES
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.queues import Turn
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.protocol.device import DeviceSession
from plexus_bridge.protocol.messages import Message

# Written but not yet taken by the network: more would make urgent frames wait.
MAX_UNSENT_BYTES = 16384
# One message should not take a slow link longer than this.
LONGEST_MESSAGE_S = 0.5
SMALLEST_BUNDLE_BYTES = 4000
# Of the window (protocol section 6.5) this is left to what is urgent and to state.
RESERVED_FRAMES = 4
RESERVED_POINTS = 2000
# Behind what was handed on, the next waits until the link should have carried it, but no longer
# than this: what the kernel has swallowed would stand before everything urgent.
LONGEST_DRAIN_S = 0.25
# Of what the link is thought to carry: where that is a little too much, no queue builds up.
DRAIN_SHARE = 0.9
# How far backlog and video may get ahead of each other where both wait.
_LARGEST_LEAD_BYTES = 256_000
_TURNS = tuple((turn, Level(int(turn))) for turn in Turn)


class Way(Protocol):
    """Where messages go."""

    @property
    def unsent_bytes(self) -> int:
        """How much waits to be written."""

    def send(self, message: Message) -> None:
        """Queue one message and write what the network takes now."""

    def ping(self, number: int) -> None:
        """Queue a ping with this number."""


class Sending:
    """
    Takes frames and pictures when they may leave; used by the link's thread.

    Control messages go first of all, then urgent frames, state, bulk; backlog and video share
    what is left.
    """

    def __init__(self, session: DeviceSession, outbox: Outbox, counters: Counters, *,
                 video: VideoFrames | None, max_bytes_per_s: float | None):
        self._session = session
        self._outbox = outbox
        self._video = video
        self._counters = counters
        self._limit = max_bytes_per_s
        self._budget = ByteBudget(max_bytes_per_s)
        self._pace = MessagePace()
        self._window = Window()
        self.rate = LinkRate()
        # Bytes of backlog that went more than bytes of video, while both waited.
        self._lead = 0
        # A picture that is not wholly handed to the network yet.
        self._leaving: VideoFrame | None = None
        self._sizes: dict[int, int] = {}
        # When the link should have carried what was handed on, as far as its speed is known.
        self._drained_at = 0.0

    def send(self, way: Way, now: float) -> None:
        """Send what may leave now."""
        self._write(way)
        self._tell_sent(way, now)
        while way.unsent_bytes < MAX_UNSENT_BYTES and self._pace.allows(now):
            if not (self._send_frame(way, now) or self._send_picture(way, now)):
                break
        self._adapt(way, now)

    def take_for_http(self, now: float) -> Frame | None:
        """Return the next frame that may leave by HTTP, None if there is none."""
        for turn, level in _TURNS:
            if self._budget.allows(level, now):
                frame = self._outbox.take(turn)
                if frame is not None:
                    self._budget.spend(level, len(frame.points_json))
                    return frame
        return None

    def deadline(self, now: float) -> float | None:
        """Return when something may leave that may not now, None if nothing is held back."""
        moments = [] if self._limit is None else [
            moment for level in Level
            if (moment := self._budget.deadline(level, now)) is not None]
        # Where nothing waits, whatever comes wakes us by itself.
        if self._drained_at > now and (
                self._outbox.waits or (self._video is not None and self._video.waiting)):
            moments.append(self._drained_at)
        pace = self._pace.deadline(now)
        if pace is not None:
            moments.append(pace)
        return min(moments, default=None)

    def answered(self, keys: Sequence[int], now: float) -> None:
        """Note that the gateway has said what became of frames."""
        for key in keys:
            self._window.answered(key, now)
            self._sizes.pop(key, None)

    def longest(self, keys: Sequence[int]) -> int:
        """Return which of these frames, all on their way, is the longest."""
        return max(keys, key=lambda key: self._sizes.get(key, 0))

    def too_many_messages(self) -> None:
        """Send fewer messages: the gateway has thrown some away."""
        self._pace.slow_down()

    def lost(self) -> None:
        """Forget the connection."""
        self._window.forget()
        self._sizes.clear()
        self._leaving = None
        self._drained_at = 0.0
        self.rate.forget()

    def _write(self, way: Way) -> None:
        for message in self._session.messages_to_send():
            way.send(message)

    def _send_frame(self, way: Way, now: float) -> bool:
        if not self._outbox.waits:
            return False
        for turn, level in _TURNS:
            room = self._room(turn)
            if turn > Turn.URGENT and now < self._drained_at:
                break
            if room == 0 or not self._budget.allows(level, now) or not self._may_go(turn):
                continue
            frame = self._outbox.take(turn, room)
            if frame is not None:
                self._send_telemetry(way, frame, turn, now)
                return True
        return False

    def _may_go(self, turn: Turn) -> bool:
        if turn < Turn.BULK:
            return True
        if turn is Turn.BACKLOG and self._is_videos_turn():
            return False
        return self._window.has_room

    def _room(self, turn: Turn) -> int | None:
        """Return how many points a frame may have; None: as many as it likes."""
        frames, points = (0, 0) if turn < Turn.BULK else (RESERVED_FRAMES, RESERVED_POINTS)
        return self._session.room_points(frames, points)

    def _send_telemetry(self, way: Way, frame: Frame, turn: Turn, now: float) -> None:
        size = len(frame.points_json)
        self._session.send_telemetry(frame.key, frame.points_json, frame.points, now)
        self._sizes[frame.key] = size
        if turn >= Turn.BULK:
            self._window.sent(frame.key, size, now)
        if turn is Turn.BACKLOG and self._video is not None and self._video.waiting:
            self._lead = min(self._lead + size, _LARGEST_LEAD_BYTES)
        self._handed(size, now)
        self._budget.spend(Level(int(turn)), size)
        self._pace.spend()
        self._counters.add('frames_sent')
        self._counters.add('points_sent', frame.points)
        self._counters.add('bytes_sent', size)
        self._write(way)

    # -- video

    def _is_videos_turn(self) -> bool:
        return self._lead > 0 and self._video is not None and self._video.waiting

    def _send_picture(self, way: Way, now: float) -> bool:
        """Send a picture, one at a time, while nothing else waits for the network."""
        if (self._video is None or not self._session.live or way.unsent_bytes
                or now < self._drained_at
                or not self._budget.allows(Level.SPARE, now)):
            return False
        frame = self._video.take(now)
        if frame is None:
            return False
        size = len(frame.message.payload)
        # Between two pings, whose answers tell how long it took on its way.
        ping = self._video.begin(frame, now)
        if ping is not None:
            way.ping(ping)
        self._session.send_video(frame.message)
        self._handed(size, now)
        self._lead = max(self._lead - size, -_LARGEST_LEAD_BYTES)
        self._budget.spend(Level.SPARE, size)
        self._pace.spend()
        self._counters.add('video_bytes_sent', size)
        self._counters.add('video_frames_sent')
        self._leaving = frame
        self._write(way)
        if ping is not None:
            way.ping(ping + 1)
        self._tell_sent(way, now)
        return True

    def _tell_sent(self, way: Way, now: float) -> None:
        if self._leaving is not None and self._video is not None and not way.unsent_bytes:
            self._video.sent(self._leaving, now)
            self._leaving = None

    # -- how fast the link is

    def _handed(self, size: int, now: float) -> None:
        """Note that so many bytes are on their way now; known only where pictures measure it."""
        carried = None if self._video is None else self._video.measured_bytes_per_s
        if carried is not None:
            self._drained_at = max(now, self._drained_at) + min(
                size / (carried * DRAIN_SHARE), LONGEST_DRAIN_S)

    def _adapt(self, way: Way, now: float) -> None:
        """Fit the length of messages, and what video may use, to what the link carries."""
        self.rate.note(self._counters['bytes_sent'], self._counters['video_bytes_sent'],
                       way.unsent_bytes, now)
        carried = self.rate.bytes_per_s
        self._outbox.bundle_bytes = self._window.message_bytes if carried is None else round(min(
            max(carried * LONGEST_MESSAGE_S, SMALLEST_BUNDLE_BYTES), MAX_FRAME_BYTES))
        if self._video is not None:
            self._video.bytes_per_s = self.rate.left_for_video(self._limit)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How delivery is, as messages: a lane each in ``~/status``, one entry in ``/diagnostics``."""

from __future__ import annotations

import time

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue

from plexus_bridge.counters import Counters
from plexus_bridge.delivery.lane_state import LaneState
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.own_metrics import bytes_by_lane
from plexus_bridge.delivery.own_metrics import VIDEO
from plexus_msgs.msg import DropCount
from plexus_msgs.msg import LaneStatus

# From this share of the journal on, somebody should look why nothing is delivered.
_NEARLY_FULL = 0.8
# A gateway that lives acknowledges within a second; one that hangs keeps its connection open.
LONGEST_WAIT_S = 10.0


class DeliveryWatch:
    """For how long nothing has moved, as seen by a `look` now and then; monotonic seconds."""

    def __init__(self, outbox: Outbox, now: float):
        self._outbox = outbox
        self._now = now
        self._acknowledged_ms = 0
        # Whether nothing is acknowledged for too long by a gateway that can be reached; it stays
        # so until something is, however often the connection is made anew meanwhile.
        self.silent = False
        self._silent_since = now
        # Of each lane: how many points had been sent, and until when all was well.
        self._sent: dict[str, tuple[int, float]] = {}

    def look(self, now: float, acknowledged_ms: int, *, connected: bool) -> None:
        """Take note of how it is; `acknowledged_ms` (Unix ms): the last acknowledgement."""
        self._now = now
        states = self._outbox.lane_states()
        owed = any(state.in_flight_frames for state in states.values())
        if self.silent:  # what came back with a connection is still owed
            owed = owed or any(state.queued_frames or state.kept.frames
                               for state in states.values())
        if acknowledged_ms != self._acknowledged_ms or (connected and not owed):
            self._acknowledged_ms = acknowledged_ms
            self._silent_since = now
            self.silent = False
        elif not connected and not self.silent:
            self._silent_since = now
        elif now - self._silent_since >= LONGEST_WAIT_S:
            self.silent = True
        for lane, state in states.items():
            name, sent = lane.name.lower(), state.totals.points_sent
            waits = state.queued_frames or state.kept.frames > state.in_flight_frames
            if not connected or not waits or sent != self._sent.get(name, (-1, now))[0]:
                self._sent[name] = sent, now

    @property
    def silent_s(self) -> float:
        """For how long nothing was acknowledged though something should have been."""
        return self._now - self._silent_since

    def held_back_s(self, lane: str) -> float:
        """For how long nothing of a lane has left though something waits; 0 if that is usual."""
        held_s = self._now - self._sent.get(lane, (0, self._now))[1]
        return held_s if held_s >= LONGEST_WAIT_S else 0.0


def lane_statuses(outbox: Outbox, counters: Counters) -> list[LaneStatus]:
    """Return the lanes in the order in which they are served."""
    lanes = [_lane_status(lane.name.lower(), state)
             for lane, state in outbox.lane_states().items()]
    offline = counters.dropped().get('video_offline', 0)
    lanes.append(LaneStatus(
        name=VIDEO, points_sent=counters['video_frames_sent'],
        points_accepted=counters['video_frames_sent'] + offline,
        bytes_sent=counters['video_bytes_sent'],
        dropped=[DropCount(reason='video_offline', count=offline)] if offline else []))
    return lanes


def _lane_status(name: str, state: LaneState) -> LaneStatus:
    totals = state.totals
    return LaneStatus(
        name=name, queued_frames=state.queued_frames, queued_bytes=state.queued_bytes,
        in_flight_frames=state.in_flight_frames, journal_frames=state.kept.frames,
        journal_bytes=state.kept.bytes, oldest=_time(state.oldest_ms),
        points_accepted=totals.points_accepted, points_sent=totals.points_sent,
        points_acknowledged=totals.points_acknowledged, bytes_sent=totals.bytes_sent,
        dropped=[DropCount(reason=reason, count=count)
                 for reason, count in sorted(totals.lost.items())])


class DeliveryDiagnostic:
    """Makes the entry of ``/diagnostics``, once for each message."""

    def __init__(self, outbox: Outbox, counters: Counters):
        self._outbox = outbox
        self._counters = counters
        self._before = time.monotonic(), bytes_by_lane(outbox, counters)
        self._lost = 0

    def status(self, name: str, hardware_id: str) -> DiagnosticStatus:
        """
        Return how delivery is: an error if points were lost since the last call.

        It is a warning while points wait for long or the disk space runs out.
        """
        points, size = self._outbox.pending()
        states = self._outbox.lane_states().values()
        oldest = min((state.oldest_ms for state in states if state.oldest_ms), default=0)
        lost = sum(sum(state.totals.lost.values()) for state in states)
        age_s = max(0.0, (self._outbox.now_ms() - oldest) / 1000) if oldest else 0.0
        level, message = DiagnosticStatus.OK, f'{points} points wait'
        if age_s > LONGEST_WAIT_S:
            level = DiagnosticStatus.WARN
            message += f', the oldest for {age_s:.0f} s: the gateway does not acknowledge them'
        if size > _NEARLY_FULL * self._outbox.limit_bytes:
            level = DiagnosticStatus.WARN
            message += ', the disk space for them is nearly used up'
        if lost > self._lost:
            level = DiagnosticStatus.ERROR
            message += f', {lost - self._lost} were lost'
        self._lost = lost
        values: dict[str, object] = {
            'backlog_points': points, 'backlog_bytes': size,
            'backlog_age_s': round(age_s, 1),
            'points_lost': lost, **self._rates()}
        return DiagnosticStatus(
            level=level, name=f'{name}: delivery', message=message, hardware_id=hardware_id,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])

    def _rates(self) -> dict[str, object]:
        now, sizes = time.monotonic(), bytes_by_lane(self._outbox, self._counters)
        before, self._before = self._before, (now, sizes)
        elapsed = max(now - before[0], 1e-3)
        return {f'{lane}_bytes_per_s': round((size - before[1][lane]) / elapsed)
                for lane, size in sizes.items()}


def _time(milliseconds: int) -> Time:
    return Time(sec=milliseconds // 1000, nanosec=milliseconds % 1000 * 1_000_000)

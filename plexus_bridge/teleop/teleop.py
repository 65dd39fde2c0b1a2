# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
One operator at a time drives the robot, within limits, for as long as orders come in time.

What moves the robot is `output`, asked some twenty times a second: it returns the velocity to
publish, or None when teleoperation has nothing to say and others may drive. Nothing is kept for
later: an order is followed at once or never.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import math
import secrets

from plexus_bridge.errors import ClockSteppedError
from plexus_bridge.teleop.event_folder import EventFolder
from plexus_bridge.teleop.freshness import Freshness
from plexus_bridge.teleop.orders import Accepted
from plexus_bridge.teleop.orders import Granted
from plexus_bridge.teleop.orders import Order
from plexus_bridge.teleop.orders import Refused
from plexus_bridge.teleop.orders import Severity
from plexus_bridge.teleop.orders import TeleopEvent
from plexus_bridge.teleop.orders import Why
from plexus_bridge.teleop.velocity import Limits
from plexus_bridge.teleop.velocity import scaled
from plexus_bridge.teleop.velocity import STANDSTILL
from plexus_bridge.teleop.velocity import Velocity

# A loop that was held up must not make up for it by one great step.
LONGEST_STEP_S = 0.1
# A robot that has not come to rest by then has another problem, which is told.
LONGEST_STOP_S = 5.0
# Odometry that is older than the stop may still say that the robot stands.
SHORTEST_STOP_S = 0.2
# Stamps beyond it are so coarse as floating-point numbers that no age can be told from them.
MAX_STAMP_MS = 1e15


@dataclass(frozen=True)
class TeleopSettings:
    """
    What the map says under `teleop`.

    `latency_slow_ms` and `latency_stop_ms`: up to the first full speed, from the second on none,
    in proportion between. `stop_confirmed` says that somebody measures whether the robot stands
    (`measured`). Without `stamps_required`, orders with neither lease nor stamps are followed,
    each for `deadman_ms`.
    """

    limits: Limits
    deadman_ms: float = 300.0
    max_age_ms: float = 500.0
    latency_slow_ms: float = 200.0
    latency_stop_ms: float = 500.0
    lease_s: float = 3.0
    zero_s: float = 1.0
    stop_confirmed: bool = False
    stamps_required: bool = True


@dataclass
class _Lease:
    operator: str
    token: str
    freshness: Freshness
    heard_at: float
    seq: int = -1


class Teleop:
    """The state of driving by hand; one thread's, `now` is monotonic seconds."""

    def __init__(self, settings: TeleopSettings,
                 new_token: Callable[[], str] = lambda: secrets.token_hex(8)):
        self._settings = settings
        self._new_token = new_token
        self._lease: _Lease | None = None
        self._target = STANDSTILL
        self._present = STANDSTILL
        self._asked_at = -math.inf
        # Until when the present order counts, and since when zero is being published.
        self._driving_until = -math.inf
        self._stopping_since: float | None = None
        self._factor = 1.0
        # Two reasons not to drive, each with its own end: a call, and a button that is down.
        self._latched = ''
        self._pressed = ''
        self._closed = False
        self._events = EventFolder()

    # -- what is known

    @property
    def operator(self) -> str:
        """Who holds the lease, empty if nobody does."""
        return self._lease.operator if self._lease else ''

    @property
    def emergency(self) -> str:
        """Who or what stopped the robot until it is released on its own side; empty if not."""
        return self._latched or self._pressed

    @property
    def latched(self) -> str:
        """Whose call stopped the robot until `emergency_release`; empty if nobody's."""
        return self._latched

    @property
    def pressed(self) -> str:
        """Which button is held down, empty if none."""
        return self._pressed

    @property
    def driving_until(self) -> float:
        """When the newest order ceases to count (monotonic seconds); -inf if none counts."""
        return self._driving_until

    @property
    def speed_factor(self) -> float:
        """What the measured latency leaves of the speed, 0 to 1."""
        return self._factor

    def events(self, now: float) -> list[TeleopEvent]:
        """Return, once, what happened since the last call."""
        return self._events.take(now)

    # -- what operators say

    def drive(self, order: Order, now: float) -> Granted | Accepted | Refused:
        """Follow an order at once, or say why not."""
        answer = self._judge(order, now)
        if isinstance(answer, Refused):
            self._events.refused(answer, order.operator, now)
        return answer

    def refused(self, operator: str, text: str, now: float) -> None:
        """Tell of an order that was refused before it came here."""
        self._events.refused(Refused(Why.INVALID, text), operator, now)

    def release(self, operator: str, lease: str, now: float) -> Refused | None:
        """End a lease: the robot stops at once."""
        if self._lease is None or self._lease.token != lease:
            return Refused(Why.OUT_OF_LEASE, 'this lease is not held, there is nothing to release')
        self._stop('released', now)
        self._end_lease('the operator released the robot', now)
        return None

    def stop(self, operator: str, now: float) -> None:
        """Stop the robot at once, whoever asks; the lease ends, to drive on takes a new one."""
        is_news = self._target == STANDSTILL and not self.stopping
        self._stop(f'stop by {operator}', now, operator)
        if is_news:  # nobody drove, but whatever else moves the robot was interrupted
            self._events.add(TeleopEvent(
                'teleop.stopped', f'stopped: stop by {operator}', operator, now, Severity.WARN))
        self._end_lease(f'stopped by {operator}', now)

    def emergency_stop(self, who: str, now: float) -> None:
        """Stop at once and refuse to drive until `emergency_release`."""
        if not self._latched:
            self._latched = who or 'unknown'
            self._tell_emergency(self._latched, now)
        self._stop_for_emergency(who, now)

    def emergency_release(self, who: str, now: float) -> bool:
        """End what `emergency_stop` began; False if nothing did. Only on the robot's side."""
        if not self._latched:
            return False
        self._latched = ''
        self._tell_released(who, now)
        return True

    def button(self, name: str, now: float, *, pressed: bool) -> None:
        """Refuse to drive for as long as a button of the robot's is held down."""
        if pressed and not self._pressed:
            self._pressed = name
            self._tell_emergency(name, now)
            self._stop_for_emergency(name, now)
        elif not pressed and self._pressed:
            self._pressed = ''
            self._tell_released(name, now)

    def restore(self, latched: str, pressed: str, now: float) -> None:
        """Begin with the emergency stop of an earlier process, which nobody has released."""
        self._latched, self._pressed = latched, pressed
        if self.emergency:
            self._tell_emergency(f'{self.emergency}, before the bridge was started anew', now)

    # -- what the robot's side says

    def link_lost(self, now: float) -> None:
        """Stop, because whoever drove cannot be heard any more."""
        if self._lease is not None or self._target != STANDSTILL:
            self._stop('link lost', now)
            self._end_lease('the link to the gateway is lost', now)

    def close(self, now: float) -> None:
        """Stop, and never drive again: soon nobody is there to stop the robot in time."""
        self._closed = True
        if self._lease is not None or self._target != STANDSTILL:
            self._stop('the bridge ends', now)
            self._end_lease('the bridge ends', now)

    def measured(self, *, standing: bool, now: float) -> None:
        """Take note of whether the robot stands, by its odometry."""
        if (standing and self._settings.stop_confirmed and self._stopping_since is not None
                and now - self._stopping_since >= SHORTEST_STOP_S):
            self._stopping_since = None

    def output(self, now: float) -> Velocity | None:
        """Return the velocity to publish now; None if there is nothing to say."""
        seconds = min(max(now - self._asked_at, 0.0), LONGEST_STEP_S)
        self._asked_at = now
        if self._target != STANDSTILL and now >= self._driving_until:
            self._stop(f'no order for {self._settings.deadman_ms:.0f} ms', now)
        self._end_silent_lease(now)
        if now < self._driving_until:
            self._present = self._settings.limits.approach(
                self._present, scaled(self._target, self._factor), seconds)
            return self._present
        return self._stopping(now)

    @property
    def stopping(self) -> bool:
        """Whether zero is being repeated after a stop."""
        return self._stopping_since is not None

    @property
    def active(self) -> bool:
        """Whether `output` has to be asked at all: somebody drives, or the robot is stopped."""
        return self._lease is not None or self.stopping or bool(self.emergency)

    # -- how orders are judged

    def _judge(self, order: Order, now: float) -> Granted | Accepted | Refused:
        try:
            target = self._settings.limits.read(order.velocity)
        except ValueError as error:
            return Refused(Why.INVALID, str(error))
        if self._closed:
            return Refused(Why.UNATTENDED, 'the bridge is about to end')
        if self.emergency:
            return Refused(
                Why.EMERGENCY_STOP, f'the robot was stopped by {self.emergency}; it must be '
                "released on the robot's side before anybody drives it")
        self._end_silent_lease(now)
        if not order.lease:
            return self._judge_without_lease(order, target, now)
        return self._judge_in_lease(order, target, now)

    def _judge_without_lease(self, order: Order, target: Velocity, now: float
                             ) -> Granted | Accepted | Refused:
        if self._lease and (self._lease.token or self._lease.operator != order.operator):
            return Refused(Why.HELD, f'{self._lease.operator} drives this robot')
        if order.issued_ms is None and not self._settings.stamps_required:
            if self._lease is None:
                self._begin(order.operator, '', now)
            self._follow(target, 0.0, now)
            return Accepted(None)
        if target != STANDSTILL:
            return Refused(
                Why.NO_LEASE, 'saw a velocity without a lease; ask for one by a drive of zero, '
                'then send the lease that the answer names with each order')
        token = self._new_token()
        self._begin(order.operator, token, now)
        return Granted(token)

    def _judge_in_lease(self, order: Order, target: Velocity, now: float) -> Accepted | Refused:
        lease = self._lease
        if lease is None or order.lease != lease.token:
            return Refused(
                Why.OUT_OF_LEASE, f'saw the lease {order.lease[:32]!r}, which is over or never '
                'was; ask for a new one by a drive of zero without a lease')
        if order.seq is None or order.issued_ms is None:
            return Refused(Why.INVALID, 'saw an order without seq or issued_ms, expected both')
        if not abs(order.issued_ms) <= MAX_STAMP_MS:  # nor is NaN
            return Refused(
                Why.INVALID, f'saw issued_ms {order.issued_ms:g}, expected milliseconds')
        if order.seq <= lease.seq:
            return Refused(
                Why.REORDERED, f'saw seq {order.seq} after {lease.seq}, expected a greater one')
        try:
            age_ms = lease.freshness.age_ms(order.issued_ms, now, order.echo_ms)
        except ClockSteppedError as error:
            self._stop('clock of the operator stepped', now)
            self._end_lease(str(error), now)
            return Refused(Why.CLOCK, f'{error}; ask for a new lease')
        is_first = lease.seq < 0
        lease.seq = order.seq
        if age_ms > self._settings.max_age_ms:
            if is_first:  # by it the others' ages would be measured
                self._end_lease('its first order came too late', now)
            return Refused(
                Why.STALE, f'the order may be {age_ms:.0f} ms old, expected at most '
                f'{self._settings.max_age_ms:.0f}; a grant is to be answered at once, and then '
                'steadily')
        lease.heard_at = now
        self._follow(target, age_ms, now)
        return Accepted(age_ms, self._factor)

    def _begin(self, operator: str, token: str, now: float) -> None:
        self._lease = _Lease(operator, token, Freshness(now), now)
        self._events.add(TeleopEvent('teleop.started', f'{operator} drives', operator, now))

    def _follow(self, target: Velocity, age_ms: float, now: float) -> None:
        settings = self._settings
        span_ms = settings.latency_stop_ms - settings.latency_slow_ms
        late_ms = age_ms - settings.latency_slow_ms
        self._factor = 1.0 if late_ms <= 0 else max(0.0, 1 - late_ms / span_ms) if span_ms else 0.0
        self._target = target
        if self._lease:
            self._lease.heard_at = now
        if now >= self._driving_until:
            self._asked_at = now  # speed begins to grow now, not when the robot was last driven
        self._driving_until = now + settings.deadman_ms / 1000
        self._stopping_since = None

    # -- how it ends

    def _stop(self, reason: str, now: float, operator: str = '') -> None:
        was_moving = self._target != STANDSTILL
        self._target = self._present = STANDSTILL
        self._driving_until = -math.inf
        self._stopping_since = now
        if was_moving:
            self._events.add(TeleopEvent(
                'teleop.stopped', f'stopped: {reason}', operator or self.operator, now,
                Severity.WARN))

    def _stop_for_emergency(self, who: str, now: float) -> None:
        self._stop(f'emergency stop by {who}', now, who)
        self._end_lease('emergency stop', now)

    def _tell_emergency(self, who: str, now: float) -> None:
        self._events.add(TeleopEvent(
            'teleop.emergency_stop', f'emergency stop by {who}', who, now, Severity.ERROR))

    def _tell_released(self, who: str, now: float) -> None:
        rest = f', but {self.emergency} still stops the robot' if self.emergency else ''
        self._events.add(TeleopEvent(
            'teleop.emergency_released', f'emergency stop released by {who}{rest}', who, now))

    def _end_silent_lease(self, now: float) -> None:
        if self._lease and now >= self._lease.heard_at + self._settings.lease_s:
            if self._target != STANDSTILL:  # the lease is shorter than the dead man's time
                self._stop('lease over', now)
            self._end_lease(f'not heard for {self._settings.lease_s:g} s', now)

    def _end_lease(self, reason: str, now: float) -> None:
        if self._lease is not None:
            self._events.add(TeleopEvent(
                'teleop.ended', f'{self._lease.operator} no longer drives: {reason}',
                self._lease.operator, now))
            self._lease = None

    def _stopping(self, now: float) -> Velocity | None:
        """Repeat zero for a while, or until the robot is seen to stand."""
        if self.emergency:
            return STANDSTILL
        if self._stopping_since is None:
            return None
        since = now - self._stopping_since
        if not self._settings.stop_confirmed and since >= self._settings.zero_s:
            self._stopping_since = None
            return None
        if since >= LONGEST_STOP_S:
            self._stopping_since = None
            self._events.add(TeleopEvent(
                'teleop.still_moving', 'the robot was told to stop and its odometry does not show '
                f'standstill after {LONGEST_STOP_S:.0f} s', self.operator, now, Severity.ERROR))
            return None
        return STANDSTILL

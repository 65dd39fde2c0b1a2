# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Driving by hand on the graph: what publishes velocities, and what can stop it from the robot.

A thread of its own publishes and listens to the emergency stop button, so that neither a slow
callback nor a full disk delays a stop.
"""

from __future__ import annotations

from collections.abc import Sequence
import logging
import math
import threading
import time
from types import TracebackType
from typing import Any

from geometry_msgs.msg import Twist
from geometry_msgs.msg import TwistStamped
from geometry_msgs.msg import Vector3
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import deserialize_message
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from plexus_bridge.commands.emergency_record import EmergencyRecord
from plexus_bridge.config.map_teleop import StopConfirm
from plexus_bridge.config.map_teleop import TeleopRule
from plexus_bridge.ros.polling import polled_subscription
from plexus_bridge.ros.polling import PolledGroup
from plexus_bridge.ros.waiting import Waiter
from plexus_bridge.teleop.event_stamps import EventStamps
from plexus_bridge.teleop.orders import Accepted
from plexus_bridge.teleop.orders import Granted
from plexus_bridge.teleop.orders import Order
from plexus_bridge.teleop.orders import Refused
from plexus_bridge.teleop.orders import TeleopEvent
from plexus_bridge.teleop.orders import Why
from plexus_bridge.teleop.teleop import Teleop
from plexus_bridge.teleop.velocity import Velocity

log = logging.getLogger(__name__)

# twist_mux wants to hear a lock again and again.
LOCK_PERIOD_S = 0.5
# A stop that is not confirmed by then does not keep the bridge from ending.
LONGEST_CLOSE_S = 1.5
# Whoever sees to it that the robot stops in time has to be heard of so often.
LONGEST_TURN_S = 1.0
# It goes on while the computer sleeps: an order of before that is old.
_CLOCK = getattr(time, 'CLOCK_BOOTTIME', time.CLOCK_MONOTONIC)


class TeleopDriver:
    """
    Publishes what `Teleop` decides; `drive`, `release`, `stop` … are for any thread.

    Each takes effect before it returns: the velocity that it leads to is published by then.
    `record` keeps an emergency stop for the next process.
    """

    def __init__(self, node: Node, rule: TeleopRule, record: EmergencyRecord | None = None):
        self._node = node
        self._rule = rule
        self._teleop = Teleop(rule.settings)
        self._record = record or EmergencyRecord(None)
        self._recording = threading.Lock()
        self._restore()
        self._change = threading.Lock()
        self._waiter = Waiter(node)
        self._close_by = math.inf
        self._turned_at = -math.inf
        self._failures = 0
        self._stamped = rule.stamped
        self._velocity = node.create_publisher(
            TwistStamped if rule.stamped else Twist, rule.topic, 1)
        self._lock = node.create_publisher(Bool, rule.lock_topic, QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self._locked: bool | None = None
        self._lock_at = 0.0
        node.create_service(SetBool, '~/emergency_stop', self._on_service)
        self._buttons = [] if rule.emergency_stop_topic is None else [polled_subscription(
            node, Bool, rule.emergency_stop_topic, 10, PolledGroup())]
        self._standstill = (
            _Standstill(node, rule.stop_confirm) if rule.stop_confirm is not None else None)
        self._was_stopping = False
        self._stamps = EventStamps()
        self._thread = threading.Thread(target=self._run, name='plexus-teleop')

    def __enter__(self) -> TeleopDriver:
        self._turned_at = _now()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop the robot if it is driven, see it stand if that can be seen, and end."""
        with self._change:
            now = _now()
            self._teleop.close(now)
            self._close_by = min(self._close_by, now + LONGEST_CLOSE_S)
            try:
                self._publish(now)
            except Exception:
                log.exception('zero could not be published at the end')
        self._waiter.wake()
        self._thread.join()
        self._waiter.close()

    # -- what operators say

    def drive(self, order: Order) -> Granted | Accepted | Refused:
        """Follow an order at once, or say why not."""
        with self._change:
            now = _now()
            if now - self._turned_at > LONGEST_TURN_S or not self._thread.is_alive():
                return Refused(
                    Why.UNATTENDED, 'what would stop the robot in time has not been heard of for '
                    f'{LONGEST_TURN_S:g} s')
            self._look_at_button(now)
            answer = self._teleop.drive(order, now)
            if not isinstance(answer, Refused):
                self._publish(now)
        self._waiter.wake()
        return answer

    def release(self, operator: str, lease: str) -> Refused | None:
        """End a lease: the robot stops at once."""
        with self._change:
            now = _now()
            answer = self._teleop.release(operator, lease, now)
            self._publish(now)
        self._waiter.wake()
        return answer

    def stop(self, operator: str) -> None:
        """Stop the robot at once, whoever asks."""
        with self._change:
            now = _now()
            self._teleop.stop(operator, now)
            self._publish(now)
        self._waiter.wake()

    def emergency_stop(self, who: str) -> None:
        """Stop the robot at once, until it is released on the robot's side."""
        with self._change:
            now = _now()
            self._teleop.emergency_stop(who, now)
            self._publish(now)
        self._waiter.wake()
        self._keep()

    def link_lost(self) -> None:
        """Stop the robot at once, because its operator cannot be heard any more."""
        with self._change:
            now = _now()
            self._teleop.link_lost(now)
            self._publish(now)
        self._waiter.wake()

    def refused(self, operator: str, text: str) -> None:
        """Take note of an order that was refused before it came here."""
        with self._change:
            self._teleop.refused(operator, text, _now())

    def take_events(self) -> Sequence[TeleopEvent]:
        """Return, once, what happened; an emergency stop by the button is on disk then."""
        self._keep()
        with self._change:
            return self._teleop.events(_now())

    def stamped_events(self, now_ms: int) -> list[tuple[int, TeleopEvent]]:
        """Do as `take_events`, with Unix ms to each; `now_ms` is the present in these terms."""
        events = self.take_events()
        now = _now()
        return [(self._stamps.stamp_ms(event.at, now, now_ms), event) for event in events]

    def clock_ms(self) -> float:
        """Return the clock by which orders are judged, in ms."""
        return round(_now() * 1000, 3)

    @property
    def operator(self) -> str:
        """Who drives, empty if nobody does."""
        return self._teleop.operator

    # -- what the robot says

    def _on_service(self, request: Any, response: Any) -> Any:
        if request.data:
            self.emergency_stop('~/emergency_stop')
            response.success = True
            response.message = 'driving by hand is stopped until this service is called with false'
            return response
        with self._change:
            now = _now()
            released = self._teleop.emergency_release('~/emergency_stop', now)
            left = self._teleop.pressed
            self._publish(now)
        self._keep()
        response.success = released and not left
        response.message = (
            f'the button {left} is held down: let it go' if left
            else 'driving by hand is allowed again' if response.success
            else 'there was no emergency stop to release')
        return response

    def _restore(self) -> None:
        latched, pressed = self._record.load()
        if pressed and pressed != self._rule.emergency_stop_topic:
            # Nobody will ever hear that it was let go.
            latched, pressed = latched or pressed, ''
        self._teleop.restore(latched, pressed, _now())

    def _keep(self) -> None:
        """Write down who stopped the robot; never before it was stopped, nor while it waits."""
        with self._recording:
            with self._change:
                latched, pressed = self._teleop.latched, self._teleop.pressed
            self._record.save(latched, pressed)

    def _look_at_button(self, now: float) -> bool:
        """Heed what the button has said meanwhile; True if it said anything."""
        heard = False
        for button in self._buttons:
            while (taken := button.handle.take_message(Bool, True)) is not None:
                heard = True
                self._teleop.button(
                    str(self._rule.emergency_stop_topic), now,
                    pressed=deserialize_message(taken[0], Bool).data)
        return heard

    # -- the thread

    def _run(self) -> None:
        period = 1.0 / self._rule.rate_hz
        patience_s: float | None = 0.0
        while patience_s is not None:
            try:
                self._waiter.wait(self._buttons, patience_s)
                patience_s = self._turn(period)
            except Exception:
                # ROS may go before us. What can be stopped then is stopped by the base's own
                # time-out; but this thread ends only when it is told to: others rely on it.
                self._failures += 1
                if self._failures == 1:
                    log.exception('a velocity could not be published, or the robot not be heard')
                patience_s = None if _now() >= self._close_by else period
                time.sleep(period)

    def _turn(self, period: float) -> float | None:
        """Publish what is to be published now; return how long to wait, None at the end."""
        with self._change:
            now = _now()
            if self._close_by < math.inf and (
                    now >= self._close_by or not self._teleop.stopping):
                return None
            # Before anything is read, which may fail: it is what stops a robot in time.
            self._publish(now)
            if self._look_at_button(now):
                self._publish(now)
            self._look_at_odometry(now)
            self._turned_at = now
            patience_s = period if self._teleop.active else LOCK_PERIOD_S
            if self._teleop.driving_until > now:
                patience_s = min(patience_s, self._teleop.driving_until - now)
        return patience_s

    def _look_at_odometry(self, now: float) -> None:
        stopping = self._teleop.stopping
        if self._standstill is not None and stopping:
            # What waits from before the stop says nothing of it.
            standing = self._standstill.standing() and self._was_stopping
            self._teleop.measured(standing=bool(standing), now=now)
        self._was_stopping = stopping

    def _publish(self, now: float) -> None:
        velocity = self._teleop.output(now)
        if velocity is not None:
            self._velocity.publish(self._message(velocity))
        locked = bool(self._teleop.emergency)
        if locked != self._locked or now >= self._lock_at:
            self._locked = locked
            self._lock_at = now + LOCK_PERIOD_S
            self._lock.publish(Bool(data=locked))

    def _message(self, velocity: Velocity) -> Any:
        x, y, z, roll, pitch, yaw = velocity
        twist = Twist(linear=Vector3(x=x, y=y, z=z), angular=Vector3(x=roll, y=pitch, z=yaw))
        if not self._stamped:
            return twist
        message = TwistStamped(twist=twist)
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = self._rule.frame_id
        return message


class _Standstill:
    """The newest odometry, looked at only while a stop is to be confirmed."""

    def __init__(self, node: Node, confirm: StopConfirm):
        self._confirm = confirm
        self._stamp = (0, 0)
        # Best effort matches every publisher.
        self._subscription = polled_subscription(
            node, Odometry, confirm.topic,
            QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT), PolledGroup())

    def standing(self) -> bool:
        """Tell whether the robot stands, by what came since the last call."""
        taken = self._subscription.handle.take_message(Odometry, True)
        if taken is None:
            return False
        odometry = deserialize_message(taken[0], Odometry)
        stamp = odometry.header.stamp.sec, odometry.header.stamp.nanosec
        is_frozen = stamp == self._stamp != (0, 0)
        self._stamp = stamp
        twist = odometry.twist.twist
        # Compared one by one: of NaN, max() may make anything.
        return not is_frozen and all(
            abs(speed) <= limit
            for limit, axes in ((self._confirm.linear, twist.linear),
                                (self._confirm.angular, twist.angular))
            for speed in (axes.x, axes.y, axes.z))


def _now() -> float:
    """Return the seconds by which orders are judged."""
    return time.clock_gettime(_CLOCK)

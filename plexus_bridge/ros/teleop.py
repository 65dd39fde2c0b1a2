# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Driving by hand on the graph: what publishes velocities, and what can stop it from the robot.

A thread of its own publishes, so that neither a slow callback nor a full disk delays a stop.
"""

from __future__ import annotations

from collections.abc import Sequence
import logging
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

from plexus_bridge.config.map_teleop import StopConfirm
from plexus_bridge.config.map_teleop import TeleopRule
from plexus_bridge.ros.polling import polled_subscription
from plexus_bridge.ros.polling import PolledGroup
from plexus_bridge.teleop.orders import Accepted
from plexus_bridge.teleop.orders import Granted
from plexus_bridge.teleop.orders import Order
from plexus_bridge.teleop.orders import Refused
from plexus_bridge.teleop.orders import TeleopEvent
from plexus_bridge.teleop.teleop import Teleop
from plexus_bridge.teleop.velocity import Velocity

log = logging.getLogger(__name__)

# twist_mux wants to hear a lock again and again.
LOCK_PERIOD_S = 0.5
# A stop that is not confirmed by then does not keep the bridge from ending.
LONGEST_CLOSE_S = 1.5


class TeleopDriver:
    """
    Publishes what `Teleop` decides; `drive`, `release`, `stop` … are for any thread.

    Each takes effect before it returns: the velocity that it leads to is published by then.
    """

    def __init__(self, node: Node, rule: TeleopRule):
        self._node = node
        self._rule = rule
        self._teleop = Teleop(rule.settings)
        self._change = threading.Condition()
        self._closing = False
        self._stamped = rule.stamped
        self._velocity = node.create_publisher(
            TwistStamped if rule.stamped else Twist, rule.topic, 1)
        self._lock = node.create_publisher(Bool, rule.lock_topic, QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self._locked: bool | None = None
        self._lock_at = 0.0
        node.create_service(SetBool, '~/emergency_stop', self._on_service)
        self._pressed = False
        if rule.emergency_stop_topic is not None:
            node.create_subscription(Bool, rule.emergency_stop_topic, self._on_button, 10)
        self._standstill = (
            _Standstill(node, rule.stop_confirm) if rule.stop_confirm is not None else None)
        self._thread = threading.Thread(target=self._run, name='plexus-teleop')

    def __enter__(self) -> TeleopDriver:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop the robot if it is driven, see it stand if that can be seen, and end."""
        with self._change:
            self._teleop.link_lost(time.monotonic())
            self._closing = True
            self._publish(time.monotonic())
            self._change.notify()
        self._thread.join()

    # -- what operators say

    def drive(self, order: Order) -> Granted | Accepted | Refused:
        """Follow an order at once, or say why not."""
        with self._change:
            now = time.monotonic()
            answer = self._teleop.drive(order, now)
            if not isinstance(answer, Refused):
                self._publish(now)
                self._change.notify()
            return answer

    def release(self, operator: str, lease: str) -> Refused | None:
        """End a lease: the robot stops at once."""
        with self._change:
            answer = self._teleop.release(operator, lease, time.monotonic())
            self._publish_change()
            return answer

    def stop(self, operator: str) -> None:
        """Stop the robot at once, whoever asks."""
        with self._change:
            self._teleop.stop(operator, time.monotonic())
            self._publish_change()

    def emergency_stop(self, who: str) -> None:
        """Stop the robot at once, until it is released on the robot's side."""
        with self._change:
            self._teleop.emergency_stop(who, time.monotonic())
            self._publish_change()

    def link_lost(self) -> None:
        """Stop the robot at once, because its operator cannot be heard any more."""
        with self._change:
            self._teleop.link_lost(time.monotonic())
            self._publish_change()

    def take_events(self) -> Sequence[TeleopEvent]:
        """Return, once, what happened."""
        with self._change:
            return self._teleop.events(time.monotonic())

    def clock_ms(self) -> float:
        """Return the clock by which orders are judged, in ms."""
        return round(time.monotonic() * 1000, 3)

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
        response.success = self._release_emergency('~/emergency_stop')
        response.message = (
            'driving by hand is allowed again' if response.success
            else 'there was no emergency stop to release')
        return response

    def _on_button(self, message: Any) -> None:
        # Only letting go releases: a button that is at rest says so all the time, and must not
        # undo the stop of another.
        if message.data and not self._pressed:
            self.emergency_stop(str(self._rule.emergency_stop_topic))
        elif self._pressed and not message.data:
            self._release_emergency(str(self._rule.emergency_stop_topic))
        self._pressed = message.data

    def _release_emergency(self, who: str) -> bool:
        with self._change:
            released = self._teleop.emergency_release(who, time.monotonic())
            self._publish_change()
            return released

    # -- the thread

    def _run(self) -> None:
        period = 1.0 / self._rule.rate_hz
        with self._change:
            close_by = None
            while True:
                now = time.monotonic()
                if self._closing:
                    close_by = close_by or now + LONGEST_CLOSE_S
                    if now >= close_by or not self._teleop.stopping:
                        return
                if self._standstill is not None and self._teleop.stopping:
                    standing = self._standstill.standing()
                    if standing is not None:
                        self._teleop.measured(standing=standing, now=now)
                try:
                    self._publish(now)
                except Exception:
                    # ROS may go before us; what can be stopped is stopped by the base's own
                    # time-out, and this thread goes on for as long as it is wanted.
                    log.exception('a velocity could not be published')
                self._change.wait(period if self._teleop.active else LOCK_PERIOD_S)

    def _publish_change(self) -> None:
        self._publish(time.monotonic())
        self._change.notify()

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
        # Best effort matches every publisher.
        self._subscription = polled_subscription(
            node, Odometry, confirm.topic,
            QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT), PolledGroup())

    def standing(self) -> bool | None:
        """Tell whether the robot stands by what came since the last call; None: nothing came."""
        taken = self._subscription.handle.take_message(Odometry, True)
        if taken is None:
            return None
        twist = deserialize_message(taken[0], Odometry).twist.twist
        return bool(
            max(abs(twist.linear.x), abs(twist.linear.y), abs(twist.linear.z))
            <= self._confirm.linear
            and max(abs(twist.angular.x), abs(twist.angular.y), abs(twist.angular.z))
            <= self._confirm.angular)

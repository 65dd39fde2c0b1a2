# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Waiting for messages of some subscriptions that no executor serves.

For images, which are few and large: the thread wakes when one arrives and not before, and an
executor's rebuilding of its wait set is not paid for. rclpy keeps its wait set to itself, though
it has been the same in every release since Humble (`rclpy.wait_for_message` shows its use); where
it should be gone, polling stands in.
"""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import threading
from typing import Any

from rclpy.exceptions import InvalidHandle
from rclpy.guard_condition import GuardCondition
from rclpy.node import Node
from rclpy.subscription import Subscription

try:
    from rclpy.impl.implementation_singleton import rclpy_implementation
    _WaitSet: Any = rclpy_implementation.WaitSet
except (ImportError, AttributeError):
    _WaitSet = None

# How often is looked where waiting is not to be had.
POLL_S = 0.005


class Waiter:
    """`wait` and `close` belong to one thread; `wake` is for any."""

    def __init__(self, node: Node):
        self._context = node.context
        self._guard = GuardCondition(None, None, node.context)
        self._woken = threading.Event()
        # Made for so many subscriptions; what is left empty does no harm.
        self._wait_set: Any = None
        self._capacity = 0

    def wake(self) -> None:
        """Have `wait` return at once."""
        self._woken.set()
        with contextlib.suppress(InvalidHandle):
            self._guard.trigger()

    def wait(self, subscriptions: Sequence[Subscription[Any]], timeout_s: float
             ) -> list[Subscription[Any]]:
        """Return those on which something may have arrived, none if time is up or at `wake`."""
        if _WaitSet is None or self._context.handle is None:
            self._woken.wait(min(timeout_s, POLL_S) if subscriptions else timeout_s)
            self._woken.clear()
            return list(subscriptions)
        held: list[Subscription[Any]] = []
        try:
            # Each time, for the middleware forgets all that was not ready. No context managers
            # stacked up here: they took longer than the waiting itself.
            wait_set = self._wait_set_for(len(subscriptions))
            wait_set.clear_entities()
            wait_set.add_guard_condition(self._guard.handle)
            for subscription in subscriptions:
                with contextlib.suppress(InvalidHandle):
                    # Held, so that whoever destroys it meanwhile does so afterwards.
                    subscription.handle.__enter__()
                    held.append(subscription)
                    wait_set.add_subscription(subscription.handle)
            wait_set.wait(max(0, int(timeout_s * 1e9)))
            ready = wait_set.get_ready_entities('subscription') if held else ()
            return [subscription for subscription in held if subscription.handle.pointer in ready]
        except InvalidHandle:  # the context is being shut down
            self._woken.wait(min(timeout_s, POLL_S))
            return []
        finally:
            for subscription in held:
                subscription.handle.__exit__(None, None, None)

    def _wait_set_for(self, count: int) -> Any:
        if self._wait_set is None or self._capacity < count:
            with self._context.handle:
                self._wait_set = _WaitSet(count, 1, 0, 0, 0, 0, self._context.handle)
            self._capacity = count
        return self._wait_set

    def close(self) -> None:
        """Let go of what was made."""
        self._guard.destroy()
        if self._wait_set is not None:
            self._wait_set.destroy_when_not_in_use()

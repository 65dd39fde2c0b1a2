# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that no executor serves: whoever made one takes its messages itself."""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription


class PolledGroup(CallbackGroup):
    """A group whose members no executor waits for: they are polled instead."""

    def can_execute(self, entity: Any) -> bool:
        """Return False, always."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Return False, always."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Do nothing: nothing began."""


def polled_subscription(
        node: Node, kind: Any, topic: str, qos: QoSProfile, group: PolledGroup,
        ) -> Subscription[Any]:
    """Subscribe to the bytes of a message class; `handle.take_message(kind, True)` takes one."""
    return node.create_subscription(
        kind, topic, _never_called, qos, raw=True, callback_group=group,
        event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False))


def _never_called(_message: object) -> None:
    """Stand where rclpy wants a callback."""

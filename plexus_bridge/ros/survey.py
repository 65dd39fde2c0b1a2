# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A look at the running graph for some seconds, as a source of messages to try a map on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from collections.abc import Iterator
from contextlib import contextmanager
import os
import time
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription

from plexus_bridge.authoring.source import SourceMessage
from plexus_bridge.authoring.source import SourceTopic
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Message
from plexus_bridge.ros.graph import find_publishers
from plexus_bridge.ros.layouts import message_class
from plexus_bridge.ros.layouts import message_layout
from plexus_bridge.ros.polling import polled_subscription
from plexus_bridge.ros.polling import PolledGroup

# The graph is known when so long nothing has been new and everybody is heard, …
SETTLED_S = 1.0
# … and taken for known after this: somebody may announce a topic and never be reached.
DISCOVERY_AT_MOST_S = 5.0
# What is kept of one topic: enough to see its rate, bounded where it is a camera.
MAX_BYTES_PER_TOPIC = 16_000_000
_DEPTH = 200
_POLL_S = 0.01


class Survey:
    """What was on the graph while it was listened to."""

    def __init__(self, node: Node):
        self.name = f'the graph of ROS domain {os.environ.get("ROS_DOMAIN_ID", "0")}'
        self.seconds = 0.0
        self.topics: dict[str, SourceTopic] = {}
        self._node = node
        self._group = PolledGroup()
        self._subscriptions: dict[str, tuple[Subscription[Any], Any]] = {}
        self._types: dict[str, str] = {}
        self._latched: set[str] = set()
        self._messages: list[SourceMessage] = []
        self._counts: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def listen(self, seconds: float) -> None:
        """Find out what is there, then take messages for so long: rates are those of that time."""
        self._discover()
        started = time.monotonic()
        while (now := time.monotonic() - started) < seconds:
            self._look()
            self._take()
            time.sleep(_POLL_S)
        self.seconds = now
        self.topics = {
            name: SourceTopic(name, topic.types, self._counts[name])
            for name, topic in sorted(self.topics.items())}
        self._messages.sort(key=lambda message: message.time_ns)

    def _discover(self) -> None:
        """Look until nothing is new, and forget what came meanwhile, from some only."""
        started = changed = time.monotonic()
        known = -1
        while (now := time.monotonic()) - changed < SETTLED_S \
                and now - started < DISCOVERY_AT_MOST_S:
            self._look()
            self._take()
            heard = sum(subscription.handle.get_publisher_count() > 0
                        for subscription, _ in self._subscriptions.values())
            if heard < len(self._subscriptions) or heard != known:
                known, changed = heard, now
            time.sleep(_POLL_S)
        # What was published long ago and kept for those who come late does not come again.
        self._messages = [message for message in self._messages if message.topic in self._latched]
        for counter in (self._counts, self._bytes):
            for name in set(counter) - self._latched:
                del counter[name]

    def _look(self) -> None:
        for name, types in self._node.get_topic_names_and_types():
            if name in self.topics:
                continue
            publishers = find_publishers(self._node, name)
            if not publishers.count:
                continue
            self.topics[name] = SourceTopic(name, tuple(sorted(types)), 0)
            if publishers.transient_local:
                self._latched.add(name)
            try:
                kind = message_class(types[0])
            except MappingError:
                continue  # told when a rule asks for its layout
            self._types[name] = types[0]
            self._subscriptions[name] = (polled_subscription(
                self._node, kind, name, publishers.qos(_DEPTH), self._group), kind)

    def _take(self) -> None:
        for name, (subscription, kind) in self._subscriptions.items():
            while (taken := subscription.handle.take_message(kind, True)) is not None:
                data, info = taken
                self._counts[name] += 1
                self._bytes[name] += len(data)
                if self._bytes[name] <= MAX_BYTES_PER_TOPIC:
                    self._messages.append(SourceMessage(
                        name, info['received_timestamp'] or time.time_ns(), data,
                        self._types[name]))

    def layout(self, type_name: str) -> Message:
        """Return a type's layout; MappingError if it is not installed."""
        return message_layout(type_name)

    def messages(self, topics: Collection[str]) -> Iterator[SourceMessage]:
        """Yield what was kept of some topics, in the order of receipt."""
        wanted = set(topics)
        return (message for message in self._messages if message.topic in wanted)


@contextmanager
def survey(seconds: float) -> Iterator[Survey]:
    """Listen to the graph for some seconds with a node of its own."""
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = Node('plexus_survey')
    try:
        found = Survey(node)
        found.listen(seconds)
        yield found
    finally:
        node.destroy_node()
        rclpy.try_shutdown()

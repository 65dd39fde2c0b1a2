# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded messages on the real graph: raw CDR, original types, original timing."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
import sys
import time

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy
from rclpy.qos import HistoryPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from plexus_bridge.bags import Bag
from plexus_bridge.bags import BagMessage
from plexus_bridge.bags import BagTopic
from plexus_bridge.errors import MappingError
from plexus_bridge.ros.layouts import message_class
from plexus_bridge.stopping import StopRequest

_DEPTH = 1000
_LATCHED = ('tf_static', 'robot_description')
# Fast DDS keeps up to 5,000 messages that a reliable subscriber has not acknowledged. For images
# that is too much memory, so large messages are held back earlier.
_ASK_FROM_BYTES = 8_000_000
_WAIT_FROM_BYTES = 64_000_000
_STALL_S = 10.0
# A publisher knows when it has matched a subscriber, not when the subscriber has matched it.
_SETTLE_S = 0.2
_CLOCK_NS = 10_000_000


def offer_like(topic: BagTopic) -> QoSProfile:
    """
    Return a QoS that every subscriber of the recorded publishers would accept.

    Reliable unless all of them were best effort, transient local if one was (or, where nothing
    was recorded, for topics that are latched by convention).
    """
    offered = topic.offered_qos
    best_effort = bool(offered) and all(q.reliability == 'best_effort' for q in offered)
    latched = (any(q.durability == 'transient_local' for q in offered) if offered
               else topic.name.rpartition('/')[2] in _LATCHED)
    # Each latched publisher kept as many as it offered; now one keeps them all.
    kept = sum(q.depth or _DEPTH for q in offered) or topic.count
    return QoSProfile(
        # KEEP_ALL makes publish() wait for reliable subscribers, where KEEP_LAST overwrites what
        # they have not got yet.
        history=HistoryPolicy.KEEP_LAST if latched else HistoryPolicy.KEEP_ALL,
        depth=max(1, min(kept, _DEPTH)),
        reliability=ReliabilityPolicy.BEST_EFFORT if best_effort else ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE)


@dataclass
class _Channel:
    """One topic being played."""

    topic: BagTopic
    publisher: Publisher
    published: int = 0
    lost: int = 0
    pending_bytes: int = 0

    def publish(self, data: bytes, stop: StopRequest) -> None:
        """Publish one message; while subscribers cannot take it, wait, but not for ever."""
        if self.pending_bytes >= _ASK_FROM_BYTES:
            self.wait_acknowledged(0.0 if self.pending_bytes < _WAIT_FROM_BYTES else _STALL_S)
        self.pending_bytes += len(data)
        # Whoever let us wait in vain once is not waited for again until it takes something.
        deadline = time.monotonic() + (0.0 if self.lost else _STALL_S)
        while True:
            try:
                self.publisher.publish(data)
            except RuntimeError:  # rclpy's error for a history that is still full
                if stop.requested or time.monotonic() > deadline:
                    self.lost += 1
                    return
            else:
                self.published += 1
                return

    def wait_acknowledged(self, seconds: float) -> bool:
        """Wait until reliable subscribers have everything; at once true without any."""
        acknowledged: bool = self.publisher.wait_for_all_acked(
            Duration(nanoseconds=round(seconds * 1e9)))
        if acknowledged:
            self.pending_bytes = 0
        return acknowledged


class Playback:
    """
    Publishes a recording's messages from one node.

    `skipped` has a reason for each topic that cannot be played. Nothing needs to be spun.
    """

    def __init__(self, node: Node, bag: Bag, topics: Collection[str] = (), *,
                 rate: float = 1.0, clock: bool = False):
        self._node = node
        self._bag = bag
        self._rate = rate
        self._channels: dict[tuple[str, str], _Channel] = {}
        self._clock = node.create_publisher(Clock, '/clock', 10) if clock else None
        self.skipped: dict[str, str] = {}
        for topic in bag.topics:
            if not topics or topic.name in topics:
                self._add(topic)

    def _add(self, topic: BagTopic) -> None:
        known = self._channels.get((topic.name, topic.type))
        if known:  # a recording of several files names it once for each
            known.topic = replace(known.topic, count=known.topic.count + topic.count)
            return
        try:
            kind = message_class(topic.type)
            publisher = self._node.create_publisher(kind, topic.name, offer_like(topic))
        except MappingError as error:
            self.skipped[topic.name] = str(error)
        except Exception as error:
            # A name that ROS 2 does not allow, a type whose library does not load.
            self.skipped[topic.name] = ' '.join(str(error).split())
        else:
            self._channels[topic.name, topic.type] = _Channel(topic, publisher)

    @property
    def published(self) -> dict[str, int]:
        """How many messages were published, by topic."""
        totals: dict[str, int] = {}
        for channel in self._channels.values():
            totals[channel.topic.name] = totals.get(channel.topic.name, 0) + channel.published
        return totals

    @property
    def lost(self) -> dict[str, int]:
        """How many messages a subscriber made impossible to publish, by topic."""
        return {c.topic.name: c.lost for c in self._channels.values() if c.lost}

    @property
    def topics(self) -> list[str]:
        """The topics that can be played."""
        return sorted({channel.topic.name for channel in self._channels.values()})

    @property
    def count(self) -> int:
        """How many messages there are to play."""
        return sum(channel.topic.count for channel in self._channels.values())

    def wait_for_subscribers(self, stop: StopRequest, seconds: float) -> list[str]:
        """
        Wait until every topic has a matched subscriber; return the topics that still have none.

        When none is returned, reliable subscribers will get every message from the first one on.
        """
        deadline = time.monotonic() + seconds
        while True:
            lonely = sorted({channel.topic.name for channel in self._channels.values()
                             if not channel.publisher.get_subscription_count()})
            # The graph tells of a match by no event that rclpy offers for publishers.
            if not lonely:
                stop.wait(_SETTLE_S)
                return []
            if stop.requested or time.monotonic() > deadline:
                return lonely
            stop.wait(0.01)

    def play(self, stop: StopRequest, progress: Callable[[float], None] | None = None) -> None:
        """
        Publish everything once in its timing; `progress` is called now and then with seconds done.

        Raises BagError where the recording is damaged, after what could be read.
        """
        first_ns: int | None = None
        started = time.monotonic()
        for due in self._timeline(self._bag.messages(self.topics)):
            time_ns = due if isinstance(due, int) else due.time_ns
            first_ns = time_ns if first_ns is None else first_ns
            # Against the start and not against the message before: errors do not add up.
            wait = started + (time_ns - first_ns) / 1e9 / self._rate - time.monotonic()
            if stop.wait(wait) if wait > 0 else stop.requested:
                return
            if isinstance(due, int):
                self._tell_clock(due)
            else:
                channel = self._channels.get((due.topic, due.type))
                if channel:
                    channel.publish(due.data, stop)
            if progress:
                progress((time_ns - first_ns) / 1e9)

    def _timeline(self, messages: Iterable[BagMessage]) -> Iterator[BagMessage | int]:
        """Yield the messages and, with a clock, the time (ns) a hundred times a second."""
        if self._clock is None:
            yield from messages
            return
        step_ns = max(1, round(_CLOCK_NS * self._rate))
        tick_ns: int | None = None
        for message in messages:
            tick_ns = message.time_ns if tick_ns is None else tick_ns
            while tick_ns <= message.time_ns:
                yield tick_ns
                tick_ns += step_ns
            yield message

    def _tell_clock(self, time_ns: int) -> None:
        if self._clock:
            message = Clock()
            message.clock.sec, message.clock.nanosec = divmod(time_ns, 1_000_000_000)
            self._clock.publish(message)

    def flush(self, seconds: float) -> list[str]:
        """Wait until reliable subscribers have everything; return the topics that they lack."""
        deadline = time.monotonic() + seconds
        return sorted({
            channel.topic.name for channel in self._channels.values()
            if not channel.wait_acknowledged(max(0.0, deadline - time.monotonic()))})


class Report:
    """Prints how a playback goes: a line now and then, and the totals at the end."""

    def __init__(self, playback: Playback, bag: Bag, every_s: float = 5.0):
        self._playback = playback
        self._length_s = (bag.end_ns - bag.start_ns) / 1e9
        self._every_s = every_s
        self._started = time.monotonic()
        self._next = self._started + every_s
        print(f'playing {bag.path}: {playback.count} messages, {self._length_s:.1f} s, '
              f'topics {", ".join(playback.topics)}', flush=True)

    def progress(self, done_s: float) -> None:
        """Take note of how many seconds of the recording are done."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._every_s
            print(f'{done_s:8.1f} s of {self._length_s:.1f} s, '
                  f'{sum(self._playback.published.values())} messages', flush=True)

    def end(self) -> None:
        """Print the totals."""
        published = self._playback.published
        for topic, count in sorted(published.items()):
            print(f'published {count:8d}  {topic}')
        print(f'published {sum(published.values()):8d}  in '
              f'{time.monotonic() - self._started:.1f} s', flush=True)
        for topic, count in sorted(self._playback.lost.items()):
            print(f'plexus-bridge play: {topic}: {count} messages could not be published because '
                  'a subscriber did not take them', file=sys.stderr)

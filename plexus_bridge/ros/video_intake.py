# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Takes images from the graph when a camera wants one, and has them encoded.

A thread of its own waits for images, and takes one if its camera wants one now. The middleware
keeps the newest image of each, so what nobody wants is never taken. Entities are made and
destroyed on the thread that polls the graph, as all others are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
import logging
import os
import threading
import time
from typing import Any

from rclpy.node import Node

from plexus_bridge.errors import MappingError
from plexus_bridge.errors import PictureError
from plexus_bridge.ros.graph import find_publishers
from plexus_bridge.ros.graph import Publishers
from plexus_bridge.ros.layouts import message_class
from plexus_bridge.ros.layouts import message_layout
from plexus_bridge.ros.lonely import LonelyTopics
from plexus_bridge.ros.memory import keep_large_blocks
from plexus_bridge.ros.polling import polled_subscription
from plexus_bridge.ros.polling import PolledGroup
from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.rule_intake import RuleState
from plexus_bridge.ros.taking import image_take
from plexus_bridge.ros.taking import Take
from plexus_bridge.ros.waiting import Waiter
from plexus_bridge.video.camera import Camera
from plexus_bridge.video.cameras import Cameras
from plexus_bridge.video.pacing import Demand
from plexus_bridge.video.raw_image import ImageMessage
from plexus_bridge.video.rules import COMPRESSED_IMAGE
from plexus_bridge.video.rules import IMAGE

log = logging.getLogger(__name__)

DISCOVERY_PERIOD_S = 0.5
# Nothing that happens is noticed later than this, should a wake-up be missed.
LONGEST_WAIT_S = 0.5
# Encoding is all CPU; the rest of the robot wants some of it, too.
MOST_ENCODERS = 4


class VideoIntake:
    """All cameras' topics; `topics` tells how each goes."""

    def __init__(self, node: Node, cameras: Cameras):
        self._node = node
        self._cameras = cameras
        self._group = PolledGroup()
        self._next_discovery = 0.0
        self._lonely = LonelyTopics(node)
        # From our clock to the gateway's, for stamps of receipt.
        self.clock_correction_ms = 0
        self.topics = [
            RuleIntake(camera.rule, index, node.resolve_topic_name(camera.rule.topic))
            for index, camera in enumerate(cameras.all)]
        # Of each camera, the subscription on which an image was there before it was wanted: such
        # a camera is quicker than its rule. It is not waited for but looked at when one is due,
        # as all others are waited for even before, so that one wake-up serves one picture.
        self._ahead: list[Any] = [None] * len(self.topics)
        # There for every topic's subscription: what takes from one fits no other.
        self._takes: dict[Any, Take] = {}
        self._waiter = Waiter(node)
        cameras.changed = self._waiter.wake
        # Where one thread encodes, it is the one that waits: nothing is handed over.
        encoders = min(MOST_ENCODERS, len(cameras.all), (os.cpu_count() or 2) // 2)
        self._encoders = ThreadPoolExecutor(
            encoders, thread_name_prefix='plexus-video') if encoders > 1 else None
        self._stopping = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name='plexus-images', daemon=True)

    def start(self) -> None:
        """Begin to take images."""
        if self.topics:
            keep_large_blocks()
            self._thread.start()

    def close(self) -> None:
        """End the threads and destroy the subscriptions."""
        self._stopping.set()
        self._waiter.wake()
        if self._thread.ident:
            self._thread.join()
        if self._encoders is not None:
            self._encoders.shutdown()
        for topic in self.topics:
            self._unsubscribe(topic)
        self._waiter.close()

    # -- the graph, on the thread that polls it

    def poll(self, now: float) -> None:
        """Look at the graph if it is time to; `now` is monotonic seconds."""
        if now < self._next_discovery:
            return
        self._next_discovery = now + DISCOVERY_PERIOD_S
        for topic, camera in zip(self.topics, self._cameras.all, strict=True):
            if camera.pace.demand is Demand.UNWATCHED and camera.rule.preview_s is None:
                self._pause(topic)
            else:
                self._discover(topic, camera)
            if topic.subscription is None or not topic.publishers or not topic.publishers.count:
                continue
            if camera.trouble and not camera.used_since_asked():
                topic.tell(RuleState.MALFORMED, f'the last picture is of no use: {camera.trouble}')
            elif topic.messages > topic.heard_before:
                topic.tell(RuleState.OK, f'pictures flow ({topic.type})')
        self._lonely.poll(now, self.topics)

    def _pause(self, topic: RuleIntake) -> None:
        # Even what is not taken costs the middleware its copy of each image.
        self._unsubscribe(topic)
        topic.publishers = None
        topic.tell(RuleState.PAUSED, 'nobody watches, and no preview is asked for')

    def _discover(self, topic: RuleIntake, camera: Camera) -> None:
        publishers = find_publishers(self._node, topic.topic)
        if publishers == topic.publishers:
            return
        topic.publishers = publishers
        if not publishers.count:
            # The subscription stays: whoever returns is seen from the first picture on.
            topic.tell_nobody()
            return
        wanted = camera.rule.type or publishers.types[0]
        if len(publishers.types) > 1 and camera.rule.type is None:
            topic.tell(RuleState.WRONG_TYPE,
                       f'saw publishers of {" and of ".join(publishers.types)}, expected one type')
        elif wanted not in publishers.types or wanted not in (IMAGE, COMPRESSED_IMAGE):
            topic.tell(RuleState.WRONG_TYPE,
                       f'saw a publisher of {", ".join(publishers.types)}, expected '
                       f'{camera.rule.type or f"{IMAGE} or {COMPRESSED_IMAGE}"}')
        else:
            self._subscribe(topic, camera, wanted, publishers)

    def _subscribe(self, topic: RuleIntake, camera: Camera, kind: str, publishers: Publishers
                   ) -> None:
        qos = publishers.qos(1)
        if topic.subscription is not None and topic.type == kind \
                and topic.subscription.qos_profile == qos:
            topic.tell(RuleState.NOTHING_PUBLISHED, f'subscribed ({kind}), nothing published yet')
            return
        self._unsubscribe(topic)
        try:
            camera.expect(message_layout(kind))
            topic.message_class = message_class(kind)
            subscription = polled_subscription(
                self._node, topic.message_class, topic.topic, qos, self._group)
            self._takes[subscription] = image_take(subscription, kind, topic.message_class)
            topic.subscription = subscription
        except MappingError as error:
            topic.tell(RuleState.UNKNOWN_TYPE, str(error))
            return
        except Exception as error:  # rclpy names no common class for what middlewares refuse
            topic.tell(RuleState.WRONG_TYPE, f'cannot subscribe to {kind}: {error}')
            return
        topic.type = kind
        topic.tell(RuleState.NOTHING_PUBLISHED, f'subscribed ({kind}), nothing published yet')
        self._waiter.wake()

    def _unsubscribe(self, topic: RuleIntake) -> None:
        subscription, topic.subscription = topic.subscription, None
        if subscription is not None:
            self._node.destroy_subscription(subscription)
            del self._takes[subscription]

    # -- images, on a thread of their own

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._step()
            except Exception as error:  # one bad moment must not end all video
                if not self._failed:
                    self._failed = True
                    log.error('images cannot be waited for; it is tried again', exc_info=error)
                self._stopping.wait(LONGEST_WAIT_S)

    def _step(self) -> None:
        now = time.monotonic()
        awaited: dict[Any, int] = {}
        next_s, took = LONGEST_WAIT_S, False
        for index, topic in enumerate(self.topics):
            subscription = topic.subscription
            if subscription is None:
                continue
            if subscription is not self._ahead[index]:
                awaited[subscription] = index
                continue
            wait_s = self._cameras.all[index].wanted_at(now) - now
            if wait_s > 0:
                next_s = min(next_s, wait_s)
            elif self._take(subscription, index, ready=False):
                took = True
            else:
                self._ahead[index] = None
                awaited[subscription] = index
        if took and not awaited:
            return
        for subscription in self._waiter.wait(list(awaited), 0.0 if took else next_s):
            index = awaited[subscription]
            now = time.monotonic()
            if self._cameras.all[index].wanted_at(now) > now:
                self._ahead[index] = subscription
            else:
                self._take(subscription, index, ready=True)

    def _take(self, subscription: Any, index: int, *, ready: bool) -> bool:
        """Take the newest image and have it encoded; False if there is none; `ready`: there is."""
        topic, camera = self.topics[index], self._cameras.all[index]
        try:
            taken = self._takes[subscription](ready)
        except PictureError as error:
            camera.cannot_use(str(error))
            topic.unreadable += 1
            return True
        except Exception as error:  # destroyed meanwhile, or no memory for it
            log.debug('an image of %s could not be taken: %s', topic.topic, error)
            return False
        if taken is None:
            return False
        now, now_ns = time.monotonic(), time.time_ns()
        message, received_ns = taken[0], taken[1] or now_ns
        topic.messages += 1
        topic.last_received_ms = received_ns // 1_000_000
        camera.pace.took(now)
        picture = (message, topic.last_received_ms + self.clock_correction_ms,
                   now - max(0, now_ns - received_ns) / 1e9)
        if self._encoders is None:
            self._encode(topic, camera, *picture)
        else:
            camera.busy = True
            self._encoders.submit(self._encode, topic, camera, *picture)
        return True

    def _encode(self, topic: RuleIntake, camera: Camera, message: ImageMessage, received_ms: int,
                captured_at: float) -> None:
        try:
            # One picture of a camera at a time: nobody else counts meanwhile.
            if camera.encode(message, received_ms, captured_at):
                topic.points += 1
            else:
                topic.unreadable += 1
        finally:
            camera.busy = False
            if camera.blocked:
                self._waiter.wake()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Images taken where they lie: what comes, how long it lasts, and what stands in for it."""

from __future__ import annotations

from collections.abc import Iterator
import gc
import struct
from typing import Any

import pytest
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image

from plexus_bridge.errors import PictureError
from plexus_bridge.ros import taking
from plexus_bridge.ros.polling import polled_subscription
from plexus_bridge.ros.polling import PolledGroup
from plexus_bridge.ros.waiting import Waiter
from plexus_bridge.video import raw_image
from plexus_bridge.video.rules import COMPRESSED_IMAGE
from plexus_bridge.video.rules import IMAGE

QOS = QoSProfile(depth=1)


class Road:
    """A publisher, and what takes from its topic."""

    def __init__(self, node: Node, kind: str, message_class: Any):
        self.publisher = node.create_publisher(message_class, '/c', QOS)
        self.subscription = polled_subscription(node, message_class, '/c', QOS, PolledGroup())
        self.take = taking.image_take(self.subscription, kind, message_class)
        self._waiter = Waiter(node)

    def send(self, message: Any) -> None:
        """Publish until it is there to be taken."""
        for _ in range(100):
            self.publisher.publish(message)
            if self._waiter.wait([self.subscription], 0.1):
                return
        pytest.fail('nothing came within 10 s')

    def through(self, message: Any) -> Any:
        self.send(message)
        taken = self.take(True)
        assert taken is not None
        return taken[0]

    def close(self) -> None:
        self._waiter.close()


@pytest.fixture
def road(graph) -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node('taking', context=context)
    made: list[Road] = []

    def make(kind: str = IMAGE, message_class: Any = Image) -> Road:
        made.append(Road(node, kind, message_class))
        return made[-1]

    yield make
    for it in made:
        it.close()
    node.destroy_node()
    rclpy.shutdown(context=context)


def picture(number: int = 0, size: int = 300_000) -> Image:
    message = Image(height=100, width=1000, encoding='bgr8', is_bigendian=1, step=3000,
                    data=bytes([number]) * size)
    message.header.frame_id = 'gripper_optical_frame'
    message.header.stamp.sec, message.header.stamp.nanosec = -5 - number, 999_999_999
    return message


def test_an_image_is_taken_as_it_was_published_and_when(road, graph):
    it = road()
    assert isinstance(it.take, taking._Taking)
    seen = it.through(picture(7))
    assert seen._replace(data=bytes(seen.data)) == raw_image.RawImage(
        (-12, 999_999_999), 100, 1000, 'bgr8', True, 3000, bytes([7]) * 300_000)
    it.send(picture(8))
    _, received_ns = it.take(True)
    assert 0 <= graph.node.get_clock().now().nanoseconds - received_ns < 10e9
    assert it.take(False) is None
    assert len(it.through(picture(9, 0)).data) == 0


def test_a_compressed_image_is_taken_as_it_was_published(road):
    it = road(COMPRESSED_IMAGE, CompressedImage)
    assert isinstance(it.take, taking._Taking)
    seen = it.through(CompressedImage(format='rgb8; jpeg compressed bgr8', data=b'\xff\xd8\xff'))
    assert (seen.stamp, seen.format, bytes(seen.data)) == (
        (0, 0), 'rgb8; jpeg compressed bgr8', b'\xff\xd8\xff')


def test_pixels_last_as_long_as_somebody_looks_at_them_and_no_longer(road, monkeypatch):
    it = road()
    gone: list[int] = []
    destroy = taking._Message.__del__

    def destroyed(message: Any) -> None:
        gone.append(message.address)
        destroy(message)

    monkeypatch.setattr(taking._Message, '__del__', destroyed)
    views = [it.through(picture(number)).data[1000:2000] for number in range(5)]
    gc.collect()
    assert not gone
    assert [set(view.tolist()) for view in views] == [{number} for number in range(5)]
    views.clear()
    gc.collect()
    assert len(gone) == 5


def test_what_the_middleware_cannot_read_is_told_and_the_next_by_what_is_wrong(road):
    it = road()
    whole = serialize_message(picture())
    it.send(whole[:-1])
    with pytest.raises(PictureError, match='saw a message that the middleware cannot read'):
        it.take(True)
    assert it.through(whole[:-1]) == whole[:-1]
    assert deserialize_message(it.through(whole), Image) == picture()


@pytest.mark.parametrize(('name', 'value'), [
    ('_IMAGE', struct.Struct('@iI PNN QI PNN BI PNN')),
    ('_IMAGE', struct.Struct('@iI PNN II PNN BI')),
    ('os', None)])
def test_where_anything_is_other_than_expected_bytes_stand_in(
        road, monkeypatch, caplog, name, value):
    caplog.set_level('INFO')
    monkeypatch.setattr(taking, name, value)
    it = road()
    assert deserialize_message(it.through(picture(3)), Image) == picture(3)
    assert 'images are taken as bytes' in caplog.text


def test_a_handle_that_is_no_subscription_to_the_topic_is_not_used(road):
    it = road()
    functions = taking._Functions(Image)
    functions.topic_name = lambda _pointer: b'/other'
    with pytest.raises(TypeError, match="saw a subscription to b'/other', expected /c"):
        taking._Taking(functions, taking._read_image, it.subscription, Image)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Real publishers of images, and what becomes of them on their way to the link."""

from __future__ import annotations

import array
from collections.abc import Iterator
import time
from typing import Any

import cv2
from pictures import decode
from pictures import encoded_as
from pictures import psnr
from pictures import scene
import pytest
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from sensor_msgs.msg import Imu

from plexus_bridge import encoding as json_encoding
from plexus_bridge.config.map import load_map
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.protocol.video import decode_binary
from plexus_bridge.protocol.video import decode_text
from plexus_bridge.protocol.video import Picture
from plexus_bridge.ros.rule_intake import RuleState
from plexus_bridge.ros.video_intake import VideoIntake
from plexus_bridge.video.cameras import Cameras
from plexus_bridge.video.encodings import ENCODINGS
from plexus_bridge.video.encodings import is_distance

SCENE = scene()
HEIGHT, WIDTH = SCENE.shape[:2]
STAMP = 1_790_000_000


class Wide(VideoFrames):
    """A link that carries everything."""

    frame_bytes = 10_000_000


class Filming:
    """Cameras of a test's map, on the real graph; frames are taken by hand."""

    def __init__(self, graph: Any, node: Node, rules: str, tmp_path: Any):
        file = tmp_path / 'robot.yaml'
        file.write_text(f'version: 1\nvideo:\n{rules}')
        self.graph = graph
        self.counters = Counters()
        self.frames = Wide()
        self.frames.opened()
        self.cameras = Cameras(load_map(file, {}).video, 'rig', self.frames, self.counters)
        self.intake = VideoIntake(node, self.cameras)
        self.intake.start()

    def until(self, condition: Any, what: str) -> Any:
        def so() -> Any:
            self.intake.poll(time.monotonic())
            return condition()

        self.graph.spin_until(so, f'{what}; {self.intake.topics}; {self.counters.dropped()}')

    def state(self) -> RuleState:
        return self.intake.topics[0].state

    def publish(self, publisher: Any, message: Any) -> VideoFrame:
        """Publish until a frame comes of it."""
        found: list[VideoFrame] = []

        def taken() -> bool:
            publisher.publish(message)
            frame = self.frames.take(time.monotonic())
            if frame is not None:
                found.append(frame)
            return bool(found)

        self.until(taken, 'a frame')
        return found[0]

    def picture(self, publisher: Any, message: Any) -> Picture:
        return decode_binary(self.publish(publisher, message).message.payload)


@pytest.fixture
def filming(graph, tmp_path) -> Iterator[Any]:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node('filming', context=context)
    made: list[Filming] = []

    def make(rules: str) -> Filming:
        made.append(Filming(graph, node, rules, tmp_path))
        return made[-1]

    yield make
    for it in made:
        it.intake.close()
    node.destroy_node()
    rclpy.shutdown(context=context)


def image(encoding: str, data: bytes, step: int, **changed: Any) -> Image:
    message = Image(**{'height': HEIGHT, 'width': WIDTH, 'encoding': encoding, 'step': step,
                       **changed})
    message.header.stamp.sec = STAMP
    message.data = array.array('B', data)
    return message


def test_every_encoding_arrives_as_the_picture_that_it_was(filming, graph):
    names = [name for name in ENCODINGS if not is_distance(name)]
    it = filming(''.join(f'  - {{topic: /of_{name}, camera_id: c{name}, rate_hz: 100, '
                         f'quality: 90}}\n' for name in names))
    publishers = {name: graph.node.create_publisher(Image, f'/of_{name}', 1)
                  for name in names}
    messages = {name: image(name, *encoded_as(SCENE, name)) for name in names}
    seen: dict[str, Picture] = {}

    def all_came() -> bool:
        for name in names:
            if name not in seen:
                publishers[name].publish(messages[name])
        while (frame := it.frames.take(time.monotonic())) is not None:
            seen[frame.camera_id[1:]] = decode_binary(frame.message.payload)
        return len(seen) == len(names)

    it.until(all_came, f'a picture of each of {names}')
    grey = cv2.cvtColor(cv2.cvtColor(SCENE, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    likeness = {name: psnr(decode(picture.jpeg), grey if name in (
        'mono8', 'mono16', '8UC1') else SCENE) for name, picture in seen.items()}
    # A mosaic has a third of the colours, so that edges are guessed.
    assert all(value > (24 if name.startswith('bayer') else 30)
               for name, value in likeness.items()), likeness
    assert {(picture.width, picture.height, picture.timestamp_ms, picture.source_id)
            for picture in seen.values()} == {(WIDTH, HEIGHT, STAMP * 1000, 'rig')}


def test_a_jpeg_that_fits_passes_untouched_and_a_png_becomes_one(filming, graph):
    it = filming('  - {topic: /c, camera_id: c, rate_hz: 100, quality: 90}\n')
    publisher = graph.node.create_publisher(CompressedImage, '/c', 1)
    blue_first = SCENE[..., ::-1]
    jpeg = cv2.imencode('.jpg', blue_first)[1].tobytes()
    assert it.picture(publisher, CompressedImage(format='jpeg', data=jpeg)).jpeg == jpeg
    png = cv2.imencode('.png', blue_first)[1].tobytes()

    def of_png() -> bool:
        picture = it.picture(publisher, CompressedImage(format='png', data=png))
        return picture.jpeg != jpeg and psnr(decode(picture.jpeg), SCENE) > 30

    it.until(of_png, 'the PNG as a JPEG')
    assert it.counters['video_frames_passed_through'] >= 1


def test_what_is_no_picture_is_told_and_the_next_one_comes(filming, graph):
    it = filming('  - {topic: /c, camera_id: c, rate_hz: 100}\n')
    publisher = graph.node.create_publisher(Image, '/c', 1)
    good = image('rgb8', *encoded_as(SCENE, 'rgb8'))
    bad = [
        image('rgb8', b'', 0), image('rgb8', bytes(100), WIDTH * 3),
        image('rgb8', bytes(100), 3), image('no_such_thing', bytes(100), 10),
        image('rgb8', b'', WIDTH * 3, width=0), image('rgb8', b'', 40_000, width=10_000,
                                                      height=10_000)]
    for message in bad:
        before = it.counters.dropped().get('video_unusable', 0)
        it.until(lambda message=message, before=before: publisher.publish(message)
                 or it.counters.dropped().get('video_unusable', 0) > before, 'counted')
        assert it.cameras.all[0].trouble.startswith('saw ')
    it.until(lambda: it.state() is RuleState.MALFORMED, 'told')
    assert it.picture(publisher, good).width == WIDTH
    half = image('mono8', bytes(WIDTH * 10 // 4), WIDTH // 2, width=WIDTH // 2, height=5)

    def changed() -> bool:
        return it.picture(publisher, half).width == WIDTH // 2

    it.until(changed, 'a camera that changes its size')
    it.until(lambda: it.state() is RuleState.OK, 'all is well again')


def test_temperatures_travel_as_text_with_their_picture(filming, graph):
    it = filming('  - {topic: /t, camera_id: thermal, rate_hz: 100, thermal: {}}\n')
    publisher = graph.node.create_publisher(Image, '/t', 1)
    kelvin = [29315 + 100 * index for index in range(12)]
    frame = it.publish(publisher, image(
        '16UC1', array.array('H', kelvin).tobytes(), 8, width=4, height=3))
    picture, thermal = decode_text(json_encoding.loads(frame.message.payload))
    assert thermal is not None
    assert (thermal.width, thermal.height, thermal.lowest, thermal.highest) == (4, 3, 20.0, 31.0)
    assert thermal.temperatures == tuple(20.0 + index for index in range(12))
    assert min(decode(picture.jpeg).shape[:2]) == 160


def test_nothing_is_encoded_while_nobody_watches(filming, graph):
    it = filming('  - {topic: /c, camera_id: c, rate_hz: 100, preview_s: null}\n')
    publisher = graph.node.create_publisher(Image, '/c', 1)
    message = image('rgb8', *encoded_as(SCENE, 'rgb8'))
    it.publish(publisher, message)
    assert it.cameras.stop('c')
    it.until(lambda: it.state() is RuleState.PAUSED, 'no longer subscribed')
    it.until(lambda: not publisher.get_subscription_count(), 'seen by the publisher, too')
    it.frames.take(time.monotonic())
    encoded = it.counters['video_frames_encoded']
    publisher.publish(message)
    assert it.counters['video_frames_encoded'] == encoded
    assert it.cameras.start('c', quality=20, resolution=[80, 60])
    assert it.picture(publisher, message).width == 80
    assert not it.cameras.start('d')


def test_another_type_is_told(filming, graph):
    it = filming('  - {topic: /c, camera_id: c}\n')
    graph.node.create_publisher(Imu, '/c', 1)
    it.until(lambda: it.state() is RuleState.WRONG_TYPE, 'told')
    assert 'sensor_msgs/msg/Imu' in it.intake.topics[0].reason


def test_a_camera_that_goes_is_told_and_so_is_one_that_returns(filming, graph):
    it = filming('  - {topic: /c, camera_id: c, rate_hz: 100}\n')
    good = image('rgb8', *encoded_as(SCENE, 'rgb8'))
    publisher = graph.node.create_publisher(Image, '/c', 1)
    it.publish(publisher, good)
    it.until(lambda: it.state() is RuleState.OK, 'pictures flow')
    graph.node.destroy_publisher(publisher)
    it.until(lambda: it.state() is RuleState.NO_PUBLISHER, 'gone')
    topic, = it.intake.topics
    assert topic.reason == 'whoever published here is gone; it is waited for'
    publisher = graph.node.create_publisher(Image, '/c', 1)
    it.until(lambda: it.state() is RuleState.NOTHING_PUBLISHED, 'back, and silent')
    it.publish(publisher, good)
    it.until(lambda: it.state() is RuleState.OK, 'pictures flow again')


def test_a_camera_on_a_topic_that_nobody_publishes_is_told_once(filming, graph, caplog):
    it = filming('  - {topic: /front, camera_id: a}\n  - {topic: /fornt, camera_id: b}\n')
    graph.node.create_publisher(Image, '/front', 1)
    it.until(lambda: it.state() is RuleState.NOTHING_PUBLISHED, 'known')
    for seconds in (11, 12):
        it.intake.poll(time.monotonic() + seconds)
    lonely = [text for text in caplog.messages if 'nobody has published' in text]
    assert lonely == ['video[1] /fornt: nobody has published here for 10 s; did you mean /front?']


def test_a_camera_quicker_than_its_rule_is_slowed_down_and_its_newest_picture_taken(
        filming, graph):
    it = filming('  - {topic: /c, camera_id: c, rate_hz: 2}\n')
    publisher = graph.node.create_publisher(Image, '/c', 1)
    message = image('mono8', *encoded_as(SCENE, 'mono8'))
    seen: list[tuple[float, int]] = []
    count = 0

    def four_came() -> bool:
        nonlocal count
        count += 1
        message.header.stamp.nanosec = count * 1_000_000
        publisher.publish(message)
        frame = it.frames.take(time.monotonic())
        if frame is not None:
            number = decode_binary(frame.message.payload).timestamp_ms - STAMP * 1000
            seen.append((time.monotonic(), count - number))
        return len(seen) == 4

    it.until(four_came, 'four pictures')
    assert seen[-1][0] - seen[1][0] > 2 * 0.5 * 0.9
    # Some ten are published for each that is taken: those between were left out, not queued.
    assert count > 16
    assert max(age for _, age in seen) <= 4, seen


def test_pictures_that_are_cut_short_now_and_then_are_told_once(filming, graph, caplog):
    it = filming('  - {topic: /camera, camera_id: front, rate_hz: 100}\n')
    publisher = graph.node.create_publisher(Image, '/camera', 1)
    data, step = encoded_as(SCENE, 'rgb8')
    good = image('rgb8', data, step)
    it.publish(publisher, good)
    it.until(lambda: it.state() is RuleState.OK, 'pictures flow')
    caplog.clear()
    states = set()
    for number in range(12):
        bad = image('rgb8', data[:1000 + number], step)
        used, unusable = (it.counters['video_frames_encoded'],
                          it.counters.dropped().get('video_unusable', 0))

        def both(used: int = used, unusable: int = unusable, bad: Image = bad) -> bool:
            it.frames.take_all()
            done = it.counters['video_frames_encoded'] > used
            publisher.publish(bad if done else good)
            return done and it.counters.dropped().get('video_unusable', 0) > unusable

        it.until(both, 'one that is whole, then one that is not')
        it.intake._next_discovery = 0.0
        it.intake.poll(time.monotonic())
        states.add(it.state())
    assert states == {RuleState.OK}
    assert len([record for record in caplog.records if 'front' in record.getMessage()]) == 1

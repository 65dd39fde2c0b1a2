# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Video frames on their way: the newest of each camera, each camera in its turn."""

from __future__ import annotations

from plexus_bridge.delivery.gauge import SMALLEST_FRAME_BYTES
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.protocol.messages import Binary


def frame(camera_id: str, number: int) -> VideoFrame:
    return VideoFrame(camera_id, Binary(bytes([number])), float(number))


def test_the_newest_frame_of_a_camera_replaces_the_older_one():
    frames = VideoFrames()
    assert frames.put(frame('front', 1)) is None
    assert frames.put(frame('front', 2)) == frame('front', 1)
    assert frames.take(0.0) == frame('front', 2)
    assert frames.take(0.0) is None


def test_a_quick_camera_neither_starves_another_nor_itself():
    frames = VideoFrames()
    taken = []
    for number in range(6):
        for camera_id in ('front', 'rear', 'front'):
            frames.put(frame(camera_id, number))
        taken.append(frames.take(0.0).camera_id)
    assert taken == ['front', 'rear'] * 3


def test_whoever_puts_wakes_and_whoever_sends_tells():
    frames = VideoFrames()
    wakes: list[None] = []
    sent: list[tuple[VideoFrame, float]] = []
    frames.wake = lambda: wakes.append(None)
    frames.on_sent = lambda frame, now: sent.append((frame, now))
    frames.put(frame('front', 1))
    frames.sent(frame('front', 1), 5.0)
    assert wakes == [None]
    assert sent == [(frame('front', 1), 5.0)]


def test_what_cannot_be_sent_is_counted_and_forgotten():
    frames = VideoFrames()
    frames.put(frame('front', 1))
    frames.put(frame('rear', 1))
    assert frames.clear() == 2
    assert frames.take(0.0) is None


def test_frames_heed_what_is_left_of_the_link_for_video():
    frames = VideoFrames()
    unbounded = frames.frame_bytes
    frames.bytes_per_s = 30_000
    assert frames.frame_bytes == 3_000
    frames.bytes_per_s = 0.0
    assert frames.frame_bytes == SMALLEST_FRAME_BYTES
    frames.bytes_per_s = 10e6
    assert frames.frame_bytes == unbounded


def test_frames_are_live_while_there_is_somebody():
    frames = VideoFrames()
    assert not frames.live
    frames.opened()
    assert frames.live
    frames.put(frame('front', 1))
    assert frames.waits('front')
    assert frames.clear() == 1
    assert not frames.live
    assert not frames.waits('front')

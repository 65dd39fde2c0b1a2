# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Telemetry and video together on a link of 1 Mbit/s; test/trials/narrow_link.py is the long version.

Bounds are wide: the test shares its machine. What they exclude is a queue that builds up.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import json
from pathlib import Path
import threading
import time
from typing import Any

import pytest
from scripted_gateway import ScriptedSocket
from throttle import Throttle
from websockets.exceptions import ConnectionClosed

from plexus_bridge.client.link import Link
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.delivery.video import VideoFrame
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.protocol.device import Hello
from plexus_bridge.protocol.messages import Binary

BYTES_PER_S = 125_000
SECONDS = 5.0
CAMERAS = ('front', 'rear')


class Arrived:
    """How late what came was, s."""

    def __init__(self) -> None:
        self.late: dict[str, list[float]] = {'metric': [], 'event': [], 'picture': []}
        self.sizes: list[int] = []

    def script(self, connection: Any) -> None:
        connection.recv()
        connection.send(json.dumps({'type': 'authenticated', 'acks': True}))
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = connection.recv()
                now = time.time()
                if isinstance(message, bytes):
                    self.sizes.append(len(message))
                    self.late['picture'].append(now - float(message[:20]))
                    continue
                body = json.loads(message)
                for point in body.get('points', ()):
                    self.late[point['class']].append(now - point['timestamp'] / 1000)
                if 'seq' in body:
                    connection.send(json.dumps({'type': 'telemetry_ack', 'seq': body['seq']}))


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Any]:
    arrived, counters, video = Arrived(), Counters(), VideoFrames()
    lanes = Lanes(counters)
    journal = Journal(tmp_path / 'robot.db', 1 << 30, counters)
    outbox = Outbox(lanes, journal, counters)
    with ScriptedSocket(arrived.script) as gateway:
        throttle = Throttle(int(gateway.url.rpartition(':')[2]), BYTES_PER_S)
        link = Link(f'http://127.0.0.1:{throttle.port}', Hello('k', 'r', 'test', '0'), outbox,
                    counters, user_agent='test', video=video)
        link.start()
        yield arrived, lanes, outbox, video
        link.stop()
        throttle.close()
    journal.close()


def film(video: VideoFrames, stop: threading.Event) -> None:
    """Offer a new picture of each camera as soon as the last one has left, as encoders do."""
    while not stop.wait(0.005):
        for camera in CAMERAS:
            if not video.waits(camera):
                head = f'{time.time():020.6f}'.encode()
                video.put(VideoFrame(
                    camera, Binary(head + bytes(max(0, video.frame_bytes - len(head)))),
                    time.monotonic()))


def test_pictures_keep_neither_metrics_nor_events_waiting(road, wait_until):
    arrived, lanes, outbox, video = road
    wait_until(lambda: video.live, 'connected')
    stop = threading.Event()
    filming = threading.Thread(target=film, args=(video, stop))
    filming.start()
    sent = {'metric': 0, 'event': 0}
    for index in range(int(SECONDS * 10)):
        stamp = time.time_ns() // 1_000_000
        for number in range(50):
            lanes.sinks['state'].add({'class': 'metric', 'metric': f'imu.value.{number}',
                                      'value': index + 0.125, 'timestamp': stamp})
        sent['metric'] += 50
        outbox.flush()
        time.sleep(0.037)
        lanes.sinks['urgent'].add({'class': 'event', 'metric': 'mode', 'value': 'AUTO',
                                   'timestamp': time.time_ns() // 1_000_000})
        sent['event'] += 1
        outbox.flush()
        time.sleep(0.063)
    stop.set()
    filming.join()
    wait_until(lambda: all(len(arrived.late[kind]) == count for kind, count in sent.items()),
               'all telemetry')
    late = {kind: sorted(values) for kind, values in arrived.late.items()}
    assert late['metric'][-1] < 1.0
    assert late['event'][int(len(late['event']) * 0.9)] < 0.2
    assert late['picture'][int(len(late['picture']) * 0.9)] < 0.5
    # What telemetry leaves of the link is used.
    assert sum(arrived.sizes) > BYTES_PER_S * SECONDS * 0.25

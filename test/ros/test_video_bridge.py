# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture on its whole road, from publisher to viewer; and none where nobody looks."""

from __future__ import annotations

import array
import base64
from collections.abc import Callable
import json
from pathlib import Path
from typing import Any

from gateway_client import free_port
from gateway_client import GatewayClient
from pictures import decode
from pictures import encoded_as
from pictures import psnr
from pictures import scene
import pytest
from sensor_msgs.msg import Image
from websockets.sync.client import connect

from plexus_msgs.msg import BridgeStatus
from plexus_msgs.msg import RuleStatus

SCENE = scene()
HEIGHT, WIDTH = SCENE.shape[:2]


@pytest.fixture
def gateway(start, tmp_path, ros_environment, wait_until) -> Any:
    port = free_port()
    client = GatewayClient(port, Path(ros_environment['PLEXUS_HOME']))
    start('plexus_bridge.gateway.serve', '--port', str(port))
    wait_until(client.is_up, 'the gateway answers')
    robot_map = tmp_path / 'robot.yaml'
    robot_map.write_text(
        f'version: 1\nsource_id: robot-1\ngateway: {{url: "{client.url}"}}\nvideo:\n'
        '  - {topic: /camera, camera_id: front, rate_hz: 50, preview_s: null}\n')
    start('plexus_bridge.nodes.bridge', '--ros-args', '-p', f'config_file:={robot_map}')
    return client


def frames_of(viewer: Any) -> Callable[[], dict[str, Any] | None]:
    """Return what gives a video frame of a stream if one has come."""
    def read() -> dict[str, Any] | None:
        try:
            message: dict[str, Any] = json.loads(viewer.recv(timeout=0.05))
        except TimeoutError:
            return None
        return message if message['type'] == 'video_frame' else None

    return read


def test_a_picture_reaches_a_viewer_and_none_is_made_for_nobody(gateway, graph):
    status = graph.collect(BridgeStatus, '/plexus_bridge/status')
    publisher = graph.node.create_publisher(Image, '/camera', 1)
    data, step = encoded_as(SCENE, 'rgb8')
    image = Image(height=HEIGHT, width=WIDTH, encoding='rgb8', step=step)
    image.data = array.array('B', data)

    def camera_is(state: int) -> Callable[[], bool]:
        def so() -> bool:
            image.header.stamp = graph.node.get_clock().now().to_msg()
            publisher.publish(image)
            return bool(status) and any(
                rule.section == RuleStatus.SECTION_VIDEO and rule.state == state
                for rule in status[-1].rules)

        return so

    graph.spin_until(camera_is(RuleStatus.STATE_PAUSED), 'nobody watches, so nothing is taken')
    stream = gateway.url.replace('http', 'ws') + (
        '/v1/sources/robot-1/video/stream?camera_id=front')
    with connect(stream, max_size=None) as viewer:
        viewer.send(json.dumps({'type': 'auth', 'api_key': gateway.key}))
        read = frames_of(viewer)
        shown: list[dict[str, Any]] = []

        def good_picture() -> bool:
            camera_is(RuleStatus.STATE_OK)()
            frame = read()
            if frame is not None:
                shown.append(frame)
            return frame is not None and frame['width'] == WIDTH

        graph.spin_until(good_picture, 'a picture of full size at the viewer')
        assert shown[-1]['camera_id'] == 'front'
        assert psnr(decode(base64.b64decode(shown[-1]['frame'])), SCENE) > 30
        graph.spin_until(camera_is(RuleStatus.STATE_OK), 'the status says so')
        assert 0 < status[-1].rules[0].points <= status[-1].rules[0].messages
    graph.spin_until(camera_is(RuleStatus.STATE_PAUSED), 'the viewer is gone, so nothing is taken')

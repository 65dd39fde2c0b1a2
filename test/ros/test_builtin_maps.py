# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Built-in maps fit the installed message types, and no type was forgotten."""

from __future__ import annotations

import math
from random import Random

import pytest
from random_messages import installed_types
from random_messages import random_message
from rclpy.serialization import serialize_message

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.builtin_maps import BUILTIN_MAPS
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.rules import Sampling
from plexus_bridge.mapping.sinks import PointSink
from plexus_bridge.mapping.topic import make_mapper
from plexus_bridge.points import read_point
from plexus_bridge.ros.layouts import message_layout

PACKAGES = ('diagnostic_msgs', 'geometry_msgs', 'nav_msgs', 'sensor_msgs', 'std_msgs')
# Pictures, clouds, parts of other messages, and what has nothing to measure.
WITHOUT_METRICS = {
    'diagnostic_msgs/msg/KeyValue', 'sensor_msgs/msg/CameraInfo',
    'sensor_msgs/msg/ChannelFloat32', 'sensor_msgs/msg/CompressedImage', 'sensor_msgs/msg/Image',
    'sensor_msgs/msg/JoyFeedback', 'sensor_msgs/msg/JoyFeedbackArray',
    'sensor_msgs/msg/LaserEcho', 'sensor_msgs/msg/MultiEchoLaserScan',
    'sensor_msgs/msg/PointField', 'sensor_msgs/msg/RegionOfInterest',
    'sensor_msgs/msg/TimeReference', 'std_msgs/msg/Empty', 'std_msgs/msg/Header',
    'std_msgs/msg/MultiArrayDimension', 'std_msgs/msg/MultiArrayLayout'}
INSTALLED = [name for name in installed_types() if name.split('/')[0] in PACKAGES]
# In later or earlier releases of ROS than the one that is installed.
ELSEWHERE = set(BUILTIN_MAPS) - set(INSTALLED)
NOW_MS = 1_790_000_000_000


def test_every_installed_type_has_a_map_or_a_reason():
    assert set(INSTALLED) - set(BUILTIN_MAPS) == WITHOUT_METRICS & set(INSTALLED)
    assert {name.split('/')[0] for name in BUILTIN_MAPS} == set(PACKAGES)


@pytest.mark.parametrize('type_name', sorted(set(INSTALLED) & set(BUILTIN_MAPS)))
def test_a_built_in_map_makes_points_that_every_gateway_takes(type_name):
    points: list[dict] = []
    counters = Counters()
    mapper = make_mapper(
        MetricRule(topic='/robot/topic', sampling=Sampling('every')), message_layout(type_name),
        '/robot/topic', {}, {'state': PointSink(points.append)}, counters)
    for seed in range(10):
        mapper.take(serialize_message(random_message(message_layout(type_name), Random(seed))),
                    NOW_MS)
    mapper.finish()
    assert points or counters.dropped() or counters['values_without_estimate']
    for point in points:
        checked = read_point(point, NOW_MS)
        assert checked.metric == 'robot.topic' or checked.metric.startswith('robot.topic.')
        assert checked.point_class == 'event' or math.isfinite(checked.value)
    # Two metrics of one message never share a name.
    names = {point['metric'] for point in points}
    assert all('..' not in name and not name.endswith('.') for name in names)

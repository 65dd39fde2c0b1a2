# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from sensor_msgs.msg import Imu

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.ros.layouts import message_class
from plexus_bridge.ros.layouts import message_layout


@pytest.mark.parametrize('name', ['sensor_msgs/msg/Imu', 'sensor_msgs/Imu'])
def test_a_type_is_found_by_its_long_and_its_short_name(name):
    assert message_class(name) is Imu


@pytest.mark.parametrize(('name', 'told'), [
    ('moon_msgs/msg/Rover', r'moon_msgs is not installed here .*ros-\$ROS_DISTRO-moon-msgs'),
    ('sensor_msgs/msg/Smell', 'package sensor_msgs has no msg Smell here; .* older or newer'),
    ('sensor_msgs/msg/_imu', 'package sensor_msgs has no msg _imu here'),
    ('Imu', 'expected a name such as "sensor_msgs/msg/Imu"'),
    ('a/msg/b/Imu', 'expected a name such as'),
    ('/msg/Imu', 'expected a name such as'),
    ('../msg/Imu', 'expected a name such as'),
    ('', 'expected a name such as'),
])
def test_what_is_no_type_here_is_told_with_its_name(name, told):
    with pytest.raises(MappingError, match=told) as caught:
        message_class(name)
    assert name in str(caught.value)


def test_a_layout_has_the_fields_in_the_order_of_the_message():
    layout = message_layout('geometry_msgs/msg/Vector3')
    assert layout.name == 'geometry_msgs/msg/Vector3'
    assert layout.fields == tuple((axis, PRIMITIVES['float64']) for axis in 'xyz')

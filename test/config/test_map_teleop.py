# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The section `teleop`: what is read out of it, and what does not fit together."""

from __future__ import annotations

import pytest

from plexus_bridge.config.map import load_map
from plexus_bridge.config.map_teleop import StopConfirm
from plexus_bridge.errors import ConfigError
from plexus_bridge.teleop.velocity import AxisLimit


@pytest.fixture
def load(tmp_path):
    def load_text(text: str):
        file = tmp_path / 'robot.yaml'
        file.write_text(f'version: 1\nteleop:\n{text}')
        return load_map(file, {}).teleop

    return load_text


def test_the_section_is_read_with_its_defaults(load):
    rule = load('  topic: /cmd_vel\n  limits: {linear.x: [-0.5, 1]}\n')
    assert (rule.topic, rule.stamped, rule.rate_hz, rule.stop_confirm) == (
        '/cmd_vel', False, 20.0, None)
    assert rule.settings.limits.axes == {'linear.x': AxisLimit(-0.5, 1)}
    assert (rule.settings.deadman_ms, rule.settings.max_age_ms) == (300, 500)
    assert rule.settings.stamps_required
    assert not rule.settings.stop_confirmed


def test_everything_can_be_said(load):
    rule = load('''
  topic: cmd_vel_plexus
  type: geometry_msgs/msg/TwistStamped
  frame_id: base_footprint
  limits: {linear.x: [-0.5, 1], angular.z: [-1.5, 1.5]}
  acceleration: {linear.x: 0.7}
  dead_zone: {angular.z: 0.05}
  rate_hz: 50
  deadman_ms: 250
  max_age_ms: 400
  latency_ms: {slow: 100, stop: 300}
  lease_s: 2
  stop_confirm: {topic: /odom, linear: 0.01}
  lock_topic: /locks/plexus
  emergency_stop_topic: /button
  require_stamps: false
''')
    assert rule.stamped
    assert rule.settings.limits.axes == {
        'linear.x': AxisLimit(-0.5, 1, 0.7), 'angular.z': AxisLimit(-1.5, 1.5, dead_zone=0.05)}
    assert rule.stop_confirm == StopConfirm('/odom', 0.01, 0.05)
    assert (rule.lock_topic, rule.emergency_stop_topic) == ('/locks/plexus', '/button')
    assert (rule.settings.latency_slow_ms, rule.settings.latency_stop_ms) == (100, 300)
    assert not rule.settings.stamps_required


@pytest.mark.parametrize(('text', 'told'), [
    ('  limits: {linear.x: [0.5, 1]}', 'with zero between them'),
    ('  limits: {linear.x: [1, -1]}', 'with zero between them'),
    ('  limits: {linear.x: [-1, 1]}\n  acceleration: {linear.y: 1}', 'linear.y: has no meaning'),
    ('  limits: {linear.x: [-1, 1]}\n  dead_zone: {angular.z: 1}', 'angular.z: has no meaning'),
    ('  limits: {linear.x: [-1, 1]}\n  latency_ms: {slow: 500, stop: 200}', 'slow to be less'),
    ('  limits: {liner.x: [-1, 1]}', 'liner.x'),
    ('  limits: {}', 'limits'),
])
def test_what_does_not_fit_is_told_with_its_place(load, text, told):
    with pytest.raises(ConfigError) as caught:
        load(f'  topic: /cmd_vel\n{text}\n')
    assert told in str(caught.value)
    assert '.yaml:' in str(caught.value)

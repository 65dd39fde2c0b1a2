# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Wildcards in topic names, and placeholders that take up what they captured."""

from __future__ import annotations

import pytest

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.template import fill
from plexus_bridge.mapping.template import name_part
from plexus_bridge.mapping.topic_pattern import TopicPattern


@pytest.mark.parametrize(('pattern', 'topic', 'captures'), [
    ('/robots/*/odom', '/robots/r1/odom', {'1': 'r1'}),
    ('/robots/*/odom', '/robots/a/b/odom', None),
    ('/robots/*/odom', '/robots//odom', None),
    ('/*/camera_*/image', '/r1/camera_left/image', {'1': 'r1', '2': 'left'}),
    ('/{robot}/odom', '/r1/odom', {'robot': 'r1'}),
    ('/{robot}/*/*', '/r1/a/b', {'robot': 'r1', '1': 'a', '2': 'b'}),
    ('/**/odom', '/a/b/odom', {'1': 'a/b'}),
    ('/**', '/a/b/odom', {'1': 'a/b/odom'}),
    ('/odom', '/odom', {}), ('/odom', '/odom2', None), ('/o.om', '/odom', None)])
def test_patterns_match_topics(pattern, topic, captures):
    assert TopicPattern(pattern).match(topic) == captures


@pytest.mark.parametrize(('text', 'message'), [
    ('/{a}/{a}', r'has \{a\} twice'), ('/***', 'at most 6 wildcards'),
    ('/a*b*c*d*e*f*g*h', 'at most 6 wildcards')])
def test_patterns_without_sense_are_refused(text, message):
    with pytest.raises(MappingError, match=message):
        TopicPattern(text)


def test_a_plain_name_is_no_wildcard():
    assert not TopicPattern('/imu/data').is_wildcard
    assert TopicPattern('/{a}/b').names == ('a',)


def test_placeholders_that_nobody_knows_stay():
    assert fill('{robot}.{1}.{x}', {'robot': 'r1', '1': 'front'}) == 'r1.front.{x}'


@pytest.mark.parametrize(('text', 'expected'), [
    ('left_wheel', 'left_wheel'), ('base: left motor', 'base_left_motor'), ('', '_'),
    ('/dev/ttyUSB0', 'dev_ttyUSB0'), ('  ', '_'), ('Überhitzung', 'berhitzung')])
def test_names_from_messages_fit_into_metric_names(text, expected):
    assert name_part(text) == expected

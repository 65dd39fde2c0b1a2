# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from plexus_bridge.fast_dds import profile_environment

CONFIG = Path(__file__).parents[1] / 'config'
NAMESPACE = '{http://www.eprosima.com}'


@pytest.mark.parametrize(('distribution', 'variable'), [
    ('humble', 'FASTRTPS_DEFAULT_PROFILES_FILE'), ('jazzy', 'FASTRTPS_DEFAULT_PROFILES_FILE'),
    ('kilted', 'FASTDDS_DEFAULT_PROFILES_FILE'), (None, 'FASTDDS_DEFAULT_PROFILES_FILE')])
def test_one_variable_is_set_and_none_where_the_user_set_one(distribution, variable):
    environment = {'ROS_DISTRO': distribution} if distribution else {}
    assert profile_environment(environment, Path('/a.xml')) == {variable: '/a.xml'}
    for chosen in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        assert profile_environment({**environment, chosen: '/my.xml'}, Path('/a.xml')) == {}


def test_both_profiles_announce_quickly_and_only_the_publishers_takes_memory():
    images, bridge = (ElementTree.parse(CONFIG / name).getroot()
                      for name in ('fastdds.xml', 'fastdds_bridge.xml'))
    discovery = [ElementTree.tostring(next(root.iter(f'{NAMESPACE}discovery_config')))
                 for root in (images, bridge)]
    assert b''.join(discovery[0].split()) == b''.join(discovery[1].split())
    assert [size.text for size in images.iter(f'{NAMESPACE}segment_size')] == [str(32 * 1024**2)]
    assert not list(bridge.iter(f'{NAMESPACE}transport_descriptor'))
    assert not list(bridge.iter(f'{NAMESPACE}userTransports'))

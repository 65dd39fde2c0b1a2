# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket

import pytest

from plexus_bridge.demo.demo import check_port_is_free
from plexus_bridge.demo.demo import demo_environment
from plexus_bridge.errors import DemoError
from plexus_bridge.fast_dds import PROFILE_VARIABLES


def test_what_the_user_set_stays() -> None:
    user = {'ROS_DOMAIN_ID': '7', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET',
            'FASTDDS_DEFAULT_PROFILES_FILE': '/my.xml', 'PYTHONUNBUFFERED': ''}
    assert demo_environment(user, 8787) == user


def test_without_settings_the_graph_stays_on_this_machine_in_a_domain_of_its_own() -> None:
    first, second = demo_environment({}, 8787), demo_environment({}, 8788)
    assert first['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert first['ROS_DOMAIN_ID'] != second['ROS_DOMAIN_ID']
    assert not set(PROFILE_VARIABLES.values()) & first.keys()  # each program has its own
    assert all(0 < int(demo_environment({}, port)['ROS_DOMAIN_ID']) < 102
               for port in range(1024, 65536, 7))


def test_humble_is_told_in_its_own_words() -> None:
    chosen = demo_environment({'ROS_DISTRO': 'humble'}, 8787)
    assert chosen['ROS_LOCALHOST_ONLY'] == '1'
    assert 'ROS_AUTOMATIC_DISCOVERY_RANGE' not in chosen
    assert 'ROS_LOCALHOST_ONLY' not in demo_environment(
        {'ROS_DISTRO': 'humble', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'}, 8787)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(DemoError, match=f'127.0.0.1:{port} cannot be used.*--port'):
            check_port_is_free(port)
    check_port_is_free(port)
    with pytest.raises(DemoError):
        check_port_is_free(70_000)

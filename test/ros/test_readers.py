# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Compiled readers against rclpy's own deserialisation, for every message type there is."""

from __future__ import annotations

from random import Random

import pytest
from random_messages import expected
from random_messages import installed_types
from random_messages import leaf_paths
from random_messages import plain
from random_messages import random_message
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.reader import compile_reader
from plexus_bridge.ros.layouts import message_class
from plexus_bridge.ros.layouts import message_layout

ROUNDS = 8


@pytest.mark.parametrize('type_name', installed_types())
def test_every_value_of_every_type_is_read_as_rclpy_reads_it(type_name):
    layout = message_layout(type_name)
    paths = list(leaf_paths(layout))
    read_all = compile_reader(layout, [parse_path(path) for path in paths])
    read_one = [compile_reader(layout, [parse_path(path)]) for path in paths]
    for seed in range(ROUNDS):
        data = serialize_message(random_message(layout, Random(seed)))
        message = deserialize_message(data, message_class(type_name))
        values = read_all(data)
        for path, value, read in zip(paths, values, read_one, strict=True):
            assert plain(value) == expected(message, path), f'{path}, seed {seed}'
            assert plain(read(data)[0]) == plain(value), f'{path} alone, seed {seed}'


@pytest.mark.parametrize('type_name', [
    'diagnostic_msgs/msg/DiagnosticArray', 'sensor_msgs/msg/JointState',
    'test_msgs/msg/UnboundedSequences', 'test_msgs/msg/WStrings', 'nav_msgs/msg/Odometry'])
def test_damaged_bytes_give_what_rclpy_reads_or_a_mapping_error(type_name):
    layout = message_layout(type_name)
    paths = list(leaf_paths(layout))
    read = compile_reader(layout, [parse_path(path) for path in paths])
    chance = Random(5)
    data = serialize_message(random_message(layout, chance))
    errors = 0
    for length in range(len(data)):
        try:
            read(data[:length])
        except MappingError:
            errors += 1
    assert errors > len(data) // 2, 'bytes are missing and nobody notices'
    agreed = 0
    for _ in range(2000):
        damaged = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        try:
            values = read(bytes(damaged))
        except MappingError:
            continue
        if damaged[:4] != data[:4]:
            continue  # rclpy does not look at these bytes
        try:
            message = deserialize_message(bytes(damaged), message_class(type_name))
        except Exception:
            continue  # rclpy finds fault with something that no path leads to
        for path, value in zip(paths, values, strict=True):
            assert plain(value) == expected(message, path), path
        agreed += 1
    assert agreed > 100, 'hardly any damage was survived by both: nothing was compared'

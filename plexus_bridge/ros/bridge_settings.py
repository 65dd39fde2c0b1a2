# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Which map, robot and gateway a bridge is for, and where its files lie; all checked at start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import hashlib
from pathlib import Path

from plexus_bridge.config.credentials import find_api_key
from plexus_bridge.config.credentials import find_gateway_url
from plexus_bridge.config.credentials import find_source_id
from plexus_bridge.config.credentials import refusal_hint
from plexus_bridge.config.credentials import state_folder
from plexus_bridge.config.map import load_map
from plexus_bridge.config.map import RobotMap
from plexus_bridge.errors import ConfigError
from plexus_bridge.errors import PointError
from plexus_bridge.points import check_source_id
from plexus_bridge.ros.known_types import check_known_types

LONGEST_NAME = 200


@dataclass(frozen=True)
class BridgeSettings:
    """What ROS parameters, the map and the state folder come to."""

    config_file: str
    robot_map: RobotMap
    folder: Path
    gateway_url: str
    source_id: str
    api_key: str
    # Why this gateway may refuse our key, if there is a likely reason.
    refusal_hint: str

    def file(self, folder: str) -> Path:
        """Return this robot's file in one of the state folders; ConfigError if there is none."""
        made = self.folder / folder
        try:
            made.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ConfigError(
                f'{made}: this folder cannot be made: {error.strerror}; set PLEXUS_HOME to a '
                'folder that may be written to') from None
        return made / f'{_file_name(self.source_id)}.db'


def read_bridge_settings(setting: Callable[[str], str]) -> BridgeSettings:
    """Return the settings; `setting` gives a ROS parameter's text. ConfigError tells all wrong."""
    config_file = setting('config_file')
    if not config_file:
        raise ConfigError(
            'no map was given: set the parameter config_file, for example '
            'ros2 launch plexus_bridge bridge.launch.py config_file:=/path/to/my_robot.yaml')
    robot_map = load_map(config_file)
    check_known_types(robot_map)
    folder = state_folder()
    gateway_url = find_gateway_url(setting('gateway_url') or robot_map.gateway_url or '', folder)
    source_id = setting('source_id') or robot_map.source_id or find_source_id(folder)
    try:
        check_source_id(source_id, refuse_uuid=True)
    except PointError as error:
        raise ConfigError(str(error)) from None
    api_key = find_api_key(gateway_url, folder)
    return BridgeSettings(config_file, robot_map, folder, gateway_url, source_id, api_key,
                          refusal_hint(gateway_url, folder, api_key))


def _file_name(source_id: str) -> str:
    """Return a name that leaves room for endings: file systems take 255 bytes at most."""
    if len(source_id) <= LONGEST_NAME:
        return source_id
    digest = hashlib.sha256(source_id.encode()).hexdigest()[:16]
    return f'{source_id[:LONGEST_NAME - 17]}-{digest}'

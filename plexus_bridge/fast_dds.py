# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Our settings of Fast DDS, given to a process by its environment; used by launch files, too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

# By the major version of Fast DDS. Only one is set: version 3 warns of the older name.
PROFILE_VARIABLES = {2: 'FASTRTPS_DEFAULT_PROFILES_FILE', 3: 'FASTDDS_DEFAULT_PROFILES_FILE'}
_WITH_FAST_DDS_2 = ('humble', 'iron', 'jazzy')


def profile_environment(environment: Mapping[str, str], profile: Path) -> dict[str, str]:
    """Return what to add to an environment for a profile; nothing where the user has set one."""
    if any(name in environment for name in PROFILE_VARIABLES.values()):
        return {}
    version = 2 if environment.get('ROS_DISTRO') in _WITH_FAST_DDS_2 else 3
    return {PROFILE_VARIABLES[version]: str(profile)}

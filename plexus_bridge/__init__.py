# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The ROS 2 side of the Plexus telemetry and operations platform.

`Plexus` and its exceptions are the Python API, for programs without ROS. They are loaded when
first asked for: the bridge and the tools have no use for them.
"""

from __future__ import annotations

import importlib
from typing import Any
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plexus_bridge.client.batch import BatchSender
    from plexus_bridge.client.handlers import CommandRun
    from plexus_bridge.client.mjpeg import read_mjpeg_frames
    from plexus_bridge.client.plexus import Plexus
    from plexus_bridge.client.retry import RetryConfig
    from plexus_bridge.errors import AuthenticationError
    from plexus_bridge.errors import CommandDeclarationError
    from plexus_bridge.errors import CommandParamError
    from plexus_bridge.errors import PlexusError
    from plexus_bridge.errors import RateLimitedError

__version__ = '0.1.0'

_WHERE = {
    'Plexus': 'client.plexus', 'BatchSender': 'client.batch', 'CommandRun': 'client.handlers',
    'PlexusError': 'errors', 'AuthenticationError': 'errors', 'RateLimitedError': 'errors',
    'CommandDeclarationError': 'errors', 'CommandParamError': 'errors',
    'RetryConfig': 'client.retry', 'read_mjpeg_frames': 'client.mjpeg',
}
__all__ = [
    'AuthenticationError', 'BatchSender', 'CommandDeclarationError', 'CommandParamError',
    'CommandRun', 'Plexus', 'PlexusError', 'RateLimitedError', 'RetryConfig', '__version__',
    'read_mjpeg_frames',
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_WHERE[name]}'), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})

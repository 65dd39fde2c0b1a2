# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Where files shipped beside the Python code lie: example maps, settings of Fast DDS."""

from __future__ import annotations

import os
from pathlib import Path
import sys

_PACKAGE = 'plexus_bridge'


def shared_file(name: str) -> Path:
    """
    Return the path of a shipped file such as ``config/demo.yaml``.

    It is looked for in the source tree that the code runs from, in the ROS prefixes and in the
    Python environment. Raises FileNotFoundError with the places looked at.
    """
    source = Path(__file__).resolve().parents[1]
    folders = [source] if (source / 'package.xml').exists() else []
    prefixes = [*os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep), sys.prefix]
    folders += [Path(prefix) / 'share' / _PACKAGE for prefix in prefixes if prefix]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(
        f'{name} of {_PACKAGE} is not installed; looked in {", ".join(map(str, folders))}')

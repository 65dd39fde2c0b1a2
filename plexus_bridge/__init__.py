# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side of the Plexus telemetry and operations platform."""

__version__ = '0.1.0'

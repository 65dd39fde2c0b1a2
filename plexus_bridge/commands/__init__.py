# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the dashboard asks a robot to do: declared, checked, run once, reported. No ROS."""

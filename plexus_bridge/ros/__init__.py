# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The only place that speaks to ROS 2: everything else works without it."""

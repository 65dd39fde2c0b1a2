# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""From a message's bytes to points: layouts, paths, compiled readers, rules. No ROS, no I/O."""

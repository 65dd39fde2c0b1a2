# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Help with writing maps: what a map makes of a recording, and a map to begin with. No ROS."""

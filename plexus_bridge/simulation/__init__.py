# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A small robot in a small room, without ROS: what a node publishes when there is no hardware."""

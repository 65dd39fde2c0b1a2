# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""From images to video frames that suit the link: encodings, JPEG, pacing. No ROS."""

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Driving by hand, as a safety function: who may drive, how fast, on orders how old, until when.

Nothing here knows ROS, a clock or a thread: time comes in as an argument (monotonic seconds).
"""

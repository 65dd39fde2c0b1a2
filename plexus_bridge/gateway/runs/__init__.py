# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Stretches of time with a name: runs with pass criteria, and the sessions of old agents."""

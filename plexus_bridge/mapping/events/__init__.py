# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What happened, out of messages: changes, faults and log lines, once each and in time."""

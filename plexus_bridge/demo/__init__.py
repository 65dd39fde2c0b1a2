# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the demo is made of: child processes, and what a gateway tells about the data it has."""

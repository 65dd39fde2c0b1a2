# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What people have devices do: declared commands, legacy commands, messages to agents."""

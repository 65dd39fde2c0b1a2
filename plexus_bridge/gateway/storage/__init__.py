# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The gateway's database: who writes it (one thread), who reads it, and what is thrown away."""

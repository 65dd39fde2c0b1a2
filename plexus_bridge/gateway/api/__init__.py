# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The data API's routes (protocol section 12)."""

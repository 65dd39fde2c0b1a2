# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The map file: its schema, its reading with file:line:column, and its typed objects."""

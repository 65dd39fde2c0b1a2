# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Who may do what: keys, device tokens and how a device gets one (protocol section 2)."""

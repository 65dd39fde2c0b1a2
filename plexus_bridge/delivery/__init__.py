# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""From points to frames that are kept until the gateway has them: lanes, journal, outbox."""

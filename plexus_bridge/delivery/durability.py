# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How much is entrusted to the disk."""

from __future__ import annotations

import enum


class Durability(enum.Enum):
    """
    What is written to disk: every frame, or what is not delivered soon.

    With ALWAYS a frame is written before it is sent; an event does not wait for that.
    """

    ALWAYS = 'always'
    OUTAGE = 'outage'

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Large blocks of memory kept for the next image, instead of being given back each time."""

from __future__ import annotations

import ctypes
import logging

log = logging.getLogger(__name__)

# malloc.h of glibc.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
# glibc takes no more; images of 1920x1080 have 6 MB.
LARGEST_BLOCK = 32 * 1024 * 1024
KEPT = 64 * 1024 * 1024


def keep_large_blocks() -> bool:
    """
    Have glibc keep the blocks that images are taken into; False where malloc is another one.

    By itself it maps each anew and gives it back, and the kernel fills it with zeros: that is
    half of what it costs to take an image of 1920x1080.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    kept = bool(mallopt(_M_MMAP_THRESHOLD, LARGEST_BLOCK)) and bool(
        mallopt(_M_TRIM_THRESHOLD, KEPT))
    if not kept:
        log.debug('malloc takes no advice; images cost a little more')
    return kept

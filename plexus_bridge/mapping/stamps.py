# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""When a value was measured: the header's stamp where it can be believed."""

from __future__ import annotations

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.layout import Message
from plexus_bridge.points import FIRST_MILLISECOND_STAMP
from plexus_bridge.points import LAST_MILLISECOND_STAMP

HEADER = 'std_msgs/msg/Header'
# How far a header stamp may lie in the future: clocks differ, but not by more than a day.
FURTHEST_STAMP_MS = 24 * 3600 * 1000


def has_header(message: Message) -> bool:
    """Tell whether messages of this type say when they were made."""
    header = message.field('header')
    return isinstance(header, Message) and header.name == HEADER


def message_stamp(stamp: tuple[int, int], received_ms: int, counters: Counters) -> int:
    """
    Return a header's (seconds, nanoseconds) as Unix ms.

    A stamp that was never set, counts from the start of the computer or a simulator, or lies
    beyond tomorrow is counted, and the time of receipt taken instead.
    """
    seconds, nanoseconds = stamp
    milliseconds = seconds * 1000 + nanoseconds // 1_000_000
    # A computer that woke up in 1970 cannot judge what is the future.
    latest = received_ms + FURTHEST_STAMP_MS if received_ms >= FIRST_MILLISECOND_STAMP \
        else LAST_MILLISECOND_STAMP
    if FIRST_MILLISECOND_STAMP <= milliseconds <= latest:
        return milliseconds
    counters.add('stamps_implausible')
    return received_ms

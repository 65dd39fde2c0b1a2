# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
How much a device may send, and how many devices there may be (protocol sections 6.11 and 19).

Messages are metered, not points. Devices on this machine are not, unless that is asked for.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
import ipaddress

MAX_METERED_SOURCES = 10_000


@dataclass(frozen=True)
class Limits:
    """
    Messages a second for each connection and for each source, and the number of devices.

    None is no limit. `apply_here` has them count for this machine's own devices, too.
    """

    messages_per_s: float | None = 2_000.0
    message_burst: int = 2_000
    source_messages_per_s: float | None = 2_000.0
    source_burst: int = 500
    max_devices: int | None = None
    apply_here: bool = False


@dataclass(frozen=True)
class Refusal:
    """Why a message's points are thrown away; `code` is that of section 6.6."""

    code: str
    detail: str


class Meter:
    """Lets so many messages a second through, and a burst of them at once; `now` is seconds."""

    def __init__(self, per_s: float, burst: float, now: float):
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Count one message; False if it is one too many."""
        self._left = min(self._burst, self._left + (now - self._filled_at) * self._per_s)
        self._filled_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Ceilings:
    """The limits of one gateway over all its connections."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self._meters: OrderedDict[str, Meter] = OrderedDict()
        self._known: set[str] = set()

    def know(self, source_ids: Iterable[str]) -> None:
        """Count sources that are there already among the devices."""
        self._known.update(source_ids)

    def connection_meter(self, peer: str | None, now: float) -> Meter | None:
        """Return the meter of a new connection, None if it is not metered."""
        per_s = self.limits.messages_per_s
        if per_s is None or not self._counts(peer):
            return None
        return Meter(per_s, self.limits.message_burst, now)

    def refusal(self, source_id: str, peer: str | None, now: float) -> Refusal | None:
        """Count a message of a source that came over a socket or HTTP; None if it is welcome."""
        most = self.limits.max_devices
        if most is not None and source_id not in self._known and len(self._known) >= most:
            return Refusal(
                'DEVICE_LIMIT', f'{most} devices are there already; this gateway takes no more')
        if most is not None:
            self._known.add(source_id)
        per_s = self.limits.source_messages_per_s
        if per_s is None or not self._counts(peer):
            return None
        meter = self._meters.get(source_id)
        if meter is None:
            meter = self._meters[source_id] = Meter(per_s, self.limits.source_burst, now)
            if len(self._meters) > MAX_METERED_SOURCES:
                self._meters.popitem(last=False)
        self._meters.move_to_end(source_id)
        if meter.take(now):
            return None
        return Refusal('SOURCE_LIMIT', f'{source_id} sends more than {per_s:g} messages/s')

    def _counts(self, peer: str | None) -> bool:
        if self.limits.apply_here:
            return True
        try:
            return peer is not None and not ipaddress.ip_address(peer).is_loopback
        except ValueError:  # a name, as of test clients
            return False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the limits."""
    defaults = Limits()
    parser.add_argument(
        '--max-devices', type=_whole, metavar='N',
        help='drop what further devices send (default: no limit)')
    parser.add_argument(
        '--max-messages', type=_whole, metavar='PER_S', default=defaults.messages_per_s,
        help='messages a second of a connection, and of a device over all its connections and '
             'HTTP; default: %(default)g, 0 for no limit')
    parser.add_argument(
        '--limit-local', action='store_true',
        help="have that count for this machine's own devices, too")


def limits_of(args: argparse.Namespace) -> Limits:
    """Return the limits that were chosen."""
    per_s = args.max_messages or None
    burst = Limits().source_burst if per_s is None else max(1, min(500, round(per_s)))
    return Limits(messages_per_s=per_s, message_burst=max(1, round(per_s or 1)),
                  source_messages_per_s=per_s, source_burst=burst,
                  max_devices=args.max_devices, apply_here=args.limit_local)


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f'saw {text!r}, expected a whole number')
    return int(text)

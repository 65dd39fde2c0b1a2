# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Lanes, journal, outbox and link without ROS, fed with numbered points.

As a program it runs until its input ends, then prints what became of the points, as JSON. Its
system clock can be stepped and its files kept small.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
import contextlib
import json
from pathlib import Path
import resource
import select
import sys
import time
from typing import Any

SOURCE = 'kiln-7'
FIRST_MS = 1_790_000_000_000


class LinkRobot:
    """A robot in this process; `made` points so far, each with a stamp of its own."""

    def __init__(self, url: str, key: str, folder: Path, *, max_bytes: int = 1 << 30,
                 durability: str = 'always', source: str = SOURCE, **link: Any):
        from plexus_bridge.client.link import Link
        from plexus_bridge.counters import Counters
        from plexus_bridge.delivery.durability import Durability
        from plexus_bridge.delivery.journal import Journal
        from plexus_bridge.delivery.lanes import Lanes
        from plexus_bridge.delivery.outbox import Outbox
        from plexus_bridge.protocol.device import Hello

        self.counters = Counters()
        self.lanes = Lanes(self.counters)
        self.journal = Journal(folder / 'robot.db', max_bytes, self.counters)
        self.outbox = Outbox(self.lanes, self.journal, self.counters, Durability(durability))
        self.link = Link(url, Hello(key, source, 'test', '0'), self.outbox, self.counters,
                         user_agent='test/0', **link)
        self.made = 0
        self.link.start()

    def make(self, count: int = 1, lane: str = 'state', text: str = '') -> None:
        """Make points and flush them."""
        for _ in range(count):
            self.made += 1
            point = {'class': 'metric', 'metric': 'm', 'value': self.made,
                     'timestamp': FIRST_MS + self.made}
            if text:
                point = {'class': 'event', 'metric': 'e', 'value': text,
                         'timestamp': FIRST_MS + self.made}
            self.lanes.sinks[lane].add(point)
        self.flush()

    def flush(self) -> None:
        """Flush; a disk that refuses is what some tests are about."""
        from plexus_bridge.errors import JournalError
        with contextlib.suppress(JournalError):
            self.outbox.flush()

    def until(self, condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
        """Flush on until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f'still not so: {what}; {self.link.status}, {self.outbox.pending()}, '
                f'{self.counters.totals()} {self.counters.dropped()}')
            self.flush()
            time.sleep(0.01)

    def close(self, drain_s: float = 2.0) -> None:
        """Stop as the bridge does."""
        from plexus_bridge.errors import JournalError
        self.flush()
        self.link.stop(drain_s)
        with contextlib.suppress(JournalError):
            self.outbox.flush(everything=True)
        self.journal.close()


def main() -> None:
    """Make points while standard input is open; a number there steps the clock by so many s."""
    parser = argparse.ArgumentParser()
    parser.add_argument('url')
    parser.add_argument('key')
    parser.add_argument('folder', type=Path)
    parser.add_argument('--source', default=SOURCE)
    parser.add_argument('--rate', type=int, default=500)
    parser.add_argument('--largest-file', type=int, default=0)
    parser.add_argument('--most-unwritten', type=int, default=0)
    parser.add_argument('--own-stamps', action='store_true')
    args = parser.parse_args()
    if args.largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (args.largest_file, args.largest_file))
    if args.most_unwritten:
        from plexus_bridge.delivery import outbox
        outbox.MAX_UNWRITTEN_BYTES = args.most_unwritten
    steps = [0.0]
    wall, wall_ns = time.time, time.time_ns
    time.time = lambda: wall() + steps[0]
    time.time_ns = lambda: wall_ns() + int(steps[0] * 1e9)
    robot = LinkRobot(args.url, args.key, args.folder, source=args.source)
    made, stamps = run(robot, args.rate, steps, own_stamps=args.own_stamps)
    robot.close()
    print(json.dumps({
        'made': made, 'kept': robot.outbox.pending()[0], 'dropped': robot.counters.dropped(),
        'totals': robot.counters.totals(), 'in_order': stamps == sorted(stamps),
        'twice': [stamp for stamp, count in Counter(stamps).items() if count > 1][:5],
        'span_ms': stamps[-1] - stamps[0] if stamps else 0}))


def run(robot: LinkRobot, rate: int, steps: list[float], *, own_stamps: bool
        ) -> tuple[int, list[int]]:
    """Make points until standard input ends; returns how many, and their stamps."""
    from plexus_bridge.client.gateway_clock import StampClock
    clock = StampClock()
    started, made = time.monotonic(), 0
    stamps: list[int] = []
    while True:
        if select.select([sys.stdin], [], [], 0.01)[0]:
            line = sys.stdin.readline()
            if not line:
                return made, stamps
            steps[0] += float(line)
        now, wall_ms = both_clocks()
        correction = clock.correction_ms(wall_ms, now, robot.link.status.clock)
        while made < (now - started) * rate:
            made += 1
            # A point each 1/rate s since the last look, as a driver would have stamped them.
            ago_ms = ((now - started) * rate - made) * 1000 / rate
            stamp = round(wall_ms + correction - ago_ms) if own_stamps \
                else FIRST_MS + made
            stamps.append(stamp)
            robot.lanes.sinks['state'].add(
                {'class': 'metric', 'metric': 'm', 'value': made, 'timestamp': stamp})
        robot.flush()


def both_clocks() -> tuple[float, float]:
    """Return the steady clock (s) and the system clock (ms) at the same moment."""
    while True:
        before, wall_ms, after = time.monotonic(), time.time() * 1000, time.monotonic()
        if after - before < 0.0002:
            return before, wall_ms


if __name__ == '__main__':
    main()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What `durability: always` costs a whole bridge, beside one with `durability: outage`.

Both bridges hear the same messages at the same time and deliver them to the same gateway, which is
there all the time: the one writes everything to disk before it sends it, the other nothing. What
differs is the journal alone. 833 messages of six values are 5,000 points a second. The order in
which the two start alternates from run to run; a process' own CPU is what counts (bridge_cpu.py).
What the journal costs apart from all else tells delivery.py.
"""

from __future__ import annotations

import argparse
from statistics import median

from bridge_cpu import DURABILITIES
from bridge_cpu import FIELDS
from bridge_cpu import run


def main() -> None:
    """Print a row for each run, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rate', type=int, default=833, help='messages per second')
    parser.add_argument('--topics', type=int, default=20)
    parser.add_argument('--seconds', type=float, default=10.0)
    parser.add_argument('--runs', type=int, default=4)
    parser.add_argument('--port', type=int, default=8896)
    args = parser.parse_args()
    order = list(DURABILITIES)
    added, differences = [], []
    print(f'{args.rate} messages/s, {args.rate * len(FIELDS)} points/s, {args.topics} topics')
    print(f'{"":4}{"always %":>10}{"outage %":>10}{"always adds":>13}{"arrived/s of each":>20}')
    for number in range(args.runs):
        measured = run(order, args.rate, args.topics, args.seconds, args.port)
        order.reverse()
        always, outage = measured['bridge'], measured['bridge_outage']
        added.append(always.busy / outage.busy - 1)
        differences.append(always.busy - outage.busy)
        print(f'{number + 1:4}{100 * always.busy:10.2f}{100 * outage.busy:10.2f}{added[-1]:+13.1%}'
              f'{always.arrived:20.0f}', flush=True)
    print(f'always adds {median(added):+.1%} to the CPU of the whole bridge, '
          f'{100 * median(differences):.2f} % of a core (medians of {args.runs} runs)')


if __name__ == '__main__':
    main()

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Kill the bridge 50 times and the gateway 50 times under 500 points per second (``make trials``),
and the bridge 10 times while there is no gateway.

Prints what was published, stored, sent again and lost by reason; exits with 1 if a point is
missing that was flushed. See test/support/kill_trial.py; test/ros/test_kills.py is the short one.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import sys
import tempfile

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / 'test' / 'support'), str(ROOT)]


def main() -> int:
    """Run the trial that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=50)
    parser.add_argument('--rate', type=int, default=500, help='points per second')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--durability', choices=['always', 'outage'], default='always')
    parser.add_argument('--domain', type=int, default=59, help='ROS domain')
    args = parser.parse_args()
    os.environ.update(ROS_DOMAIN_ID=str(args.domain), ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')
    from kill_trial import KillTrial
    from kill_trial import own_node

    with tempfile.TemporaryDirectory() as name:
        environment = {**os.environ, 'HOME': name, 'PLEXUS_HOME': f'{name}/plexus',
                       'ROS_LOG_DIR': f'{name}/ros', 'PYTHONUNBUFFERED': '1'}
        node, executor, context = own_node()
        trial = KillTrial(Path(name), environment, node, executor, rate=args.rate,
                          seed=args.seed, durability=args.durability)
        try:
            tallies = {'bridge killed': trial.kill_bridge(args.rounds),
                       'bridge killed in an outage': trial.kill_bridge_in_outage(
                           max(1, args.rounds // 5)),
                       'gateway killed': trial.kill_gateway(args.rounds)}
        finally:
            trial.close()
            executor.shutdown()
            node.destroy_node()
            context.shutdown()
    for what, tally in tallies.items():
        print(f'{what}: {tally}', flush=True)
    return int(any(tally.missing for tally in tallies.values()))


if __name__ == '__main__':
    sys.exit(main())

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Kill a program of the Python API, or its gateway, at random moments, and look for what is missing.

The program sends 500 readings a second, one by one, and says which it has sent; each round ends it
or the gateway by SIGKILL. Of every round all readings but those of the last `flush` (0.1 s, and
what the machine takes to write them) have to be stored, once. Prints the numbers; exit 1 if not.

    python test/trials/python_kill_rounds.py [--rounds 50]
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'test' / 'support'))

from local_gateway import LocalGateway  # noqa: E402
from local_gateway import SECONDS  # noqa: E402

FIRST_STAMP_MS = 1_790_000_000_000
RATE_HZ = 500
# What may be missing at the end of a killed program's life: one flush, and a slow machine's pause.
LAST_FLUSH_S = 0.1
PROGRAM = f'''
import sys, time
from plexus_bridge import Plexus
px = Plexus(source_id='trial')
value = int(sys.argv[1])
due = time.monotonic()
while True:
    px.send('m', value, timestamp={FIRST_STAMP_MS} + value)
    sys.stdout.write(f'{{value}} {{time.monotonic()}}\\n')
    sys.stdout.flush()
    value += 1
    due += {1 / RATE_HZ}
    time.sleep(max(0.0, due - time.monotonic()))
'''


class Trial:
    """The gateway's and the program's processes, and what the program said it has sent."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._port = 0
        self.sent: list[tuple[int, float]] = []
        self.gateway: subprocess.Popen[bytes]
        self.program: subprocess.Popen[str]
        self._reader: threading.Thread
        self.start_gateway()

    def start_gateway(self) -> None:
        log = self._folder / 'log'
        with log.open('wb') as output:
            self.gateway = subprocess.Popen(
                [sys.executable, '-m', 'plexus_bridge.gateway.serve', '--port', str(self._port),
                 '--data', str(self._folder / 'data')], stdout=output, stderr=subprocess.STDOUT,
                env=self._environment(self._folder / 'gateway'))
        deadline = time.monotonic() + SECONDS
        while 'Ctrl+C' not in log.read_text():
            if time.monotonic() > deadline or self.gateway.poll() is not None:
                sys.exit(log.read_text())
            time.sleep(0.01)
        self._port = int(log.read_text().split('http://127.0.0.1:')[1].split()[0].rstrip('/.,'))

    @property
    def store(self) -> LocalGateway:
        return LocalGateway(f'http://127.0.0.1:{self._port}',
                            (self._folder / 'data' / 'key').read_text().strip())

    def _environment(self, home: Path) -> dict[str, str]:
        return {**os.environ, 'PLEXUS_HOME': str(home), 'PYTHONPATH': str(ROOT),
                'PYTHONUNBUFFERED': '1', 'PLEXUS_QUIET': '1'}

    def start_program(self) -> None:
        first = self.sent[-1][0] + 1 if self.sent else 0
        self.program = subprocess.Popen(
            [sys.executable, '-c', PROGRAM, str(first)], stdout=subprocess.PIPE, text=True,
            env={**self._environment(self._folder / 'program'),
                 **self.store.environment(self._folder / 'home')})
        self._reader = threading.Thread(target=self._read, args=(self.program.stdout,))
        self._reader.start()

    def _read(self, lines: Any) -> None:
        for line in lines:
            value, _, moment = line.partition(' ')
            if line.endswith('\n'):
                self.sent.append((int(value), float(moment)))

    def kill_program(self) -> list[int]:
        """Kill it; returns the values that it may not have written down yet."""
        self.program.kill()
        self.program.wait()
        self._reader.join()
        assert self.program.stdout is not None
        self.program.stdout.close()
        end = self.sent[-1][1] if self.sent else 0.0
        return [value for value, moment in self.sent if moment > end - LAST_FLUSH_S]

    def stop(self) -> None:
        for process in (self.program, self.gateway):
            process.kill()
            process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument('--rounds', type=int, default=50)
    parser.add_argument('--seed', type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(f'seed {arguments.seed}', flush=True)
    excused: set[int] = set()
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name))
        trial.start_program()
        for number in range(arguments.rounds):
            time.sleep(chance.uniform(0.3, 1.5))
            if number % 2:
                trial.gateway.send_signal(signal.SIGKILL)
                trial.gateway.wait()
                time.sleep(chance.uniform(0.0, 0.5))
                trial.start_gateway()
            else:
                excused.update(trial.kill_program())
                trial.start_program()
        time.sleep(1.0)
        excused.update(trial.kill_program())
        result = report(trial, excused)
        trial.stop()
    return result


def report(trial: Trial, excused: set[int]) -> int:
    """Have the rest delivered, compare, and print the numbers; 1 if something is missing."""
    sent = [value for value, _ in trial.sent]
    subprocess.run([sys.executable, '-c', (
        "from plexus_bridge import Plexus\n"
        "px = Plexus(source_id='trial', timeout=60)\npx.flush_buffer()\npx.close()")],
        check=True, env={**os.environ, **trial.store.environment(trial._folder / 'home')})
    stored: list[float] = []
    while True:
        start = FIRST_STAMP_MS + (int(stored[-1]) + 1 if stored else 0)
        columns = trial.store.get(
            '/v1/sources/trial/metrics/query', metrics='m', interval='raw', start=start,
            end=9 * 10**15)['series'].get('m')
        if not columns:
            break
        stored += columns['value']
        if len(columns['value']) < 10_000:
            break
    missing = set(sent) - set(stored)
    unexcused = sorted(missing - excused)
    twice = len(stored) - len(set(stored))
    print(f'sent {len(sent)}, stored {len(set(stored))}, twice {twice}, missing {len(missing)} of '
          f'the {len(excused)} readings of the last {LAST_FLUSH_S} s before a kill, '
          f'missing otherwise {len(unexcused)} {unexcused[:10]}')
    return 1 if unexcused or twice else 0


if __name__ == '__main__':
    sys.exit(main())

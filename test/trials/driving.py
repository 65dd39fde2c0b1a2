# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Driving the simulated robot by hand, at length: latency, every way to stop, a bad network.

    make trials                          all of it, 8 minutes
    python test/trials/driving.py stops  one part: latency, stops or network

Needs ROS 2. Exits with 1 if an order came out late or outside of its limits, or a robot went on.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'test' / 'support'))

from driving import BadNetwork  # noqa: E402
from driving import drive_until_fast  # noqa: E402
from driving import latencies  # noqa: E402
from driving import measure_stop  # noqa: E402
from driving import Operator  # noqa: E402
from driving import Recorder  # noqa: E402
from driving import Stop  # noqa: E402
from driving import teleop_map  # noqa: E402
from gateway_client import free_port  # noqa: E402
from gateway_client import GatewayClient  # noqa: E402
from scripted_gateway import ScriptedSocket  # noqa: E402

ORDERS = 10_000
ROUNDS = 5
SPEED = 0.8


class Processes:
    """Everything that runs beside this program; ended with it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._all: list[subprocess.Popen[bytes]] = []

    def start(self, module: str, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f'{len(self._all)}-{module}.log').open('wb')
        with log:
            process = subprocess.Popen(
                [sys.executable, '-m', module, *arguments], cwd=self.folder, stdout=log,
                stderr=subprocess.STDOUT, env={**os.environ, **environment})
        self._all.append(process)
        return process

    def close(self) -> None:
        for process in reversed(self._all):
            if process.poll() is None:
                process.terminate()
        for process in self._all:
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f'after {seconds:.0f} s still not so: {what}')
        time.sleep(0.01)


class Rig:
    """Gateway, bridge and robot; what was ended is started again when it is needed."""

    def __init__(self, processes: Processes, **teleop: Any):
        self._processes = processes
        self.port = free_port()
        self.gateway = GatewayClient(self.port, Path(os.environ['PLEXUS_HOME']))
        self._map = processes.folder / f'{self.port}.yaml'
        self._map.write_text(teleop_map(self.gateway.url, **teleop))
        self.gateway_process: subprocess.Popen[bytes] | None = None
        self.bridge: subprocess.Popen[bytes] | None = None

    def operator(self) -> Operator:
        if self.gateway_process is None or self.gateway_process.poll() is not None:
            self.gateway_process = self._processes.start(
                'plexus_bridge.gateway.serve', '--port', str(self.port))
            until(self.gateway.is_up, 'the gateway answers')
        if self.bridge is None or self.bridge.poll() is not None:
            self.bridge = self._processes.start('plexus_bridge.cli', 'run', str(self._map))
        operator = Operator(self.gateway.url, self.gateway.key)
        operator.take_lease(30.0)
        return operator


def measure_latency(processes: Processes, recorder: Recorder) -> bool:
    operator = Rig(processes, acceleration=None).operator()
    drive_until_fast(recorder, operator, 0.3)  # all have found each other
    found = sorted(latencies(recorder, operator, 1000))
    operator.close()
    print(f'from the order at the gateway to /cmd_vel, 1,000 orders at 20 Hz: '
          f'median {found[500]:.1f} ms, p99 {found[990]:.1f} ms (aim: 20 on a machine that does '
          f'nothing else), longest {found[-1]:.1f} ms; load {os.getloadavg()[0]:.1f}')
    return found[500] < 20.0


def measure_stops(processes: Processes, recorder: Recorder) -> bool:
    rig = Rig(processes)
    ways: dict[str, Callable[[Operator], Callable[[], object]]] = {
        'operator silent': lambda operator: lambda: None,
        "operator's socket cut": lambda operator: operator.cut,
        'gateway killed (-9)': lambda operator: (
            lambda: rig.gateway_process and rig.gateway_process.kill()),
        'bridge told to end': lambda operator: (
            lambda: rig.bridge and rig.bridge.send_signal(signal.SIGTERM)),
        'bridge killed (-9)': lambda operator: (lambda: rig.bridge and rig.bridge.kill())}
    print(f'from {SPEED} m/s, a base that brakes at 1 m/s² (0.8 s, 0.32 m by itself), '
          f'{ROUNDS} rounds, the worst of them:')
    direction = -1
    for name, way in ways.items():
        worst = Stop(0.0, 0.0, 0.0, 0.0)
        for _ in range(ROUNDS):
            operator = rig.operator()
            # To and fro: the room has walls.
            direction = -direction
            drive_until_fast(recorder, operator, direction * SPEED)
            stop = measure_stop(recorder, way(operator))
            operator.close()
            if name.startswith('bridge') and rig.bridge is not None:
                rig.bridge.wait(10.0)
            worst = max(worst, stop, key=lambda one: one.standstill_s)
            time.sleep(0.5)
        zero = 'never' if worst.zero_s is None else f'{worst.zero_s * 1000:4.0f} ms'
        print(f'  {name:22} zero on /cmd_vel after {zero}, standstill after '
              f'{worst.standstill_s:.2f} s and {worst.distance_m:.2f} m')
    return True


def try_bad_network(processes: Processes, recorder: Recorder) -> bool:
    network = BadNetwork(ORDERS, 80.0, seed=1, stalls=True)
    with ScriptedSocket(network.script) as gateway:
        file = processes.folder / 'bad_network.yaml'
        file.write_text(teleop_map(
            gateway.url, acceleration=None, latency='{slow: 500, stop: 501}'))
        bridge = processes.start(
            'plexus_bridge.cli', 'run', str(file), PLEXUS_API_KEY='plx_trial')
        until(network.done.is_set, 'all orders are through', ORDERS / 80 + 60)
        time.sleep(1.5)
        at_rest = recorder.speed == 0.0
        bridge.terminate()
        bridge.wait(10.0)
    problems = network.problems(recorder)
    print(f'{ORDERS:,} orders at 80 Hz through a network that delays (up to 3 s), drops (10 %), '
          f'reorders, doubles (10 %) and stalls: {network.arrived:,} arrived, '
          f'{network.followed:,} were followed; refused: {dict(sorted(network.refused.items()))}')
    print(f'  late or outside of limits: {len(problems)}; at rest in the end: {at_rest}')
    print('\n'.join(problems[:10]))
    return not problems and at_rest


PARTS = {'latency': measure_latency, 'stops': measure_stops, 'network': try_bad_network}


@contextmanager
def robot() -> Iterator[Processes]:
    """A simulated robot in a ROS domain and with a home of this trial's own."""
    with tempfile.TemporaryDirectory(prefix='plexus-trial-') as name:
        os.environ.update({
            'HOME': name, 'PLEXUS_HOME': f'{name}/.plexus', 'ROS_LOG_DIR': f'{name}/log',
            'ROS_DOMAIN_ID': os.environ.get('ROS_DOMAIN_ID', '97'),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
            'PYTHONPATH': os.pathsep.join(
                filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))})
        processes = Processes(Path(name))
        try:
            processes.start('plexus_bridge.nodes.simulated_robot', '--ros-args',
                            '-p', 'patrol:=false', '-p', 'camera_rate_hz:=0.0')
            yield processes
        finally:
            processes.close()


def main() -> int:
    """Run the parts that are named, all of them by default."""
    wrong = []
    for name in sys.argv[1:] or list(PARTS):
        with robot() as processes, Recorder() as recorder:
            until(lambda recorder=recorder: recorder.seen, 'the robot is there')
            if not PARTS[name](processes, recorder):
                wrong.append(name)
    print(f'not as it should be: {", ".join(wrong)}' if wrong else 'all as it should be')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())

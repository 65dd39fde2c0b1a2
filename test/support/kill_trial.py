# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Kill the bridge or the gateway again and again under load, and count what became of every point.

All processes are real: publisher (this one), bridge, gateway. Every message has its own stamp,
so the gateway has each at most once, and which it has can be told one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import threading
import time

from gateway_client import free_port
from gateway_client import GatewayClient
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Temperature

from plexus_msgs.msg import BridgeStatus

ROOT = Path(__file__).parents[2]
FIRST_MS = 1_790_000_000_000
FLUSH_MS = 100
# What is received is handed on after FLUSH_MS at most, and then written.
MARGIN_S = 0.06
# What `durability: outage` leaves in memory while the gateway is away (OUTAGE_AFTER_S).
OUTAGE_S = 1.0
_BATCH_S = 0.01
# Deeper, and Fast DDS takes ten seconds to let a new reader in after one that was killed.
_DEPTH = 500
MAP = '''version: 1
source_id: robot-1
gateway: {{url: "{url}"}}
delivery: {{flush_ms: {flush_ms}, own_metrics: false, durability: {durability}}}
metrics:
  - topic: /t
    sampling: {{mode: every}}
    fields: [{{path: temperature, metric: t}}]
'''


@dataclass
class Tally:
    """
    What became of the points of a trial.

    `resent` has, where the bridge is killed, also the samples by which we learn that it hears us.
    """

    rounds: int = 0
    published: int = 0
    unflushed: int = 0
    stored: int = 0
    resent: int = 0
    missing: list[int] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        lost = ', '.join(f'{reason} {count}' for reason, count in self.lost.items()) or 'none'
        return (f'{self.rounds} rounds in {self.seconds:.0f} s: published {self.published}, '
                f'stored {self.stored}, resent {self.resent}, not yet flushed when killed and '
                f'gone {self.unflushed}, lost by reason: {lost}, missing without a reason: '
                f'{len(self.missing)}')


class Publisher:
    """Publishes numbered temperatures from a thread, and notes when each left."""

    def __init__(self, node: Node, rate: int):
        self._publisher = node.create_publisher(Temperature, '/t', QoSProfile(depth=_DEPTH))
        self._rate = rate
        self._running = threading.Event()
        self._ended = False
        self._idle = threading.Event()
        self._idle.set()
        self.left_at: list[float] = [0.0]
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def publish(self, number: int) -> None:
        """Publish one; number 0 is for finding out whether anybody hears us."""
        message = Temperature(temperature=float(number))
        stamp = FIRST_MS + number
        message.header.stamp.sec = stamp // 1000
        message.header.stamp.nanosec = stamp % 1000 * 1_000_000
        self._publisher.publish(message)

    def run(self) -> None:
        """Go on publishing."""
        self._idle.clear()
        self._running.set()

    def pause(self) -> None:
        """Stop publishing for now."""
        self._running.clear()
        self._idle.wait()

    def close(self) -> None:
        """End the thread."""
        self._ended = True
        self._running.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            if not self._running.is_set():
                self._idle.set()
            self._running.wait()
            if self._ended:
                return
            self._idle.clear()
            started, sent = time.monotonic(), 0
            while self._running.is_set() and not self._ended:
                while sent < (time.monotonic() - started) * self._rate:
                    self.publish(len(self.left_at))
                    self.left_at.append(time.monotonic())
                    sent += 1
                time.sleep(_BATCH_S)


class KillTrial:
    """A publisher, a bridge and a gateway of their own; `environment` keeps them to themselves."""

    def __init__(self, folder: Path, environment: dict[str, str], node: Node,
                 executor: SingleThreadedExecutor, *, rate: int = 500, seed: int = 0,
                 durability: str = 'always'):
        self._folder = folder
        self._environment = environment
        self._executor = executor
        self._chance = random.Random(seed)
        self._durability = durability
        port = free_port()
        self.gateway = GatewayClient(port, Path(environment['PLEXUS_HOME']))
        self._port = port
        self._map = folder / 'robot.yaml'
        self._map.write_text(MAP.format(
            url=self.gateway.url, flush_ms=FLUSH_MS, durability=durability))
        self._status: list[BridgeStatus] = []
        node.create_subscription(
            BridgeStatus, '/plexus_bridge/status', self._status.append, 10)
        self._publisher = Publisher(node, rate)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._server = self._start_gateway()
        self._bridge = self._start_bridge()
        self._lost: dict[str, int] = {}

    # -- the two kinds of rounds

    def kill_bridge(self, rounds: int) -> Tally:
        """Kill the bridge at random moments; publish only while one listens."""
        started, first = time.monotonic(), len(self._publisher.left_at)
        received_before = self._received()
        required = self._kill_bridge(rounds, FLUSH_MS / 1000)
        tally = self._finish(rounds, first, required, started)
        tally.resent = self._received() - received_before - tally.stored
        return tally

    def kill_bridge_in_outage(self, rounds: int) -> Tally:
        """Kill the bridge at random moments while there is no gateway."""
        started, first = time.monotonic(), len(self._publisher.left_at)
        self._kill(self._server)
        unsafe_s = FLUSH_MS / 1000 + (OUTAGE_S if self._durability == 'outage' else 0.0)
        required = self._kill_bridge(rounds, unsafe_s)
        self._server = self._start_gateway()
        return self._finish(rounds, first, required, started)

    def _kill_bridge(self, rounds: int, unsafe_s: float) -> list[int]:
        """Return the numbers that left so long before a kill that they had to be safe."""
        required: list[int] = []
        for _ in range(rounds):
            begun = len(self._publisher.left_at)
            self._publisher.run()
            self._spin(unsafe_s + self._chance.uniform(0.2, 1.4))
            killed_at = time.monotonic()
            self._kill(self._bridge)
            self._publisher.pause()
            safe = killed_at - unsafe_s - MARGIN_S
            required += [number for number in range(begun, len(self._publisher.left_at))
                         if self._publisher.left_at[number] <= safe]
            self._note_losses()
            self._bridge = self._start_bridge()
        return required

    def kill_gateway(self, rounds: int) -> Tally:
        """Kill the gateway at random moments while publishing goes on."""
        started, first = time.monotonic(), len(self._publisher.left_at)
        sent_before = self._sent()
        self._publisher.run()
        for _ in range(rounds):
            self._spin(self._chance.uniform(0.3, 1.5))
            self._kill(self._server)
            self._spin(self._chance.uniform(0.0, 0.5))
            self._server = self._start_gateway()
        self._publisher.pause()
        numbers = list(range(first, len(self._publisher.left_at)))
        tally = self._finish(rounds, first, numbers, started)
        self._until(lambda: self._sent() - sent_before >= tally.stored, 'counted as sent')
        tally.resent = self._sent() - sent_before - tally.stored
        return tally

    def close(self) -> None:
        """End all processes."""
        self._publisher.close()
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            process.wait(20)

    # -- counting

    def _finish(self, rounds: int, first: int, required: list[int], started: float) -> Tally:
        end = len(self._publisher.left_at)
        wanted = set(required)
        self._until(lambda: wanted <= self._stored(first, end), 'everything is stored', 60.0,
                    fail=False)
        self._until(lambda: self._status and not self._status[-1].journal_bytes,
                    'the journal is empty', 30.0, fail=False)
        stored = self._stored(first, end)
        self._note_losses()
        return Tally(
            rounds=rounds, published=end - first, stored=len(stored),
            unflushed=end - first - len(stored | wanted), missing=sorted(wanted - stored),
            lost=dict(self._lost), seconds=time.monotonic() - started)

    def _stored(self, first: int, end: int) -> set[int]:
        if not self.gateway.knows('robot-1'):
            return set()
        samples = self.gateway.series('robot-1', 't', FIRST_MS + first, FIRST_MS + end, 5000)
        numbers = [int(value) for _, value in samples]
        assert len(numbers) == len(set(numbers)), 'the gateway has some twice'
        assert all(stamp - FIRST_MS == number
                   for (stamp, _), number in zip(samples, numbers, strict=True))
        return set(numbers)

    def _received(self) -> int:
        """Return how many points the gateway has been sent, over any road."""
        counters = self.gateway.get('/v1/gateway')['counters']
        received: int = counters.get('socket_points', 0) + counters.get('http_points', 0)
        return received

    def _sent(self) -> int:
        self._executor.spin_once(timeout_sec=0.1)
        return sum(lane.points_sent for lane in self._status[-1].lanes) if self._status else 0

    def _note_losses(self) -> None:
        if self._status:
            for lane in self._status[-1].lanes:
                for dropped in lane.dropped:
                    self._lost[dropped.reason] = self._lost.get(dropped.reason, 0) + dropped.count

    # -- processes

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f'{module}.log').open('ab') as log:
            process = subprocess.Popen(
                [sys.executable, '-m', module, *arguments], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self._folder,
                env={**self._environment, 'PYTHONPATH': os.pathsep.join(
                    filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))})
        self._processes.append(process)
        return process

    def _start_gateway(self) -> subprocess.Popen[bytes]:
        process = self._start('plexus_bridge.gateway.serve', '--port', str(self._port))
        self._until(self.gateway.is_up, 'the gateway answers')
        return process

    def _start_bridge(self) -> subprocess.Popen[bytes]:
        process = self._start('plexus_bridge.nodes.bridge', '--ros-args', '-p',
                              f'config_file:={self._map}')
        self._status.clear()

        def heard() -> bool:
            self._publisher.publish(0)
            self._status[:-1] = []
            return bool(self._status) and any(rule.messages for rule in self._status[-1].rules)

        self._until(heard, 'a bridge hears us', 30.0)
        return process

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def _until(self, condition: Callable[[], object], what: str, seconds: float = 20.0, *,
               fail: bool = True) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                if fail:
                    logs = [log.read_text(errors='replace')[-1500:]
                            for log in self._folder.glob('*.log')]
                    raise AssertionError(f'after {seconds} s still not so: {what}; {logs}')
                return
            self._executor.spin_once(timeout_sec=0.05)


def own_node() -> tuple[Node, SingleThreadedExecutor, rclpy.Context]:
    """Return a node of this process, its executor and context; for programs."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node('trial', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    return node, executor, context

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Drives the simulated robot by hand and writes down what it is told and what it does."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from dataclasses import dataclass
import heapq
import json
import random
import socket
import struct
import threading
import time
from typing import Any

from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
import websocket
from websockets.exceptions import ConnectionClosed

SOURCE = 'robot-1'
MAX_AGE_MS = 500.0
DEADMAN_MS = 300.0
FASTEST = 1.0


def teleop_map(url: str, *, acceleration: float | None = 1.0,
               latency: str = '{slow: 200, stop: 500}') -> str:
    """Return a map with driving by hand; without acceleration each order is on the topic."""
    limit = f'acceleration: {{linear.x: {acceleration}}}' if acceleration else ''
    return f'''version: 1
source_id: {SOURCE}
gateway: {{url: "{url}"}}
metrics:
  - {{topic: /odom, fields: [{{path: twist.twist.linear.x, metric: speed}}]}}
teleop:
  topic: /cmd_vel
  limits: {{linear.x: [-{FASTEST}, {FASTEST}], angular.z: [-1.5, 1.5]}}
  {limit}
  deadman_ms: {DEADMAN_MS:.0f}
  max_age_ms: {MAX_AGE_MS:.0f}
  latency_ms: {latency}
'''


@dataclass(frozen=True)
class Heard:
    """A velocity on /cmd_vel (m/s, rad/s) and when it came (monotonic seconds)."""

    at: float
    linear: float
    angular: float


@dataclass(frozen=True)
class Seen:
    """Where the robot was (m along its way) and how fast (m/s), by its odometry."""

    at: float
    x: float
    y: float
    speed: float


class Recorder:
    """Listens on a thread of its own, in the ROS domain of this process's environment."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.seen: list[Seen] = []
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = Node('recorder', context=self._context)
        self._node.create_subscription(Twist, '/cmd_vel', self._hear, 100)
        self._node.create_subscription(Odometry, '/odom', self._see, 100)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _hear(self, twist: Twist) -> None:
        self.heard.append(Heard(time.monotonic(), twist.linear.x, twist.angular.z))

    def _see(self, odometry: Odometry) -> None:
        position = odometry.pose.pose.position
        self.seen.append(Seen(time.monotonic(), position.x, position.y,
                              odometry.twist.twist.linear.x))

    @property
    def speed(self) -> float:
        """How fast the robot is now, m/s."""
        return abs(self.seen[-1].speed) if self.seen else 0.0


class Operator:
    """A person with a joystick at the gateway's operator socket."""

    def __init__(self, url: str, key: str):
        self._socket = websocket.create_connection(
            f'{url.replace("http", "ws", 1)}/v1/sources/{SOURCE}/operate', timeout=10)
        self._say(type='auth', api_key=key, operator='Ada')
        self.lease = ''
        self.ends: list[dict[str, Any]] = []
        self._seq = 0
        self._robot_ms: float | None = None
        self._closing = False
        self._socket.settimeout(0.05)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def take_lease(self, seconds: float = 10.0) -> None:
        """Ask for a lease until there is one."""
        deadline = time.monotonic() + seconds
        while not self.lease:
            assert time.monotonic() < deadline, f'no lease: {self.ends[-3:]}'
            self._say(type='command', id='lease', command='drive', params={})
            until = time.monotonic() + 0.3
            while not self.lease and time.monotonic() < until:
                time.sleep(0.002)

    def drive(self, linear: float, angular: float = 0.0) -> float:
        """Send one order; returns when it was sent (monotonic seconds)."""
        self._seq += 1
        params = {'lease': self.lease, 'seq': self._seq, 'issued_ms': time.monotonic() * 1000,
                  'linear_x': linear, 'angular_z': angular}
        if self._robot_ms is not None:
            params['echo_ms'] = self._robot_ms
        now = time.monotonic()
        self._say(type='command', id=str(self._seq), command='drive', params=params)
        return now

    def cut(self) -> None:
        """End the connection as a broken network does: no goodbye."""
        self._closing = True
        raw = self._socket.sock
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        raw.close()

    def close(self) -> None:
        """Leave politely."""
        self._closing = True
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._socket.close()
        self._reader.join()

    def _say(self, **message: Any) -> None:
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._socket.send(json.dumps(message))

    def _read(self) -> None:
        while not self._closing:
            try:
                text = self._socket.recv()
            except websocket.WebSocketTimeoutException:
                continue
            except (OSError, websocket.WebSocketException, ValueError, AttributeError):
                return
            message = json.loads(text) if text else {}
            if message.get('state') in ('succeeded', 'failed'):
                self.ends.append(message)
                result = message.get('result') or {}
                self._robot_ms = result.get('robot_ms', self._robot_ms)
                self.lease = result.get('lease') or self.lease


def drive_until_fast(recorder: Recorder, operator: Operator, linear: float,
                     seconds: float = 15.0) -> None:
    """Send orders at a joystick's rate until they are heard and the robot goes as they say."""
    deadline = time.monotonic() + seconds
    while recorder.speed < 0.97 * abs(linear) or not (
            recorder.heard and abs(recorder.heard[-1].linear - linear) < 1e-6):
        assert time.monotonic() < deadline, (
            f'{recorder.speed} m/s after {seconds} s: {recorder.heard[-3:]}, {operator.ends[-2:]}')
        operator.drive(linear)
        time.sleep(0.05)


def latencies(recorder: Recorder, operator: Operator, orders: int, rate_hz: float = 20.0
              ) -> list[float]:
    """Return, for each order, the time from its sending to the first changed velocity, in ms."""
    found = []
    for number in range(orders):
        linear = 0.2 + 0.1 * (number % 2)
        before = len(recorder.heard)
        sent = operator.drive(linear)
        deadline = sent + 1.0
        while not any(abs(heard.linear - linear) < 1e-6 for heard in recorder.heard[before:]):
            assert time.monotonic() < deadline, (number, operator.ends[-2:], recorder.heard[-3:])
            time.sleep(0.0005)
        at = next(heard.at for heard in recorder.heard[before:]
                  if abs(heard.linear - linear) < 1e-6)
        found.append((at - sent) * 1000)
        time.sleep(max(0.0, 1 / rate_hz - (time.monotonic() - sent)))
    return found


@dataclass(frozen=True)
class Stop:
    """How a robot came to rest after something happened; times in s, the distance in m."""

    speed: float
    zero_s: float | None
    standstill_s: float
    distance_m: float


def measure_stop(recorder: Recorder, happen: Callable[[], object], seconds: float = 8.0) -> Stop:
    """Have something happen to a robot that drives, and watch it come to rest."""
    speed = recorder.speed
    assert speed > 0.1, f'nothing to stop: the robot does not drive; {recorder.heard[-3:]}'
    mark = len(recorder.heard)
    start = recorder.seen[-1]
    began = time.monotonic()
    happen()
    deadline = began + seconds
    while recorder.speed > 0.005:
        assert time.monotonic() < deadline, f'still moving after {seconds} s: {recorder.seen[-1]}'
        time.sleep(0.005)
    last = recorder.seen[-1]
    zero = next((heard.at - began for heard in recorder.heard[mark:]
                 if heard.at >= began and heard.linear == 0.0), None)
    distance = ((last.x - start.x) ** 2 + (last.y - start.y) ** 2) ** 0.5
    return Stop(speed, zero, last.at - began, distance)


class BadNetwork:
    """
    A gateway whose operator drives over a network that delays, drops, reorders and duplicates,
    and, where it `stalls`, now and then holds everything back for up to two seconds.

    `script` is for `ScriptedSocket`. Each order has a velocity of its own, so that what comes out
    on the topic tells which order it was; `issued` has when each was sent.
    """

    def __init__(self, orders: int, rate_hz: float, seed: int, *, stalls: bool = False):
        self._stalls = stalls
        self._orders = orders
        self._period_s = 1 / rate_hz
        self._random = random.Random(seed)
        self.issued: dict[float, float] = {}
        self.sent = 0
        self.arrived = 0
        self.accepted = 0
        self.refused: dict[str, int] = {}
        self.done = threading.Event()
        self._lease = ''
        # The lease that each run carried.
        self._leases: dict[str, str] = {}
        self._echo: float | None = None
        self._waiting: list[tuple[float, int, str]] = []
        self._number = 0
        self._held_until = 0.0

    def script(self, connection: Any) -> None:
        """Let the bridge in and drive; returns when the connection ends."""
        connection.recv()
        connection.send(json.dumps({'type': 'authenticated', 'acks': True, 'protocol': 1}))
        next_order = time.monotonic() + 0.5
        with contextlib.suppress(ConnectionClosed):
            while not self.done.is_set():
                now = time.monotonic()
                if now >= next_order and self.sent < self._orders:
                    next_order += self._period_s
                    self._send_order(now)
                while self._waiting and self._waiting[0][0] <= now and now >= self._held_until:
                    connection.send(heapq.heappop(self._waiting)[2])
                    self.arrived += 1
                if self.sent >= self._orders and not self._waiting:
                    self.done.set()
                    break
                with contextlib.suppress(TimeoutError):
                    self._hear(connection, json.loads(connection.recv(timeout=0.002)))
            while True:  # the bridge goes on, the operator does not
                self._hear(connection, json.loads(connection.recv()))

    def _send_order(self, now: float) -> None:
        self.sent += 1
        if self._stalls and self.sent % 100 == 0:
            # As TCP does: nothing comes, and then all of it in order.
            self._held_until = now + self._random.uniform(0.2, 2.0)
        chance = self._random.random()
        velocity: Any = round(0.1 + 0.8 * self.sent / self._orders, 7)
        params: dict[str, Any] = {}
        if self._lease:
            params = {'lease': self._lease, 'seq': self.sent, 'issued_ms': now * 1000,
                      'linear_x': velocity}
            if self._echo is not None:
                params['echo_ms'] = self._echo
            self.issued[velocity] = now
            if chance < 0.02:
                params['linear_x'] = self._random.choice(['nan', 'inf', 99.0, -99.0, None, [], {}])
            elif chance < 0.04:
                params['lease'] = 'guessed'
            elif chance < 0.05:
                params['issued_ms'] = self._random.choice([0, -1e15, 1e15, now * 1000 + 60_000])
        self._number += 1
        self._leases[f'run-{self._number}'] = params.get('lease', '')
        text = json.dumps({
            'type': 'command_run', 'run_id': f'run-{self._number}', 'command': 'drive',
            'params': params, 'ttl_ms': 5000})
        for copy in self._copies():
            heapq.heappush(self._waiting, (now + self._delay_s(), self._number * 10 + copy, text))

    def _copies(self) -> range:
        chance = self._random.random()
        return range(0 if chance < 0.1 else 2 if chance < 0.2 else 1)

    def _delay_s(self) -> float:
        chance = self._random.random()
        if chance < 0.7:
            return self._random.uniform(0.0, 0.02)
        if chance < 0.95:
            return self._random.uniform(0.0, 0.4)
        return self._random.uniform(0.4, 3.0)

    def _hear(self, connection: Any, message: dict[str, Any]) -> None:
        if message['type'] == 'telemetry':
            connection.send(json.dumps({'type': 'telemetry_ack', 'seq': message['seq']}))
        if message['type'] != 'command_status':
            return
        is_grant = 'lease' in (message.get('result') or {})
        if not is_grant and self._random.random() < 0.1:
            return
        if message['state'] == 'succeeded':
            self.accepted += 1
            result = message.get('result') or {}
            self._lease = result.get('lease') or self._lease
            self._echo = result.get('robot_ms', self._echo)
        elif message['state'] == 'failed':
            text = message.get('error_message', '')
            why = text.partition(':')[0] if message['error_code'] == 'handler_error' \
                else message['error_code']
            self.refused[why] = self.refused.get(why, 0) + 1
            if why in ('out_of_lease', 'clock') and (
                    self._leases.get(message['run_id']) == self._lease):
                self._lease, self._echo = '', None

    def problems(self, recorder: Recorder) -> list[str]:
        """Return what came out on the topic that must not have."""
        found = []
        first: dict[float, float] = {}
        for heard in recorder.heard:
            if not -FASTEST <= heard.linear <= FASTEST or heard.angular:
                found.append(f'outside of limits: {heard}')
            if heard.linear == 0.0:
                continue
            velocity = round(heard.linear, 7)
            if velocity not in self.issued:
                found.append(f'nobody asked for this: {heard}')
                continue
            age_ms = (first.setdefault(velocity, heard.at) - self.issued[velocity]) * 1000
            # What our own listening adds.
            if age_ms > MAX_AGE_MS + 30:
                found.append(f'{age_ms:.0f} ms old when it first came: {heard}')
            if heard.at - first[velocity] > (DEADMAN_MS + 100) / 1000:
                found.append(f'repeated for too long: {heard}')
        self.followed = len(first)
        return found

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo: a local gateway, a simulated robot and the bridge between them, and what one sees."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import shlex
import shutil
import socket
import time

from plexus_bridge.config.credentials import state_folder
from plexus_bridge.demo.children import Children
from plexus_bridge.demo.readings import GatewayReader
from plexus_bridge.errors import DemoError
from plexus_bridge.fast_dds import profile_environment
from plexus_bridge.share import shared_file
from plexus_bridge.stopping import StopRequest

SOURCE_ID = 'sim-01'
START_S = 60.0
REPORT_EVERY_S = 3.0
_SHOWN = (('battery.percent', '{:.1f} %'), ('speed', '{:.2f} m/s'), ('yaw_rate', '{:+.2f} rad/s'),
          ('scan.ahead', '{:.2f} m'))
_DISCOVERY = ('ROS_AUTOMATIC_DISCOVERY_RANGE', 'ROS_STATIC_PEERS', 'ROS_LOCALHOST_ONLY')


class Demo:
    """One demo on one port; use `run`."""

    def __init__(self, port: int, environment: Mapping[str, str]):
        self._port = port
        self._environment = demo_environment(environment, port)
        self._reader = GatewayReader(
            f'http://127.0.0.1:{port}', state_folder(environment) / 'gateway' / 'key')

    def run(self, stop: StopRequest, seconds: float) -> None:
        """
        Run until told to stop, or for so many seconds after the first data came.

        Raises DemoError, ChildEndedError when one of the programs ended.
        """
        check_port_is_free(self._port)
        with Children() as children:
            if self._start(children, stop):
                self._tell_what_there_is()
                self._watch(children, stop, seconds)
                print(f'{self._reader.points_stored()} points were stored')
            print('ending: bridge, simulated robot, gateway', flush=True)

    def _start(self, children: Children, stop: StopRequest) -> bool:
        cli = ('-m', 'plexus_bridge.cli')
        print(f'starting: gateway at {self._reader.url}, simulated robot, bridge', flush=True)
        children.start('gateway', (*cli, 'gateway', '--port', str(self._port)), self._environment)
        children.start('simulated robot', ('-m', 'plexus_bridge.nodes.simulated_robot'),
                       self._with_profile('fastdds.xml'))
        if not self._wait(children, stop, lambda: self._reader.get('/v1/gateway') is not None,
                          'the gateway does not answer'):
            return False
        # A key for another gateway may be set or configured, and would win over this one's.
        environment = {
            **self._with_profile('fastdds_bridge.xml'), 'PLEXUS_API_KEY': self._reader.key}
        children.start('bridge', (
            *cli, 'run', str(shared_file('config/demo.yaml')),
            '--gateway-url', self._reader.url, '--source-id', SOURCE_ID), environment)
        return self._wait(children, stop, lambda: self._reader.latest(SOURCE_ID),
                          f'no data of {SOURCE_ID} reach the gateway')

    def _with_profile(self, name: str) -> dict[str, str]:
        """Return the children's environment with some settings of Fast DDS."""
        profile = shared_file(f'config/{name}')
        return {**self._environment, **profile_environment(self._environment, profile)}

    def _wait(self, children: Children, stop: StopRequest, condition: Callable[[], object],
              what: str) -> bool:
        """Wait until the condition holds; False when told to stop before."""
        deadline = time.monotonic() + START_S
        while not condition():
            children.check()
            if time.monotonic() > deadline:
                raise DemoError(
                    f'{what} after {START_S:g} s; the last lines:\n{children.last_lines()}')
            if stop.wait(0.1):
                return False
        return True

    def _watch(self, children: Children, stop: StopRequest, seconds: float) -> None:
        started = reported = time.monotonic()
        before = self._reader.points_stored() or 0
        while not stop.requested and time.monotonic() - started < seconds:
            left = started + seconds - time.monotonic()
            stop.wait(min(1.0, left))
            children.check()
            now = time.monotonic()
            stored = None
            if now - reported >= min(REPORT_EVERY_S, seconds / 2):
                stored = self._reader.points_stored()
            if stored is not None:
                self._report(now - started, stored, (stored - before) / (now - reported))
                before, reported = stored, now

    def _report(self, elapsed_s: float, stored: int, per_second: float) -> None:
        latest = self._reader.latest(SOURCE_ID)
        shown = ', '.join(f'{name} {form.format(latest[name])}'
                          for name, form in _SHOWN if name in latest)
        print(f'{elapsed_s:6.0f} s  {stored} points stored ({per_second:.0f}/s) of '
              f'{len(latest)} metrics: {shown}', flush=True)

    def _tell_what_there_is(self) -> None:
        url, key, path = self._reader.url, self._reader.key, self._reader.key_file
        print(f'\n  gateway   {url}')
        print(f'  API key   {key}   (of this gateway only; kept in {path})')
        print(f'  read      curl -s -H "x-api-key: $(cat {shlex.quote(str(path))})" '
              f'{url}/v1/sources/{SOURCE_ID}/metrics/latest')
        if shutil.which('ros2'):
            print(f'  drive     {self._ros_settings()}ros2 topic pub -r 10 /cmd_vel '
                  "geometry_msgs/msg/Twist '{linear: {x: 0.3}, angular: {z: 0.5}}'")
        print('  Ctrl+C ends all of it.\n', flush=True)

    def _ros_settings(self) -> str:
        names = ('ROS_DOMAIN_ID', *_DISCOVERY)
        return ''.join(f'{name}={self._environment[name]} ' for name in names
                       if name in self._environment)


def demo_environment(environment: Mapping[str, str], port: int) -> dict[str, str]:
    """
    Return the environment of the children: what the user set stays.

    Else the graph stays on this machine, in a domain of its own for each port.
    """
    chosen = dict(environment)
    chosen.setdefault('PYTHONUNBUFFERED', '1')
    chosen.setdefault('ROS_DOMAIN_ID', str(1 + port % 100))
    if not any(name in environment for name in _DISCOVERY):
        if environment.get('ROS_DISTRO') == 'humble':
            chosen['ROS_LOCALHOST_ONLY'] = '1'
        else:
            chosen['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    return chosen


def check_port_is_free(port: int) -> None:
    """Raise DemoError if another program has the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('127.0.0.1', port))
        except (OSError, OverflowError) as error:
            raise DemoError(
                f'127.0.0.1:{port} cannot be used: {getattr(error, "strerror", None) or error}; '
                'stop the other program (another demo?), or choose another port with --port '
                '(make demo PORT=…)') from None

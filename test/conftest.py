# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests with real processes and a real ROS graph share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
import itertools
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

import pytest

ROOT = Path(__file__).parents[1]
# Domains above 101 use ports that the operating system hands out to others. They take turns: who
# was killed in one is seen there for another twenty seconds.
_DOMAINS = range(30, 50)
_NEXT_DOMAIN = itertools.count()
_DOMAIN_LOCK_PORT = 22_119


@dataclass
class Program:
    """A process of ours that a test started; its output goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(errors='replace')

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Send a signal, wait for the end and return the exit code."""
        self.process.send_signal(number)
        return self.wait(seconds)

    def wait(self, seconds: float = 20.0) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f'{self.process.args} did not end within {seconds} s:\n{self.output}')


@pytest.fixture
def ros_domain() -> Iterator[int]:
    """A ROS domain that no other test on this machine uses meanwhile."""
    for _ in _DOMAINS:
        domain = _DOMAINS[next(_NEXT_DOMAIN) % len(_DOMAINS)]
        lock = socket.socket()
        try:
            lock.bind(('127.0.0.1', _DOMAIN_LOCK_PORT + domain))
        except OSError:
            lock.close()
            continue
        with lock:
            yield domain
        return
    pytest.fail(f'every ROS domain of {_DOMAINS} is in use by another test')


@pytest.fixture
def ros_environment(ros_domain: int, tmp_path: Path) -> dict[str, str]:
    """Environment of a process that must meet only this test's ROS graph and files."""
    home = tmp_path / 'home'
    home.mkdir()
    return {
        **os.environ,
        'ROS_DOMAIN_ID': str(ros_domain),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_LOG_DIR': str(tmp_path / 'ros_log'),
        'HOME': str(home),
        'PLEXUS_HOME': str(home / '.plexus'),
        'PYTHONPATH': os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')])),
        'PYTHONUNBUFFERED': '1',
    }


@pytest.fixture
def start(ros_environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start `python -m module arguments…`; what still runs at the end of the test is ended."""
    programs: list[Program] = []

    def start_program(module: str, *arguments: str, **environment: str) -> Program:
        log = tmp_path / f'{len(programs)}-{module}.log'
        with log.open('wb') as output:
            process = subprocess.Popen(
                [sys.executable, '-m', module, *arguments], stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, env={**ros_environment, **environment},
                cwd=tmp_path)
        programs.append(Program(process, log))
        return programs[-1]

    yield start_program
    for program in reversed(programs):
        if program.process.poll() is None:
            program.process.terminate()
    for program in reversed(programs):
        try:
            program.process.wait(10.0)
        except subprocess.TimeoutExpired:
            program.process.kill()
            program.process.wait()


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait for a condition, never for a time; fail with `what` after `seconds`."""

    def wait(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f'after {seconds} s still not so: {what}')
            time.sleep(0.005)

    return wait

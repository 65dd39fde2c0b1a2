# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import pytest

from plexus_bridge.demo.children import Children
from plexus_bridge.errors import ChildEndedError

STUBBORN = ('import signal, time\n'
            'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
            'print("ready", flush=True)\n'
            'while True: time.sleep(10)')
POLITE = ('import signal, sys, time\n'
          'def end(*_):\n'
          '    open({file!r}, "a").write({name!r})\n'
          '    sys.exit(0)\n'
          'signal.signal(signal.SIGTERM, end)\n'
          'print("ready", flush=True)\n'
          'while True: time.sleep(10)')


@pytest.fixture
def children() -> Iterator[Children]:
    with Children() as started:
        yield started


def is_alive(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def test_a_child_that_ends_is_told_with_its_last_lines(
        children: Children, wait_until: Any) -> None:
    script = 'for k in range(1000): print("line", k)\nraise SystemExit(7)'
    child = children.start('helper', ['-c', script], os.environ)
    wait_until(lambda: child.process.poll() is not None, 'it has ended')
    with pytest.raises(ChildEndedError) as caught:
        children.check()
    text = str(caught.value)
    assert 'the helper ended with exit code 7' in text
    assert text.endswith('line 999')
    assert 'line 985' in text
    assert 'line 984' not in text


def test_a_child_that_a_signal_ended_is_told_so(children: Children) -> None:
    child = children.start('helper', ['-c', 'while True: pass'], os.environ)
    children.check()
    child.process.send_signal(signal.SIGKILL)
    child.process.wait()
    with pytest.raises(ChildEndedError, match='the helper was ended by SIGKILL'):
        children.check()


def test_children_end_in_the_reverse_order(
        children: Children, tmp_path: Path, wait_until: Any) -> None:
    file = tmp_path / 'order'
    for name in 'abc':
        child = children.start(name, ['-c', POLITE.format(file=str(file), name=name)], os.environ)
        wait_until(lambda c=child: 'ready' in c.last_lines(), 'it is up')
    assert children.end() == []
    assert file.read_text() == 'cba'


def test_one_that_does_not_end_is_killed(children: Children, wait_until: Any) -> None:
    child = children.start('stubborn', ['-c', STUBBORN], os.environ)
    wait_until(lambda: 'ready' in child.last_lines(), 'it is up')
    assert children.end(seconds=0.3) == ['stubborn']
    assert child.process.returncode == -signal.SIGKILL
    assert children.end() == []


def test_children_do_not_outlive_a_parent_that_is_killed(tmp_path: Path, wait_until: Any) -> None:
    script = ('import os, sys, time\n'
              'from plexus_bridge.demo.children import Children\n'
              'child = Children().start("c", ["-c", "import time; time.sleep(60)"], os.environ)\n'
              'print(child.process.pid, flush=True)\n'
              'time.sleep(60)')
    parent = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, text=True,
                              cwd=Path(__file__).parents[2])
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_alive(pid), 'the child has ended')

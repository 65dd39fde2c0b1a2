# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
import sys
import time
from typing import Any

import pytest

from plexus_bridge.commands import programs as module
from plexus_bridge.commands.programs import Programs
from plexus_bridge.errors import CommandError

PYTHON = sys.executable


@pytest.fixture
def said() -> list[dict[str, Any]]:
    return []


def events(said: list[dict[str, Any]]) -> list[str]:
    return [message['event'] for message in said]


def test_a_program_runs_and_its_output_comes_line_by_line(said, wait_until):
    programs = Programs(allow=[f'{PYTHON} -c *'])
    programs.start('x1', f'{PYTHON} -c "print(1); print(2, end=str())"', None, said.append)
    wait_until(lambda: 'exit' in events(said), 'it has ended')
    assert events(said) == ['start', 'data', 'data', 'exit']
    assert [message.get('data') for message in said[1:3]] == ['1\n', '2']
    assert said[3] == {'type': 'output', 'id': 'x1', 'event': 'exit', 'code': 0}


def test_no_shell_reads_the_line(said, wait_until, tmp_path):
    programs = Programs(allow=['echo *'])
    programs.start('x', f'echo a > {tmp_path}/b; $HOME *', None, said.append)
    wait_until(lambda: 'exit' in events(said), 'it has ended')
    assert said[1]['data'] == f'a > {tmp_path}/b; $HOME *\n'
    assert list(tmp_path.iterdir()) == []


def test_a_program_does_not_learn_the_key(said, wait_until, monkeypatch):
    monkeypatch.setenv('PLEXUS_API_KEY', 'plx_secret')
    monkeypatch.setenv('OF_THE_ROBOT', 'known')
    Programs(allow=['env']).start('x', 'env', None, said.append)
    wait_until(lambda: 'exit' in events(said), 'it has ended')
    assert 'OF_THE_ROBOT=known' in str(said)
    assert 'plx_secret' not in str(said)


@pytest.mark.parametrize(('line', 'told'), [
    ('ls', 'does not allow it'), ('echo', 'does not allow it'),
    ("echo 'a", 'No closing quotation'), ('', 'empty'), ('   ', 'empty'),
    ('echo secret', "secret.*' is denied"), ('echo  "secret" stuff', "secret.*' is denied"),
    ('x' * 5000, 'longer than 4096'),
    ('echo a\0b', 'empty'), ('rm -rf /', 'denied'), ("'shutdown' now", 'denied'),
    ('/sbin/shutdown now', 'denied'), ('../bin/../bin/rm -rf /', 'denied')])
def test_what_is_not_allowed_does_not_run(said, line, told):
    programs = Programs(allow=['echo *', '*rm *', '*shutdown *'], deny=['echo secret*'])
    with pytest.raises(CommandError, match=told):
        programs.start('x', line, None, said.append)
    assert events(said) == ['error']
    assert said[0]['error'].startswith('Command rejected: ')


def test_nothing_is_allowed_unless_it_is_listed(said):
    with pytest.raises(CommandError, match='does not allow it'):
        Programs().start('x', 'true', None, said.append)


def test_a_program_that_is_not_there_is_told(said):
    with pytest.raises(CommandError, match='not started'):
        Programs(allow=['*']).start('x', '/nowhere/at/all', None, said.append)
    assert events(said) == ['start', 'error']


def test_one_at_a_time_and_cancel_ends_it(said, wait_until):
    programs = Programs(allow=['sleep *', 'true'])
    programs.cancel()
    programs.start('x', 'sleep 60', None, said.append)
    with pytest.raises(CommandError, match='another program') as caught:
        programs.start('y', 'true', None, said.append)
    assert caught.value.code == 'busy'
    programs.cancel()
    programs.cancel()
    wait_until(lambda: 'exit' in events(said), 'it has ended')
    assert said[-1]['code'] == -15
    programs.start('z', 'true', None, said.append)
    wait_until(lambda: said[-1] == {'type': 'output', 'id': 'z', 'event': 'exit', 'code': 0},
               'the next one may run')


STUBBORN = ('import signal, time\n'
            'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
            'print("ready", flush=True)\n'
            'time.sleep(60)\n')


def stubborn(said: list[dict[str, Any]], wait_until: Any, folder: Path) -> Programs:
    script = folder / 'stubborn.py'
    script.write_text(STUBBORN)
    programs = Programs(allow=[f'{PYTHON} *'])
    programs.start('x', f'{PYTHON} {script}', None, said.append)
    wait_until(lambda: 'data' in events(said), 'it runs')
    return programs


def test_a_program_that_will_not_end_is_killed(said, wait_until, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'TERMINATE_S', 0.2)
    programs = stubborn(said, wait_until, tmp_path)
    programs.cancel()
    wait_until(lambda: 'exit' in events(said), 'it has ended')
    assert said[-1]['code'] == -9


def test_a_program_whose_time_is_up_is_ended(said, wait_until):
    programs = Programs(allow=['sleep *'], timeout_s=60.0)
    programs.start('x', 'sleep 60', 0.1, said.append)
    wait_until(lambda: 'exit' in events(said), 'it has ended')
    assert events(said) == ['start', 'timeout', 'exit']


def test_a_line_without_an_end_comes_in_pieces(said, wait_until):
    programs = Programs(allow=[f'{PYTHON} *'])
    programs.start('x', f'{PYTHON} -c "print(9000 * str(7))"', None, said.append)
    wait_until(lambda: 'exit' in events(said), 'it has ended')
    assert [len(message['data']) for message in said[1:-1]] == [4096, 4096, 809]


def test_when_the_bridge_ends_no_program_is_left(said, wait_until, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'CLOSE_S', 0.2)
    programs = stubborn(said, wait_until, tmp_path)
    programs.close()
    assert said[-1] == {'type': 'output', 'id': 'x', 'event': 'exit', 'code': -9}
    programs.close()


def test_output_that_outlives_its_program_is_not_waited_for(said, wait_until, monkeypatch):
    monkeypatch.setattr(module, 'LINGER_S', 0.2)
    programs = Programs(allow=['sh *'])
    begun = time.monotonic()
    programs.start('x', "sh -c 'echo begun; sleep 3 & exit 4'", None, said.append)
    wait_until(lambda: 'exit' in events(said), 'it has ended')
    assert time.monotonic() - begun < 2.5
    assert (said[1]['data'], said[-1]['code']) == ('begun\n', 4)


def test_a_program_without_output_is_ended_too(said, wait_until):
    programs = Programs(allow=['sh *'])
    programs.start('x', "sh -c 'exec >&- 2>&-; sleep 60'", 0.3, said.append)
    wait_until(lambda: 'exit' in events(said), 'it has ended')
    assert events(said) == ['start', 'timeout', 'exit']


def test_children_of_a_cancelled_program_end_with_it(said, wait_until):
    programs = Programs(allow=['sh *'])
    programs.start('x', "sh -c 'trap : TERM; sleep 60 & echo $!; wait; exit 0'", None, said.append)
    wait_until(lambda: 'data' in events(said), 'it runs')
    child = int(said[1]['data'])
    programs.cancel()
    wait_until(lambda: 'exit' in events(said), 'it has ended')
    wait_until(lambda: not Path(f'/proc/{child}').exists() or (
        Path(f'/proc/{child}/stat').read_text().split()[2] == 'Z'), 'its child has ended')

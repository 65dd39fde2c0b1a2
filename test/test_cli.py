# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import os
from pathlib import Path
import subprocess
import sys
import types

import pytest

from plexus_bridge import cli

ROOT = Path(__file__).parents[1]


@pytest.fixture
def greet(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Put a command 'greet' into the table, which answers with its own exit code."""
    module = types.ModuleType('plexus_greet')
    module.add_arguments = lambda parser: parser.add_argument('--times', type=int, default=1)
    module.run = lambda args: 40 + args.times
    monkeypatch.setitem(sys.modules, 'plexus_greet', module)
    monkeypatch.setitem(cli.COMMANDS, 'greet', cli.Command('plexus_greet', 'say hello'))
    return module


def test_a_command_gets_its_arguments_and_gives_the_exit_code(greet):
    assert cli.main(['greet']) == 41
    assert cli.main(['greet', '--times', '2']) == 42


def test_only_the_command_that_is_used_is_imported(greet, monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, 'broken', cli.Command('no_such_module_at_all', 'never'))
    assert cli.main(['greet']) == 41


@pytest.mark.parametrize('argv', [[], ['no-such-command'], ['greet', '--no-such-option']])
def test_wrong_usage_is_exit_code_2(greet, argv, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert stop.value.code == 2
    assert 'usage: plexus-bridge' in capsys.readouterr().err


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(['--help'])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert name in out
        assert command.help in ' '.join(out.split())


@pytest.mark.parametrize(('missing', 'expected'), [
    ('cv2', ["'greet' needs", 'Call: apt install python3-opencv', "pip install '.[images]'"]),
    ('fastapi', ["pip install '.[gateway]'", 'python3-fastapi by apt, if it is 0.110 or newer']),
    ('uvicorn.protocols.websockets.websockets_sansio_impl',
     ["pip install '.[gateway]'", '0.46 or newer', 'Debian 12 and Ubuntu 24.04 are too old']),
    ('rosbags.highlevel', ["pip install '.[bags]'"]),
    ('yaml', ['apt install python3-yaml', 'pip install .']),
    ('rclpy', ['needs ROS 2', 'Source ROS 2', 'make env']),
    ('sensor_msgs.msg', ['needs ROS 2', 'no sensor_msgs']),
    ('plexus_msgs.msg', ['plexus_msgs', 'make env', 'colcon']),
])
def test_a_missing_library_is_one_message_that_says_what_to_do(greet, capsys, missing, expected):
    def run(args: argparse.Namespace) -> int:
        raise ImportError(f'No module named {missing!r}', name=missing)

    greet.run = run
    assert cli.main(['greet']) == 1
    err = capsys.readouterr().err
    assert err.count('\n') == 1
    for words in expected:
        assert words in err


def test_an_import_error_of_our_own_is_not_hidden(greet):
    def run(args: argparse.Namespace) -> int:
        raise ImportError('cannot import name', name='plexus_bridge.points')

    greet.run = run
    with pytest.raises(ImportError, match='cannot import name'):
        cli.main(['greet'])


def test_every_command_of_the_table_can_be_asked_for_help(capsys):
    for name in cli.COMMANDS:
        with pytest.raises(SystemExit) as stop:
            cli.main([name, '--help'])
        assert stop.value.code == 0
        assert f'plexus-bridge {name}' in capsys.readouterr().out


def test_without_ros_the_process_says_what_to_do():
    hide_ros = "import sys; sys.modules['rclpy'] = None"
    run = f"{hide_ros}; from plexus_bridge import cli; sys.exit(cli.main(['run']))"
    done = subprocess.run([sys.executable, '-c', run], cwd=ROOT, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("plexus-bridge: 'run' needs ROS 2")
    assert 'make env' in done.stderr
    assert done.stderr.count('\n') == 1, done.stderr


@pytest.mark.parametrize('body', [
    "[print('x' * 99, flush=True) for _ in range(9999)]", "print('short')"])
def test_output_that_nobody_reads_any_more_ends_the_command_quietly(body, tmp_path):
    (tmp_path / 'plexus_greet.py').write_text(
        f'def add_arguments(parser): pass\ndef run(args):\n    {body}\n    return 0\n')
    code = ("import sys; from plexus_bridge import cli; "
            "cli.COMMANDS['greet'] = cli.Command('plexus_greet', 'say hello'); "
            "sys.stdin.read(); sys.exit(cli.main(['greet']))")
    process = subprocess.Popen(
        [sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}{os.pathsep}{ROOT}'})
    process.stdout.close()
    process.stdin.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert (process.wait(20), errors) == (141, '')


def test_a_pipe_that_is_no_output_of_ours_is_a_fault_like_others(greet):
    def fail(args):
        raise BrokenPipeError('a socket')

    greet.run = fail
    with pytest.raises(BrokenPipeError):
        cli.main(['greet'])

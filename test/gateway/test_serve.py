# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The real process: what it says, how it starts, fails and ends."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import contextlib
import os
from pathlib import Path
import resource
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from typing import Any

import pytest

from plexus_bridge.gateway import serve

NOW_MS = 1_790_000_000_000


class TestStart:

    def test_the_first_start_tells_address_and_key(self, running: Any):
        key = (running.folder / 'key').read_text().strip()
        for text in (f'http://127.0.0.1:{running.port}', f'ws://127.0.0.1:{running.port}/ws/device',
                     key, str(running.folder / 'key'), 'PLEXUS_API_KEY'):
            assert text in running.output
        assert 'WARNING' not in running.output
        with contextlib.closing(running.client()) as client:
            assert client.get('/v1/sources') == {'devices': []}
        assert running.folder.stat().st_mode & 0o777 == 0o700
        secrets = ('gateway.db', 'gateway.db-wal', 'gateway.db-shm', 'key')
        assert {(running.folder / name).stat().st_mode & 0o777 for name in secrets} == {0o600}

    def test_a_later_start_tells_only_where_the_key_is(self, running: Any):
        key = (running.folder / 'key').read_text().strip()
        with contextlib.closing(running.client()) as client:
            client.post('/ingest', {'source_id': 'a', 'points': [{'metric': 'm', 'value': 1}]})
        assert running.end() == 0
        running.start()
        assert key not in running.output
        assert str(running.folder / 'key') in running.output
        with contextlib.closing(running.client()) as client:
            assert client.get('/v1/sources/a/metrics') == ['m']

    def test_the_default_folder(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv('PLEXUS_HOME', '/srv/plexus')
        assert serve.default_folder() == Path('/srv/plexus/gateway')
        monkeypatch.setenv('PLEXUS_HOME', '')
        monkeypatch.setenv('HOME', '/home/kiln')
        assert serve.default_folder() == Path('/home/kiln/.plexus/gateway')

    def test_options(self):
        parser = argparse.ArgumentParser()
        serve.add_arguments(parser)
        assert vars(parser.parse_args([])) == {
            'host': '127.0.0.1', 'port': 8787, 'data': None, 'keep_days': None, 'max_gb': None,
            'max_devices': None, 'max_messages': 2000, 'limit_local': False, 'no_results': False,
            'action': None}

    @pytest.mark.parametrize('option', ['--keep-days', '--max-gb'])
    @pytest.mark.parametrize('value', ['0', '-1', 'x', 'nan', 'inf', ''])
    def test_limits_that_are_none(
            self, option: str, value: str, capsys: pytest.CaptureFixture[str]):
        parser = argparse.ArgumentParser()
        serve.add_arguments(parser)
        with pytest.raises(SystemExit):
            parser.parse_args([f'{option}={value}'])
        assert 'expected a number above 0' in capsys.readouterr().err

    @pytest.mark.parametrize('port', ['70000', '-1', 'x', '1e3', ''])
    def test_a_port_that_is_none(self, port: str, capsys: pytest.CaptureFixture[str]):
        parser = argparse.ArgumentParser()
        serve.add_arguments(parser)
        with pytest.raises(SystemExit) as usage:
            parser.parse_args([f'--port={port}'])
        assert usage.value.code == 2
        assert f'saw {port!r}, expected a number from 0 to 65535' in capsys.readouterr().err

    def test_others_on_the_network_are_warned_of(self, processes: Callable[..., Any]):
        gateway = processes().start('--host', '0.0.0.0')
        assert gateway.process.poll() is None
        assert 'WARNING: 0.0.0.0 can be reached by other machines' in gateway.output
        assert 'not encrypted' in gateway.output.replace('\n', ' ')
        assert gateway.end() == 0

    def test_ipv6(self, processes: Callable[..., Any]):
        gateway = processes().start('--host', '::1')
        if 'Cannot assign requested address' in gateway.output:
            pytest.skip('this machine has no IPv6 loopback')
        assert 'http://[::1]:' in gateway.output
        assert 'WARNING' not in gateway.output


class TestRefusesToStart:

    @staticmethod
    def refusal(gateway: Any, *options: str) -> str:
        """Return the one line that a gateway says before it gives up."""
        gateway.start(*options)
        assert gateway.process.wait(20) == 1
        [line] = gateway.output.strip().splitlines()
        assert line.startswith('plexus-bridge gateway: ')
        return str(line)

    def test_a_port_that_is_taken(self, processes: Callable[..., Any]):
        with socket.create_server(('127.0.0.1', 0)) as other:
            gateway = processes()
            gateway.port = other.getsockname()[1]
            line = self.refusal(gateway)
        assert f'127.0.0.1:{gateway.port}' in line
        assert 'already in use' in line
        assert '--port' in line

    @pytest.mark.parametrize(('host', 'port'), [
        ('192.0.2.1', '0'), ('no.such.host.invalid', '0')])
    def test_an_address_that_is_none_of_this_machine(
            self, processes: Callable[..., Any], host: str, port: str):
        assert f'{host}:{port}' in self.refusal(processes(), '--host', host, '--port', port)

    def test_a_folder_that_cannot_be_made(self, processes: Callable[..., Any], tmp_path: Path):
        (tmp_path / 'file').write_text('in the way')
        line = self.refusal(processes(), '--data', str(tmp_path / 'file' / 'data'))
        assert str(tmp_path / 'file' / 'data') in line
        assert '--data' in line

    @pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
    def test_a_folder_that_must_not_be_written(
            self, processes: Callable[..., Any], tmp_path: Path):
        folder = tmp_path / 'locked'
        folder.mkdir(mode=0o500)
        assert 'Permission denied' in self.refusal(processes(), '--data', str(folder))

    def test_a_second_gateway_on_the_same_folder(
            self, running: Any, processes: Callable[..., Any]):
        second = processes()
        line = self.refusal(second)
        assert str(running.folder) in line
        assert f'process {running.process.pid}' in line
        assert running.end() == 0
        assert second.start().process.poll() is None, 'the folder is free again'

    def test_a_folder_whose_gateway_was_killed_is_free(self, running: Any):
        running.process.kill()
        running.process.wait()
        assert running.start().process.poll() is None

    def test_a_database_of_a_newer_version(self, running: Any):
        assert running.end() == 0
        with contextlib.closing(sqlite3.connect(running.folder / 'gateway.db')) as connection:
            connection.execute('PRAGMA user_version = 99')
        assert 'saw version 99' in self.refusal(running)

    def test_a_database_that_is_none(self, running: Any):
        assert running.end() == 0
        (running.folder / 'gateway.db').write_bytes(b'scribbled over' * 1000)
        assert 'move it away' in self.refusal(running)

    def test_a_key_file_that_holds_none(self, running: Any):
        assert running.end() == 0
        (running.folder / 'key').write_text('oops')
        assert 'saw no API key' in self.refusal(running)

    def test_a_library_that_is_missing_names_the_extra(self, tmp_path: Path):
        # A folder in front of the path whose fastapi cannot be imported stands for its absence.
        (tmp_path / 'fastapi.py').write_text("raise ModuleNotFoundError('No module fastapi')")
        code = ('import sys; sys.path.insert(0, sys.argv.pop(1))\n'
                'from plexus_bridge.gateway import serve; sys.exit(serve.main())')
        result = subprocess.run(
            [sys.executable, '-c', code, str(tmp_path), '--data', str(tmp_path / 'data')],
            capture_output=True, text=True, timeout=20, check=False,
            cwd=Path(__file__).parents[2])
        assert (result.returncode, result.stdout) == (1, '')
        assert 'fastapi' in result.stderr
        assert "pip install '.[gateway]'" in result.stderr
        assert 'Traceback' not in result.stderr


class TestEnd:

    def test_viewers_are_told_to_come_again(self, running: Any):
        with contextlib.closing(running.client()) as client:
            viewer = client.stream('/v1/sources/kiln-7/video/stream')
            assert viewer.receive()['type'] == 'init'
        assert running.end() == 0
        assert viewer.receive() == {'close': 1012}
        viewer.close()

    @pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
    def test_devices_hear_goodbye(self, running: Any, number: signal.Signals):
        with contextlib.closing(running.client()) as client:
            hearing = client.device('hearing')
            old = client.device('old', hears_goodbye=False)
            hearing.telemetry(1, ('t', 1, NOW_MS))
            running.process.send_signal(number)
            assert hearing.receive() == {'type': 'telemetry_ack', 'seq': 1}
            assert hearing.receive() == {'close': 1001}
            hearing.close()
            assert old.ends(), 'the connection just ends for who would go on writing'
            old.close()
        assert running.process.wait(20) == 0
        assert 'Traceback' not in running.output

    def test_frames_that_came_are_answered_first(self, running: Any):
        """Frame after frame without a pause: the last words are acks, then the goodbye."""
        with contextlib.closing(running.client()) as client:
            device = client.device('kiln-7')
            for seq in range(1, 21):
                device.telemetry(seq, *(('t', seq, NOW_MS + 100 * seq + i) for i in range(100)))
            running.process.send_signal(signal.SIGTERM)
            acknowledged, answer = 0, device.receive()
            while 'close' not in answer:
                acknowledged, answer = answer['seq'], device.receive()
            assert answer == {'close': 1001}
            device.close()
        assert running.process.wait(20) == 0
        running.start()
        with contextlib.closing(running.client()) as client:
            assert len(client.samples('kiln-7', 't')) == 100 * acknowledged

    def test_a_device_that_does_not_read_holds_nothing_up(self, running: Any):
        with contextlib.closing(running.client()) as client:
            device = client.device('kiln-7')
            begin = time.monotonic()
            assert running.end() == 0
            assert time.monotonic() - begin < 10
            device.close()

    def test_devices_that_vanish_amid_their_answers(self, running: Any):
        with contextlib.closing(running.client()) as client:
            for attempt in range(40):
                device = client.device(f'kiln-{attempt}')
                for _ in range(attempt):
                    device.send('rubbish')
                # Without the usual farewell: what is under way to the device is thrown back.
                device.socket.sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                device.close()
            assert running.end() == 0
        assert 'Traceback' not in running.output

    def test_sockets_that_never_said_who_they_are(self, running: Any):
        with contextlib.closing(running.client()) as client:
            stranger = client.stranger()
            assert running.end() == 0
            stranger.close()


def test_idle_costs_nothing(running: Any):
    def cpu_seconds() -> float:
        fields = Path(f'/proc/{running.process.pid}/stat').read_text().rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    with contextlib.closing(running.client()) as client:
        device = client.device('kiln-7')
        device.telemetry(1, ('t', 1, NOW_MS))
        assert device.receive()['seq'] == 1
        before = cpu_seconds()
        time.sleep(2)  # what is measured is the passing of time
        assert cpu_seconds() - before <= 0.02, 'more than 1 % of a core while nothing happens'
        device.close()


def test_a_full_disk_loses_nothing_and_gets_over(running: Any, wait_for: Callable[..., None]):
    """A limit on file sizes, set and lifted while the process runs, stands for a full disk."""
    with contextlib.closing(running.client()) as client:
        device = client.device('kiln-7')
        device.telemetry(1, ('t', 1, NOW_MS))
        assert device.receive() == {'type': 'telemetry_ack', 'seq': 1}
        size = (running.folder / 'gateway.db-wal').stat().st_size
        unlimited = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, unlimited[1]))
        points = [('u', index, NOW_MS + index) for index in range(3000)]
        device.telemetry(2, *points)
        error = device.receive()
        assert (error['code'], 'seq' in error) == ('REDIS_UNAVAILABLE', False)
        assert device.receive() == {'close': 1013}
        device.close()
        assert client.request('GET', '/health').json()['status'] == 'degraded'
        assert client.post('/ingest', {'points': []}).status_code == 503
        assert client.samples('kiln-7', 't') == [(NOW_MS, 1)], 'reading still works'
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, unlimited)
        wait_for(lambda: client.request('GET', '/health').status_code == 200, 'it works again')
        again = client.device('kiln-7')
        again.telemetry(1, *points)
        assert again.receive() == {'type': 'telemetry_ack', 'seq': 1}
        again.close()
        assert len(client.samples('kiln-7', 'u')) == 3000
    assert running.end() == 0

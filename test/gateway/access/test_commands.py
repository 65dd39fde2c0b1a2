# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""`plexus-bridge gateway keys` and `… pair`, beside a gateway that runs and without one."""

from __future__ import annotations

import argparse
from collections.abc import Callable
import contextlib
from pathlib import Path
import re
import sqlite3
from typing import Any

import pytest

from plexus_bridge.gateway import serve
from plexus_bridge.gateway.access import device_codes
from plexus_bridge.gateway.access import pairing
from plexus_bridge.gateway.access.keys import KeyRing
from plexus_bridge.gateway.instants import wall_ms
from plexus_bridge.gateway.storage.schema import open_writer

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a gateway that was started once."""
    _, _, store = serve.open_folder(tmp_path)
    store.close_now()
    return tmp_path


@pytest.fixture
def command(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Call `plexus-bridge gateway …`; returns exit code, output and errors."""

    def call(*argv: str, data: Path = folder) -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        serve.add_arguments(parser)
        code = serve.run(parser.parse_args([*argv, '--data', str(data)]))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def connection(folder: Path) -> Any:
    with contextlib.closing(open_writer(folder / 'gateway.db')) as connection:
        yield connection


class TestKeys:

    def test_a_key_is_printed_alone_and_listed_without_itself(
            self, command: Command, connection: sqlite3.Connection):
        code, out, err = command(
            'keys', 'create', '--name', 'arm', '--scope', 'read', '--scope', 'write',
            '--source-id', 'arm-1', '--receive-commands', '--expires', '90d')
        assert code == 0
        key = out.strip()
        assert re.fullmatch('plx_[A-Za-z0-9]{32}', key)
        assert 'shown only now' in err
        found = KeyRing(connection).find(key)
        assert found is not None
        assert (found.name, found.scopes, found.source_id, found.receive_commands) == (
            'arm', frozenset({'read', 'write'}), 'arm-1', True)
        assert found.expires_ms is not None
        assert abs(found.expires_ms - wall_ms() - 90 * 86_400_000) < 60_000
        code, out, _ = command('keys', 'list')
        assert code == 0
        head, first, second = out.splitlines()
        assert head.split()[:4] == ['ID', 'KEY', 'NAME', 'SCOPES']
        assert 'first key' in first
        for text in ('2 ', key[:12] + '…', 'arm', 'read write', 'arm-1', 'yes', 'valid'):
            assert text in second
        assert key not in out

    def test_a_key_is_revoked_by_its_number_or_beginning(self, command: Command):
        keys = [command('keys', 'create')[1].strip() for _ in range(2)]
        assert command('keys', 'revoke', '2')[:2] == (0, f'revoked: {keys[0][:12]}…\n')
        assert command('keys', 'revoke', keys[1][:12])[0] == 0
        states = [line.split()[-1] for line in command('keys', 'list')[1].splitlines()[1:]]
        assert states == ['valid', 'revoked', 'revoked']
        for wanted in ('2', '99', 'plx_', "' OR 1=1 --"):
            code, out, err = command('keys', 'revoke', wanted)
            assert (code, out) == (1, '')
            assert f'saw {wanted!r}, which is no key that is accepted' in err

    def test_revoking_the_key_of_the_file_says_what_comes(self, command: Command, folder: Path):
        assert str(folder / 'key') in command('keys', 'revoke', '1')[1]

    @pytest.mark.parametrize('options', [
        ['--scope', 'admin'], ['--expires', '90'], ['--expires', '0d'], ['--expires', '1w'],
        ['--source-id', '../etc'], ['--source-id', '01234567-89ab-cdef-0123-456789abcdef'],
        ['--name', 'x' * 201], ['--name', 'a\nb']])
    def test_wrong_options(self, command: Command, options: list[str]):
        with pytest.raises(SystemExit) as usage:
            command('keys', 'create', *options)
        assert usage.value.code == 2

    def test_a_folder_without_a_gateway(self, command: Command, tmp_path: Path):
        for action in (['keys', 'list'], ['pair']):
            code, out, err = command(*action, data=tmp_path / 'other')
            assert (code, out) == (1, '')
            assert 'start the gateway once' in err
            assert not (tmp_path / 'other').exists()

    def test_a_gateway_that_runs_takes_and_drops_keys(
            self, command: Command, running: Any, wait_for: Callable[..., None]):
        with contextlib.closing(running.client()) as client:
            key = command('keys', 'create', data=running.folder)[1].strip()

            def status() -> int:
                answer = client.post('/ingest', {'points': []}, **{'x-api-key': key})
                return int(answer.status_code)

            wait_for(lambda: status() == 200, 'the key is taken', 5.0)
            client.key = key
            device = client.device('kiln-7')
            assert command('keys', 'revoke', key[:12], data=running.folder)[0] == 0
            assert device.ends()
            assert status() == 401


class TestPair:

    def test_a_code_is_printed_alone(self, command: Command, connection: sqlite3.Connection):
        code, out, err = command('pair', '--name', 'arm', '--source-id', 'arm-1')
        assert code == 0
        assert f'plexus-bridge pair --code {out.strip()}' in err
        found = pairing.find(connection, out.strip())
        assert found is not None
        assert (found.wanted.name, found.wanted.source_id) == ('arm', 'arm-1')
        assert found.wanted.receive_commands, 'a robot that is paired can be driven'
        assert 590_000 < found.expires_ms - wall_ms() <= 600_000

    def test_a_device_that_shall_only_send(self, command: Command, connection: sqlite3.Connection):
        found = pairing.find(connection, command('pair', '--no-receive-commands')[1].strip())
        assert found is not None
        assert not found.wanted.receive_commands

    def test_devices_are_approved_and_denied(
            self, command: Command, connection: sqlite3.Connection):
        one, two = (device_codes.begin(connection, 'arm', wall_ms()) for _ in range(2))
        assert command('pair', '--approve', one.user_code)[:2] == (0, 'approved: arm\n')
        assert command('pair', '--deny', two.user_code)[:2] == (0, 'denied: arm\n')
        assert device_codes.take(connection, one.device_code, wall_ms()) is not None
        assert device_codes.status_of(connection, two.device_code, wall_ms()) == 'denied'
        code, out, err = command('pair', '--approve', one.user_code)
        assert (code, out) == (1, '')
        assert 'no device waits with this code' in err

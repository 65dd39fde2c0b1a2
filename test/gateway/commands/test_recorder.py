# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs and statuses on the disk: kept together, kept through a failure, and not kept for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
import sqlite3
from typing import Any

from commanded_device import HELLO
from commanded_device import status
import pytest

from plexus_bridge.gateway.commands import records
from plexus_bridge.gateway.commands.recorder import Recorder
from plexus_bridge.gateway.commands.records import Status
from plexus_bridge.gateway.commands.run import Run
from plexus_bridge.gateway.commands.run import V1
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.gateway import Settings
from plexus_bridge.gateway.storage.store import Store

NOW_MS = 1_790_000_000_000
RUNS = '/v1/sources/kiln-7/command-runs'


def run_of(number: int, state: str = 'succeeded', source_id: str = 'kiln-7') -> Run:
    return Run(f'run-{number}', source_id, 'tare', {'cell': number}, V1, 'Ada', True,
               NOW_MS + number, NOW_MS + number, state=state, result={'n': number})


def test_a_run_comes_back_as_it_was(database: sqlite3.Connection):
    run = run_of(1, 'running')
    records.save(database, [records.row_of(run)], [
        Status('run-1', 1, seq, NOW_MS + seq, f'{{"seq":{seq}}}') for seq in (2, 1)])
    assert records.find_run(database, 'kiln-7', 'run-1') == run
    assert records.find_run(database, 'kiln-8', 'run-1') is None
    assert records.find_run(database, "' OR 1=1 --", 'run-1') is None
    assert [each['seq'] for each in records.statuses_of(database, 'run-1')] == [1, 2]
    assert records.open_runs(database) == [run]


def test_the_oldest_ended_runs_are_forgotten(
        database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(records, 'MAX_RUNS', 2)
    runs = [run_of(0, 'running'), *(run_of(number) for number in range(1, 6)),
            run_of(9, source_id='kiln-8')]
    records.save(database, map(records.row_of, runs), [
        Status('run-1', 1, 1, NOW_MS, '{}'), Status('run-5', 1, 1, NOW_MS, '{}')])
    records.prune(database, 'kiln-7')
    left = records.list_runs(database, 'kiln-7', None, None, 100)
    assert [run.run_id for run in left] == ['run-5', 'run-4', 'run-0']
    assert records.find_run(database, 'kiln-8', 'run-9') is not None
    assert records.statuses_of(database, 'run-1') == []
    assert len(records.statuses_of(database, 'run-5')) == 1


def test_a_status_is_acknowledged_only_once_it_is_written(
        client: Any, gateway: Gateway, device: Callable[..., Any], tmp_path: Any):
    robot = device('kiln-7', **HELLO)
    run = client.post(RUNS, {'command': 'once'}).json()['run']
    robot.receive()
    client.get(f'{RUNS}/{run["run_id"]}')
    blocker = sqlite3.connect(tmp_path / 'gateway.db', isolation_level=None)
    blocker.execute('BEGIN IMMEDIATE')  # the writer waits
    status(robot, run, 1, 'succeeded', result={})
    robot.socket.settimeout(0.3)
    with pytest.raises(Exception, match='timed out'):
        robot.receive()
    blocker.execute('COMMIT')
    blocker.close()
    robot.socket.settimeout(20)
    assert robot.receive() == {'type': 'command_status_ack', 'run_id': run['run_id'], 'seq': 1}


def test_a_failure_of_the_disk_loses_no_status(
        client: Any, gateway: Gateway, device: Callable[..., Any],
        monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('plexus_bridge.gateway.commands.recorder.RETRY_S', 0.05)
    robot = device('kiln-7', **HELLO)
    run = client.post(RUNS, {'command': 'once'}).json()['run']
    robot.receive()
    client.get(f'{RUNS}/{run["run_id"]}')
    connection = gateway.store._connection
    [pages] = connection.execute('PRAGMA page_count').fetchone()
    connection.execute(f'PRAGMA max_page_count = {pages}')
    status(robot, run, 1, 'succeeded', result={'log': 'x' * 60_000})
    robot.socket.settimeout(0.3)
    with pytest.raises(Exception, match='timed out'):
        robot.receive()
    connection.execute('PRAGMA max_page_count = 1000000')
    robot.socket.settimeout(20)
    assert robot.receive()['seq'] == 1
    assert len(client.get(f'{RUNS}/{run["run_id"]}')['run']['statuses']) == 1


@pytest.mark.parametrize('seq', [2**63, 2**64 - 1, 2**70, 0, True, '1'])
def test_a_number_that_is_none_stops_nothing(
        client: Any, device: Callable[..., Any], seq: object):
    robot = device('kiln-7', **HELLO)
    run = client.post(RUNS, {'command': 'once'}).json()['run']
    robot.receive()
    robot.send({'type': 'command_status', 'run_id': run['run_id'], 'seq': seq, 'state': 'running'})
    status(robot, run, 1, 'succeeded', result={})
    answers = [robot.receive()]
    while answers[-1]['seq'] != 1 or answers[-1]['seq'] is True:
        answers.append(robot.receive())
    assert client.get(f'{RUNS}/{run["run_id"]}')['run']['state'] == 'succeeded'


def test_what_can_never_be_written_does_not_hold_up_the_rest(
        client: Any, gateway: Gateway, caplog: pytest.LogCaptureFixture):
    async def note(run: Run) -> None:
        gateway.commands._recorder.note(run)
        await gateway.commands.written()

    asyncio.run_coroutine_threadsafe(
        note(replace(run_of(1), created_ms=2**64)), gateway.store._loop).result(20)
    asyncio.run_coroutine_threadsafe(note(run_of(2)), gateway.store._loop).result(20)
    assert [run['run_id'] for run in client.get(RUNS)['runs']] == ['run-2']
    assert 'cannot be kept are left out' in caplog.text


def test_a_disk_that_is_full_at_the_end_does_not_keep_the_gateway_from_ending(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('plexus_bridge.gateway.commands.recorder.CLOSE_PATIENCE_S', 0.2)

    async def fail_while_it_ends() -> None:
        store = Store(tmp_path / 'gateway.db')
        store.start()
        recorder = Recorder(store)
        recorder.start()
        connection = store._connection
        [pages] = connection.execute('PRAGMA page_count').fetchone()
        connection.execute(f'PRAGMA max_page_count = {pages}')
        recorder.note(replace(run_of(1), result='x' * 60_000))
        await asyncio.wait_for(recorder.close(), 10)
        assert store.failure is not None
        await store.close()

    asyncio.run(fail_while_it_ends())


def test_without_results_devices_are_asked_to_withhold_them(
        client: Any, gateway: Gateway, device: Callable[..., Any]):
    gateway.settings = Settings(store_results=False)
    gateway.commands.keeps_results = False
    robot = device('kiln-7', **HELLO)
    assert robot.authenticated['store_results'] is False
    run = client.post(RUNS, {'command': 'once'}).json()['run']
    robot.receive()
    status(robot, run, 1, 'succeeded', result={'secret': 1})
    robot.receive()
    shown = client.get(f'{RUNS}/{run["run_id"]}')['run']
    assert (shown['state'], 'result' in shown, 'result' in shown['statuses'][0]) == (
        'succeeded', False, False)

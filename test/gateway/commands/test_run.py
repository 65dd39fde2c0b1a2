# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a device's statuses make of a run (protocol sections 8.4, 8.5 and 9)."""

from __future__ import annotations

from typing import Any

import pytest

from plexus_bridge.gateway.commands.run import EXPIRED
from plexus_bridge.gateway.commands.run import LEGACY
from plexus_bridge.gateway.commands.run import MAX_RESULT_BYTES
from plexus_bridge.gateway.commands.run import Run
from plexus_bridge.gateway.commands.run import V1

NOW_MS = 1_790_000_000_000


def new_run(dialect: str = V1) -> Run:
    run = Run('run-1', 'kiln-7', 'tare', {'cell': 2}, dialect, 'Ada', True, NOW_MS,
              NOW_MS + 30_000)
    run.message_to_device(30_000)
    return run


def hear(run: Run, seq: object, state: object, **more: Any) -> bool:
    return run.hear({'seq': seq, 'state': state, **more}, NOW_MS + 1)


def test_each_message_to_the_device_counts_an_attempt():
    run = new_run()
    assert run.message_to_device(1500.9) == {
        'type': 'command_run', 'run_id': 'run-1', 'command': 'tare', 'params': {'cell': 2},
        'ttl_ms': 1500, 'attempt': 2}
    assert run.message_to_device(-3.5)['ttl_ms'] == 0


def test_numbers_have_gaps_and_repetitions_change_nothing():
    run = new_run()
    assert hear(run, 1, 'acknowledged')
    assert not hear(run, 1, 'acknowledged')
    assert hear(run, 7, 'running')
    assert not hear(run, 3, 'failed', error_code='busy')
    assert (run.state, run.seq) == ('running', 7)


def test_the_first_end_counts():
    run = new_run()
    assert hear(run, 1, 'failed', error_code='busy', error_message='one is running')
    assert not hear(run, 2, 'succeeded', result={})
    assert (run.state, run.error_code, run.error_message) == ('failed', 'busy', 'one is running')


def test_the_devices_word_counts_more_than_ours():
    run = new_run()
    run.end(EXPIRED, 'nobody answered', NOW_MS)
    assert run.final
    assert hear(run, 1, 'acknowledged')
    assert (run.final, run.error_code) == (False, None)
    run.end(EXPIRED, 'nobody answered', NOW_MS)
    assert hear(run, 2, 'succeeded')
    assert (run.state, run.error_code) == ('succeeded', None)


def test_a_device_that_was_restarted_counts_from_one_again():
    run = new_run()
    hear(run, 1, 'acknowledged')
    hear(run, 2, 'running')
    hear(run, 3, 'progress', progress=10)
    run.message_to_device(1000)
    assert hear(run, 1, 'acknowledged')
    assert hear(run, 2, 'running')
    assert hear(run, 3, 'succeeded', result={'ok': True})
    assert run.result == {'ok': True}


@pytest.mark.parametrize(('seq', 'state'), [
    (0, 'running'), (-1, 'running'), (True, 'running'), ('1', 'running'), (None, 'running'),
    (1.0, 'running'), (1, 'sent'), (1, None), (1, ['running']), (1, '')])
def test_what_is_no_status_says_nothing(seq: object, state: object):
    run = new_run()
    before = run.body()
    assert not hear(run, seq, state)
    assert run.body() == before


@pytest.mark.parametrize(('said', 'taken'), [
    (41.5, 41.5), (-3, 0.0), (1e9, 100.0), (10**400, 100.0), (True, None), ('half', None),
    (float('nan'), None), (None, None)])
def test_progress_is_a_number_up_to_a_hundred(said: object, taken: float | None):
    run = new_run()
    assert hear(run, 1, 'progress', progress=said, message=7)
    assert (run.state, run.progress, run.message) == ('running', taken, None)


@pytest.mark.parametrize(('said', 'taken'), [
    ({'a': 1}, {'a': 1}), (None, None), ({'log': 'x' * MAX_RESULT_BYTES}, None),
    ({'bad': '\ud800'}, None)])
def test_results_that_cannot_be_kept_are_dropped_and_the_state_stays(said: Any, taken: Any):
    run = new_run()
    assert hear(run, 1, 'succeeded', result=said)
    assert (run.state, run.result) == ('succeeded', taken)


def test_an_operation_that_keeps_no_results_keeps_states():
    run = new_run()
    run.hear({'seq': 1, 'state': 'progress', 'progress': 5, 'message': 'secret'}, NOW_MS,
             keep_results=False)
    assert (run.progress, run.message) == (5.0, None)
    run.hear({'seq': 2, 'state': 'succeeded', 'result': {'secret': 1}}, NOW_MS,
             keep_results=False)
    assert (run.state, run.result) == ('succeeded', None)


@pytest.mark.parametrize(('event', 'state'), [
    ({'event': 'result', 'result': {'ok': True}}, 'succeeded'),
    ({'event': 'error', 'error': 'load cell offline'}, 'failed')])
def test_a_legacy_command_ends_once(event: dict[str, Any], state: str):
    run = new_run(LEGACY)
    assert run.message_to_device(0) == {
        'type': 'typed_command', 'id': 'run-1', 'command': 'tare', 'params': {'cell': 2}}
    assert run.hear_legacy({'event': 'ack'}, NOW_MS)
    assert run.state == 'acknowledged'
    assert run.hear_legacy(event, NOW_MS)
    assert run.state == state
    assert not run.hear_legacy({'event': 'result'}, NOW_MS)
    assert not new_run(LEGACY).hear_legacy({'event': ['ack']}, NOW_MS)

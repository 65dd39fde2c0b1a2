# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge import encoding
from plexus_bridge.protocol.commands import CommandReports
from plexus_bridge.protocol.commands import json_result
from plexus_bridge.protocol.commands import MAX_HELD
from plexus_bridge.protocol.commands import MAX_RUNS
from plexus_bridge.protocol.commands import read_run

ANSWER = {'type': 'authenticated'}


def opened(**answer: Any) -> CommandReports:
    reports = CommandReports()
    reports.opened({**ANSWER, **answer})
    return reports


def states(messages: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(message['seq'], message['state']) for message in messages]


@pytest.mark.parametrize('message', [
    {}, {'run_id': ''}, {'run_id': 7}, {'run_id': None}, {'run_id': 'x' * 513}])
def test_a_run_without_a_usable_id_is_ignored(message):
    assert read_run({'type': 'command_run', 'command': 'tare', **message}) is None


@pytest.mark.parametrize(('ttl', 'read'), [
    (30000, 30000.0), (0, 0.0), (-1, -1.0), (None, None), (True, None), ('30', None),
    (float('nan'), 0.0), (float('inf'), 0.0), (10**400, float('inf'))])
def test_the_time_left_is_a_number_or_nothing(ttl, read):
    request = read_run({'run_id': 'r', 'command': 'tare', 'ttl_ms': ttl})
    assert request is not None
    assert request.ttl_ms == read


def test_a_run_with_progress_is_told_as_the_official_client_does():
    reports = opened()
    record = reports.begin('r-81', 'dock')
    reports.acknowledge(record)
    reports.running(record)
    reports.progress(record, 10, 'on the way', now=0.0)
    reports.progress(record, 20, 'too soon after the last', now=0.5)
    reports.progress(record, 150, '', now=0.6)
    reports.succeed(record, {'ok': True})
    messages = reports.messages_to_send()
    assert states(messages) == [(1, 'acknowledged'), (2, 'running'), (3, 'progress'),
                                (4, 'progress'), (5, 'succeeded')]
    assert (messages[2]['progress'], messages[2]['message']) == (10.0, 'on the way')
    assert messages[3]['progress'] == 100.0
    assert messages[4] == {'type': 'command_status', 'run_id': 'r-81', 'seq': 5,
                           'state': 'succeeded', 'result': {'ok': True}}
    assert reports.take_ack({'run_id': 'r-81', 'seq': 2}) is None
    reports.lost()
    reports.opened(ANSWER)
    again = reports.messages_to_send()
    assert again[0] == {'type': 'command_sync', 'runs': [
        {'run_id': 'r-81', 'state': 'succeeded', 'seq': 5}]}
    assert states(again[1:]) == [(5, 'succeeded')]
    assert reports.take_ack({'run_id': 'r-81', 'seq': 5}) is record


def test_what_happens_while_offline_is_told_on_the_next_connection():
    reports = opened()
    record = reports.begin('r', 'dock')
    reports.acknowledge(record)
    reports.lost()
    reports.running(record)
    reports.progress(record, 50, '', now=1.0)
    reports.fail(record, 'handler_error', 'ValueError: no dock')
    assert reports.messages_to_send() == []
    reports.opened(ANSWER)
    assert states(reports.messages_to_send()[1:]) == [
        (1, 'acknowledged'), (2, 'running'), (3, 'failed')]


def test_a_run_that_comes_again_is_answered_with_its_end_under_a_new_number():
    reports = opened()
    record = reports.begin('r', 'dock')
    reports.acknowledge(record)
    reports.fail(record, 'handler_error', 'RuntimeError: jammed')
    reports.messages_to_send()
    reports.repeat(record)
    assert reports.messages_to_send() == [{
        'type': 'command_status', 'run_id': 'r', 'seq': 3, 'state': 'failed',
        'error_code': 'handler_error', 'error_message': 'RuntimeError: jammed'}]


def test_a_run_that_comes_again_before_it_has_a_state_is_a_duplicate():
    reports = opened()
    reports.repeat(reports.begin('r', 'dock'))
    (status,) = reports.messages_to_send()
    assert (status['state'], status['error_code']) == ('failed', 'duplicate')


def test_one_run_that_comes_ever_again_displaces_no_other_status():
    reports = opened()
    other, noisy = reports.begin('other', 'dock'), reports.begin('noisy', 'dock')
    for record in (other, noisy):
        reports.acknowledge(record)
        reports.succeed(record, None)
    for _ in range(2 * MAX_HELD):
        reports.repeat(noisy)
    reports.lost()
    reports.opened(ANSWER)
    assert ('other', 'succeeded') in [
        (status['run_id'], status['state']) for status in reports.messages_to_send()[1:]]
    assert reports.statuses_forgotten == 0


def test_no_more_than_256_statuses_are_held():
    reports = CommandReports()
    for number in range(MAX_HELD + 10):
        reports.fail(reports.begin(f'r{number}', 'dock'), 'busy', '')
    reports.opened(ANSWER)
    sync, *held = reports.messages_to_send()
    assert len(sync['runs']) == MAX_RUNS
    assert len(held) == MAX_HELD
    assert reports.statuses_forgotten == 10


def test_refusals_are_forgotten_before_runs_and_runs_in_progress_never():
    reports = opened()
    running, done = reports.begin('running', 'dock'), reports.begin('done', 'dock')
    reports.acknowledge(running)
    reports.acknowledge(done)
    reports.succeed(done, None)
    for number in range(2 * MAX_RUNS):
        reports.fail(reports.begin(f'refused{number}', 'dock'), 'bad_params', '')
    assert reports.find('running') is running
    assert reports.find('done') is done
    for number in range(2 * MAX_RUNS):
        ran = reports.begin(f'ran{number}', 'dock')
        reports.acknowledge(ran)
        reports.succeed(ran, None)
    assert reports.find('running') is running
    assert reports.find('done') is None


@pytest.mark.parametrize(('length', 'kept'), [
    (1000, {'result', 'seq', 'state', 'type', 'run_id'}),
    (70_000, {'seq', 'state', 'type', 'run_id'})])
def test_a_result_beyond_64_kib_is_left_out_and_the_state_travels(length, kept):
    reports = opened()
    record = reports.begin('r', 'read')
    reports.succeed(record, 'x' * length)
    (status,) = reports.messages_to_send()
    assert set(status) == kept
    assert len(encoding.dumps(status)) <= 65536


def test_a_lower_limit_of_the_gateway_stays_for_good_and_takes_the_error_text_last():
    reports = opened(max_frame_bytes=200)
    reports.lost()
    reports.opened({**ANSWER, 'max_frame_bytes': 1_048_576})
    reports.fail(reports.begin('short', 'dock'), 'handler_error', 'E: jammed')
    reports.fail(reports.begin('long', 'dock'), 'handler_error', 'E: ' + 'x' * 200)
    short, long = reports.messages_to_send()
    assert short['error_message'] == 'E: jammed'
    assert long == {'type': 'command_status', 'run_id': 'long', 'seq': 1, 'state': 'failed',
                    'error_code': 'handler_error'}


def test_a_gateway_that_keeps_no_results_is_sent_none_until_it_does():
    reports = opened(store_results=False)
    record = reports.begin('r', 'read')
    reports.progress(record, 5, 'secret', now=0.0)
    reports.succeed(record, {'secret': 1})
    text = str(reports.messages_to_send())
    assert 'secret' not in text
    assert 'succeeded' in text
    reports.lost()
    reports.opened(ANSWER)
    assert reports.messages_to_send()[-1]['result'] == {'secret': 1}


@pytest.mark.parametrize('ack', [
    {}, {'run_id': 'r'}, {'run_id': 'r', 'seq': True}, {'run_id': 'r', 'seq': '2'},
    {'run_id': 'r', 'seq': 0}, {'run_id': 7, 'seq': 2}, {'run_id': 'nobody', 'seq': 2}])
def test_an_acknowledgement_that_makes_no_sense_releases_nothing(ack):
    reports = opened()
    record = reports.begin('r', 'dock')
    reports.succeed(record, None)
    reports.take_ack(ack)
    reports.lost()
    reports.opened(ANSWER)
    assert len(reports.messages_to_send()) == 2


@pytest.mark.parametrize(('value', 'result'), [
    (None, {}), ({'a': 1}, {'a': 1}), ([1, 2], {'value': [1, 2]}), (7, {'value': 7}),
    ({1: 'x'}, {'1': 'x'}), (object, {'value': "<class 'object'>"}),
    (float('nan'), {'value': 'nan'}), (2**80, {'value': str(2**80)}),
    ('\ud800', {'value': r"'\ud800'"})])
def test_a_result_is_what_json_can_carry(value, result):
    assert json_result(value) == result
    encoding.dumps(result)


STEPS = st.lists(st.tuples(
    st.sampled_from(['begin', 'running', 'progress', 'succeed', 'fail', 'repeat', 'ack',
                     'lost', 'open']),
    st.integers(0, 3), st.integers(1, 12)), max_size=60)


@given(STEPS)
def test_numbers_grow_and_no_run_has_two_ends_whatever_happens(steps):
    reports = CommandReports()
    live = False
    heard: dict[str, list[tuple[int, str]]] = {}
    for now, (step, number, seq) in enumerate(steps):
        record = reports.find(f'r{number}')
        if step == 'open' and not live:
            live = True
            reports.opened(ANSWER)
        elif step == 'lost':
            live = False
            reports.lost()
        elif record is None:
            if step == 'begin':
                reports.acknowledge(reports.begin(f'r{number}', 'c'))
        elif step == 'ack':
            reports.take_ack({'run_id': record.run_id, 'seq': seq})
        elif step == 'progress':
            reports.progress(record, seq, '', now)
        elif step == 'fail':
            reports.fail(record, 'handler_error', 'x')
        elif step == 'succeed':
            reports.succeed(record, seq)
        elif step in ('running', 'repeat'):
            getattr(reports, step)(record)
        for message in reports.messages_to_send() if live else ():
            if message['type'] == 'command_status':
                heard.setdefault(message['run_id'], []).append((message['seq'], message['state']))
    for told in heard.values():
        assert len({seq for seq, _ in told}) == len(set(told)), 'a number has one meaning'
        assert len({state for _, state in told if state in ('succeeded', 'failed')}) <= 1

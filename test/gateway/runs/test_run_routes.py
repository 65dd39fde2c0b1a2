# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs over HTTP: made, closed, judged, listed, compared, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from plexus_bridge.errors import StoreError
from plexus_bridge.gateway.access.keys import create_key
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import KeyRing
from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.runs import run_routes

START_MS = 1_790_000_000_000
START = '2026-09-21T14:13:20.000Z'
END = '2026-09-21T14:13:30.000Z'
COOL = {'metric': 'temp', 'operator': '<', 'value': 85, 'label': 'stays cool'}


class Runs:
    """The runs of one gateway, by its API."""

    def __init__(self, client: Any):
        self.client = client

    def send(self, *values: float, source: str = 'kiln-7', metric: str = 'temp',
             start_ms: int = START_MS, **point: Any) -> None:
        """Store one point a second."""
        answer = self.client.post('/ingest', {'source_id': source, 'points': [
            {'metric': metric, 'value': value, 'timestamp': start_ms + 1000 * index, **point}
            for index, value in enumerate(values)]})
        assert answer.status_code == 200, answer.text

    def create(self, **fields: Any) -> dict[str, Any]:
        answer = self.client.post('/api/runs', {
            'name': 'firing', 'source_id': 'kiln-7', 'started_at': START, **fields})
        assert answer.status_code == 201, answer.text
        run: dict[str, Any] = answer.json()['run']
        return run

    def patch(self, run_id: str, **fields: Any) -> Any:
        return self.client.request('PATCH', f'/api/runs/{run_id}', json=fields)

    def close(self, run: dict[str, Any], **fields: Any) -> dict[str, Any]:
        answer = self.patch(run['id'], **{'status': 'completed', 'ended_at': END, **fields})
        assert answer.status_code == 200, answer.text
        closed: dict[str, Any] = answer.json()['run']
        return closed

    def show(self, run: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = self.client.get(f'/api/runs/{run["id"]}')['run']
        return shown

    def names(self, **filters: object) -> list[str]:
        return [run['name'] for run in self.client.get('/api/runs', **filters)['runs']]


@pytest.fixture
def runs(client: Any) -> Runs:
    runs = Runs(client)
    runs.send(20.0, start_ms=START_MS - 60_000)
    return runs


class TestCreate:

    def test_a_run_is_told_with_all_its_fields(self, runs: Runs):
        run = runs.create(tags={'build': 'a41f'}, metadata={'glaze': [4, None]},
                          pass_criteria=[COOL])
        assert set(run) == {
            'id', 'org_id', 'name', 'source_id', 'status', 'started_at', 'ended_at', 'tags',
            'metadata', 'pass_criteria', 'test_result', 'created_by', 'created_at', 'updated_at'}
        assert (run['name'], run['source_id'], run['status']) == ('firing', 'kiln-7', 'active')
        assert (run['started_at'], run['ended_at'], run['test_result']) == (START, None, None)
        assert (run['tags'], run['metadata']) == ({'build': 'a41f'}, {'glaze': [4, None]})
        assert run['pass_criteria'] == [COOL]
        assert runs.show(run) == run

    def test_a_source_that_is_not_there_yet_is_registered_first(self, runs: Runs):
        client = runs.client
        body = {'name': 'r', 'source_id': 'new-1'}
        refused = client.post('/api/runs', body)
        assert refused.status_code == 404
        assert refused.json()['error'] == 'NOT_FOUND'
        source = {'source_type': 'device', 'slug': 'new-1', 'device_type': 'script',
                  'metadata': {'created_by': 'plexus-python start_run'}}
        made = client.post('/api/sources', source)
        assert (made.status_code, made.json()['source']['slug']) == (201, 'new-1')
        again = client.post('/api/sources', source)
        assert (again.status_code, again.json()['error']) == (409, 'CONFLICT')
        assert 'already exists' in again.text
        assert client.post('/api/runs', body).status_code == 201

    def test_a_connected_device_has_a_source(self, runs: Runs, device: Callable[..., Any]):
        device('silent-1')
        assert runs.create(source_id='silent-1')['source_id'] == 'silent-1'

    def test_a_run_of_all_sources(self, runs: Runs):
        runs.send(80.0)
        runs.send(90.0, source='kiln-8', start_ms=START_MS + 500)
        closed = runs.close(runs.create(source_id=None, pass_criteria=[COOL]))
        [result] = closed['test_result']['criteria_results']
        assert (result['points'], result['failed_points']) == (2, 1)
        assert result['first_failure'] == {
            'timestamp_ms': START_MS + 500, 'value': 90.0, 'source_id': 'kiln-8'}

    @pytest.mark.parametrize(('fields', 'text'), [
        ({'name': ''}, 'name: saw'), ({'name': 'x' * 201}, '1 to 200 characters'),
        ({'name': 7}, 'name: saw 7'), ({'name': None}, 'name: saw nothing'),
        ({'source_id': "x'; DROP TABLE run; --"}, 'source_id'), ({'source_id': '../etc'}, 'saw'),
        ({'source_id': 5}, 'source_id'), ({'started_at': '2026-09-21T14:13:20'}, 'offset or Z'),
        ({'started_at': 1790000000}, 'started_at'), ({'started_at': '9999-99-99T00:00Z'}, 'Z'),
        ({'ended_at': '2026-09-21T14:13:19.999Z'}, 'before started_at'),
        ({'status': 'done'}, 'active, completed, aborted'), ({'status': ['active']}, 'status'),
        ({'tags': 'a'}, 'tags'), ({'metadata': {'x': 'y' * 70_000}}, 'at most 65536'),
        ({'pass_criteria': {}}, 'an array'), ({'pass_criteria': [COOL] * 101}, 'at most 100'),
        ({'pass_criteria': ['x']}, 'pass_criteria[0]: saw'),
        ({'pass_criteria': [{**COOL, 'metric': ''}]}, 'pass_criteria[0].metric'),
        ({'pass_criteria': [COOL, {**COOL, 'operator': 'LIKE'}]}, 'pass_criteria[1].operator'),
        ({'pass_criteria': [{**COOL, 'operator': {}}]}, 'pass_criteria[0].operator'),
        ({'pass_criteria': [{**COOL, 'value': '85'}]}, 'pass_criteria[0].value'),
        ({'pass_criteria': [{**COOL, 'value': True}]}, 'finite number'),
        ({'pass_criteria': [{**COOL, 'label': 3}]}, 'pass_criteria[0].label')])
    def test_wrong_fields(self, runs: Runs, fields: dict[str, Any], text: str):
        answer = runs.client.post('/api/runs', {'name': 'r', 'started_at': START, **fields})
        assert (answer.status_code, answer.json()['error']) == (400, 'VALIDATION_ERROR')
        assert text in answer.json()['message']
        assert runs.names() == []

    @pytest.mark.parametrize(('body', 'status'), [
        (b'', 400), (b'{', 400), (b'[]', 400), (b'"x"', 400), (b'null', 400), (b'\xff\xfe', 400),
        (b'{"name": "\\ud800"}', 400), (b'[' * 100_000, 400), (b' ' * (1024 * 1024 + 1), 413),
        (b'{"name": "r", "pass_criteria": [{"metric": "m", "operator": "<", "value": 1e999}]}',
         400)])
    def test_bodies_that_are_none(self, runs: Runs, body: bytes, status: int):
        for method, path in (('POST', '/api/runs'), ('POST', '/api/sources'),
                             ('POST', '/api/sessions')):
            answer = runs.client.request(method, path, data=body)
            assert (answer.status_code, answer.json()['error']) == (status, 'VALIDATION_ERROR')

    def test_a_huge_integer_is_a_limit_like_any_other(self, runs: Runs):
        runs.send(80.0)
        run = runs.create(pass_criteria=[{**COOL, 'value': 10**30}])
        assert runs.close(run)['test_result']['passed'] is True


class TestVerdict:

    @pytest.mark.parametrize(('operator', 'value', 'passed'), [
        ('<', 85, True), ('<', 84, False), ('<=', 84, True), ('<=', 83.9, False),
        ('>', 79, True), ('>', 80, False), ('>=', 80, True), ('>=', 80.1, False),
        ('=', 80, False), ('!=', 81, True), ('!=', 84.0, False)])
    def test_all_points_must_satisfy_it(
            self, runs: Runs, operator: str, value: float, passed: bool):
        runs.send(80, 82.5, 84)
        run = runs.create(pass_criteria=[{**COOL, 'operator': operator, 'value': value}])
        result = runs.close(run)['test_result']
        assert result['passed'] is passed
        [told] = result['criteria_results']
        assert (told['passed'], told['points'], told['min'], told['max']) == (passed, 3, 80, 84)
        assert (told['operator'], told['value'], told['label']) == (
            operator, value, 'stays cool')

    def test_both_ends_belong_to_the_window_and_all_tags_count(self, runs: Runs):
        runs.send(99.0, start_ms=START_MS - 1)
        runs.send(99.0, start_ms=START_MS + 10_001)
        runs.send(1.0, start_ms=START_MS, tags={'zone': '1'})
        runs.send(2.0, start_ms=START_MS + 10_000, tags={'zone': '2'})
        runs.send(99.0, source='kiln-8')
        runs.send(99.0, metric='other')
        [result] = runs.close(runs.create(pass_criteria=[COOL]))['test_result'][
            'criteria_results']
        assert (result['points'], result['min'], result['max']) == (2, 1.0, 2.0)

    def test_no_data_fails(self, runs: Runs):
        result = runs.close(runs.create(pass_criteria=[COOL]))['test_result']
        assert result['passed'] is False
        assert result['criteria_results'][0]['reason'] == 'no point of temp in the window'

    def test_one_criterion_of_several_is_enough_to_fail(self, runs: Runs):
        runs.send(80.0)
        warm = {**COOL, 'operator': '>', 'value': 100}
        result = runs.close(runs.create(pass_criteria=[COOL, warm]))['test_result']
        assert result['passed'] is False
        assert [each['passed'] for each in result['criteria_results']] == [True, False]

    def test_an_aborted_run_has_not_passed(self, runs: Runs):
        runs.send(80.0)
        closed = runs.close(runs.create(pass_criteria=[COOL]), status='aborted')
        assert (closed['status'], closed['test_result']['passed']) == ('aborted', False)
        assert closed['test_result']['criteria_results'][0]['passed'] is True

    def test_a_run_without_criteria_has_no_verdict(self, runs: Runs):
        assert runs.close(runs.create())['test_result'] is None

    def test_points_that_come_late_change_the_verdict_at_the_next_look(self, runs: Runs):
        runs.send(80.0)
        run = runs.create(pass_criteria=[COOL])
        assert runs.close(run)['test_result']['passed'] is True
        assert runs.show(run)['test_result']['points'] == 1
        runs.send(99.0, start_ms=START_MS + 5000)
        late = runs.show(run)['test_result']
        assert (late['passed'], late['points']) == (False, 2)
        assert runs.client.get('/api/runs')['runs'][0]['test_result'] == late

    def test_points_on_their_way_at_the_end_are_judged_without_being_asked(
            self, client: Any, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., None]):
        monkeypatch.setattr(run_routes, 'FOLLOW_UP_S', (0.01, 0.2))
        runs = Runs(client)
        runs.send(80.0)
        runs.close(runs.create(pass_criteria=[COOL]))
        runs.send(99.0, start_ms=START_MS + 5000)
        wait_for(lambda: client.get('/api/runs')['runs'][0]['test_result']['points'] == 2,
                 'the list tells of the late point')

    def test_a_run_that_was_closed_as_the_gateway_ended_is_judged_when_it_is_listed(
            self, runs: Runs, gateway: Gateway):
        runs.send(80.0)
        runs.close(runs.create(pass_criteria=[COOL]))
        gateway.store._connection.execute("UPDATE run SET test_result = 'null'")
        [run] = runs.client.get('/api/runs')['runs']
        assert run['test_result']['passed'] is True

    def test_points_that_are_gone_change_nothing(self, runs: Runs, gateway: Gateway):
        runs.send(80.0)
        run = runs.close(runs.create(pass_criteria=[COOL]))
        gateway.store._connection.execute('DELETE FROM sample')
        assert runs.show(run) == run

    def test_a_full_disk_does_not_hide_a_verdict(
            self, runs: Runs, gateway: Gateway, monkeypatch: pytest.MonkeyPatch):
        async def full(*_: object) -> None:
            raise StoreError('the database cannot be written: full')

        runs.send(80.0)
        run = runs.create(pass_criteria=[COOL])
        runs.close(run)
        runs.send(99.0, start_ms=START_MS + 5000)
        monkeypatch.setattr(gateway.store, 'execute', full)
        assert runs.show(run)['test_result']['passed'] is False
        refused = runs.patch(run['id'], name='x')
        assert (refused.status_code, refused.json()['error']) == (503, 'DATABASE_ERROR')


class TestEdit:

    def test_an_end_completes_an_active_run(self, runs: Runs):
        answer = runs.patch(runs.create()['id'], ended_at=END)
        assert (answer.json()['run']['status'], answer.json()['run']['ended_at']) == (
            'completed', END)

    def test_a_status_ends_a_run_now(self, runs: Runs):
        run = runs.patch(runs.create()['id'], status='aborted').json()['run']
        assert run['status'] == 'aborted'
        assert run['ended_at'] >= run['started_at']

    def test_closing_twice_changes_nothing_but_the_time_of_the_edit(self, runs: Runs):
        runs.send(80.0)
        run = runs.create(pass_criteria=[COOL])
        once, twice = runs.close(run), runs.close(run)
        assert {**once, 'updated_at': ''} == {**twice, 'updated_at': ''}

    def test_another_window_has_another_verdict(self, runs: Runs):
        runs.send(80.0, 99.0)
        run = runs.create(pass_criteria=[COOL])
        assert runs.close(run)['test_result']['passed'] is False
        shorter = runs.close(run, ended_at='2026-09-21T14:13:20.500Z')
        assert shorter['test_result']['passed'] is True
        milder = runs.close(run, pass_criteria=[{**COOL, 'value': 100}])
        assert (milder['test_result']['passed'], milder['test_result']['points']) == (True, 2)

    def test_a_run_is_made_active_again(self, runs: Runs):
        runs.send(80.0)
        run = runs.create(pass_criteria=[COOL])
        runs.close(run)
        again = runs.patch(run['id'], status='active').json()['run']
        assert (again['status'], again['ended_at'], again['test_result']) == (
            'active', None, None)

    def test_names_tags_and_the_source_are_changed(self, runs: Runs):
        runs.send(1.0, source='kiln-8')
        run = runs.patch(runs.create()['id'], name='b', tags={'a': 1}, metadata=None,
                         source_id='kiln-8').json()['run']
        assert (run['name'], run['tags'], run['metadata'], run['source_id']) == (
            'b', {'a': 1}, {}, 'kiln-8')
        assert runs.patch(run['id'], source_id='nobody').json()['error'] == 'NOT_FOUND'

    @pytest.mark.parametrize('fields', [
        {'name': ''}, {'ended_at': 'now'}, {'ended_at': '2020-01-01T00:00:00Z'},
        {'status': None}, {'source_id': 'A B'}, {'pass_criteria': [1]}, {'started_at': '9'}])
    def test_wrong_changes_change_nothing(self, runs: Runs, fields: dict[str, Any]):
        run = runs.create()
        answer = runs.patch(run['id'], **fields)
        assert (answer.status_code, answer.json()['error']) == (400, 'VALIDATION_ERROR')
        assert runs.show(run) == run

    @pytest.mark.parametrize('run_id', [
        'nobody', "x' OR '1'='1", '..%2f..%2fkey', '%00', '%F0%9F%94%A5', 'x' * 5000])
    def test_runs_that_are_not_there(self, runs: Runs, run_id: str):
        for method in ('GET', 'PATCH', 'DELETE'):
            answer = runs.client.request(method, f'/api/runs/{run_id}', data=b'{}')
            assert (answer.status_code, answer.json()['error']) == (404, 'NOT_FOUND'), method

    def test_a_run_is_deleted_and_its_points_stay(self, runs: Runs):
        runs.send(80.0)
        run = runs.create()
        answer = runs.client.request('DELETE', f'/api/runs/{run["id"]}')
        assert (answer.status_code, answer.content) == (204, b'')
        assert runs.names() == []
        assert len(runs.client.samples('kiln-7', 'temp')) == 2


class TestRead:

    def test_the_newest_come_first_and_are_filtered(self, runs: Runs):
        runs.send(1.0, source='kiln-8')
        for number, source in ((1, 'kiln-7'), (3, 'kiln-8'), (2, 'kiln-7')):
            runs.create(name=f'{number}', source_id=source,
                        started_at=f'2026-09-21T14:13:2{number}Z')
        runs.patch(runs.client.get('/api/runs')['runs'][0]['id'], status='completed')
        assert runs.names() == ['3', '2', '1']
        assert runs.names(source_id='kiln-7') == ['2', '1']
        assert runs.names(status='completed') == ['3']
        assert runs.names(limit=1) == ['3']
        assert runs.names(source_id="' OR 1=1 --") == []
        wrong = runs.client.request('GET', '/api/runs?limit=x')
        assert (wrong.status_code, wrong.json()['error']) == (400, 'VALIDATION_ERROR')

    def test_runs_are_compared_from_the_start_of_each(self, runs: Runs):
        later = START_MS + 3_600_000
        runs.send(1.0, 2.0, 3.0)
        runs.send(4.0, 5.0, start_ms=later, tags={'zone': '1'})
        runs.send(6.0, start_ms=later + 1000, tags={'zone': '2'})
        first = runs.close(runs.create(), ended_at='2026-09-21T14:13:24Z')
        second = runs.close(runs.create(started_at='2026-09-21T15:13:20Z'),
                            ended_at='2026-09-21T15:13:24Z')
        body = runs.client.get('/api/runs/compare', ids=f'{first["id"]},{second["id"]}', points=4)
        assert (body['bucket_ms'], body['truncated']) == (1000, False)
        one, two = (each['series']['kiln-7']['temp'] for each in body['runs'])
        assert (one['t_ms'], one['avg']) == ([0, 1000, 2000], [1.0, 2.0, 3.0])
        assert two == {'t_ms': [0, 1000], 'min': [4.0, 5.0], 'max': [4.0, 6.0],
                       'avg': [4.0, 5.5], 'count': [1, 2]}
        assert [each['run']['id'] for each in body['runs']] == [first['id'], second['id']]

    def test_what_cannot_be_compared(self, runs: Runs):
        run = runs.create()
        for query, status in (('', 400), ('?ids=', 400), ('?ids=nobody', 404),
                              (f'?ids={run["id"]}&points=1', 400),
                              ('?ids=' + ','.join(map(str, range(21))), 400)):
            answer = runs.client.request('GET', f'/api/runs/compare{query}')
            assert answer.status_code == status, query
        empty = runs.client.get('/api/runs/compare', ids=run['id'], metrics='nothing')
        assert empty['runs'][0]['series'] == {}


class TestNotes:

    def test_clients_before_0_9_note_their_runs(self, runs: Runs):
        note = {'run_id': 'test-1', 'source_id': 'old-1', 'tags': {'a': 'b'}}
        started = runs.client.post(
            '/api/runs', {**note, 'status': 'started', 'timestamp': START_MS / 1000})
        assert started.status_code == 201
        ended = runs.client.post('/api/runs', {
            'run_id': 'test-1', 'source_id': 'old-1', 'status': 'ended',
            'timestamp': START_MS / 1000 + 2})
        assert ended.status_code == 201
        [run] = runs.client.get('/api/runs')['runs']
        assert (run['name'], run['status'], run['tags']) == ('test-1', 'completed', {'a': 'b'})
        assert (run['started_at'], run['ended_at']) == (START, '2026-09-21T14:13:22.000Z')

    def test_a_client_that_gets_another_name_in_between_closes_its_run(
            self, runs: Runs, device: Callable[..., Any]):
        device('rig', install_id='a' * 32)
        note = {'run_id': 'test-1', 'source_id': 'rig', 'status': 'started'}
        assert runs.client.post('/api/runs', note).status_code == 201
        told = device('rig', install_id='b' * 32).authenticated['source_id']
        assert told == 'rig_2'
        runs.send(1.0, source=told)
        ended = runs.client.post('/api/runs', {**note, 'source_id': told, 'status': 'ended'})
        assert ended.status_code == 201
        [run] = runs.client.get('/api/runs')['runs']
        assert (run['source_id'], run['status']) == ('rig_2', 'completed')
        stranger = {**note, 'source_id': 'other_2', 'status': 'ended'}
        assert runs.client.post('/api/runs', stranger).status_code == 404

    @pytest.mark.parametrize(('note', 'status'), [
        ({'status': 'ended'}, 404), ({'status': 'over'}, 400), ({}, 400),
        ({'status': 'started', 'timestamp': 'x'}, 400), ({'status': 'started', 'run_id': 5}, 400),
        ({'status': 'started', 'source_id': 'A'}, 400)])
    def test_notes_that_make_no_sense(self, runs: Runs, note: dict[str, Any], status: int):
        answer = runs.client.post('/api/runs', {'run_id': 'x', 'source_id': 'old-1', **note})
        assert answer.status_code == status
        assert runs.names() == []


def test_what_keys_allow(gateway: Gateway, client: Any):
    connection = gateway.store._connection
    reads = create_key(connection, KeyRequest(scopes=frozenset({'read'})), START_MS)
    writes = create_key(connection, KeyRequest(), START_MS)
    limited = create_key(connection, KeyRequest(source_id='kiln-7'), START_MS)
    gateway.keys = KeyRing(connection)
    runs = Runs(client)
    runs.send(1.0)
    run, everywhere = runs.create(), runs.create(source_id=None)
    body = {'name': 'r', 'source_id': 'kiln-7'}
    path = f'/api/runs/{run["id"]}'

    def status(method: str, path: str, key: str, body: object = None) -> int:
        answer = client.request(method, path, json=body, headers={'x-api-key': key})
        assert answer.status_code < 400 or answer.json()['error'] in (
            'FORBIDDEN', 'UNAUTHORIZED')
        return int(answer.status_code)

    assert [status('POST', '/api/runs', key, body) for key in (reads, 'wrong', limited)] == [
        403, 401, 201]
    assert [status('GET', path, key) for key in (reads, writes, 'wrong')] == [200, 403, 401]
    assert status('POST', '/api/runs', limited, {**body, 'source_id': None}) == 403
    assert status('POST', '/api/runs', limited, {**body, 'source_id': 'kiln-8'}) == 403
    assert status('PATCH', f'/api/runs/{everywhere["id"]}', limited, {'name': 'x'}) == 403
    assert status('PATCH', path, limited, {'source_id': 'kiln-8'}) == 403
    assert status('PATCH', path, limited, {'name': 'x'}) == 200
    assert status('DELETE', f'/api/runs/{everywhere["id"]}', limited) == 403
    assert status('POST', '/api/sources', limited, {'slug': 'kiln-8'}) == 403
    assert status('DELETE', path, limited) == 204

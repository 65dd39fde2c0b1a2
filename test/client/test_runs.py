# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs against an app API that answers as the test says; the real one is met in test/road."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
import json
from pathlib import Path
import threading
from typing import Any

import pytest

from plexus_bridge.client import runs as runs_module
from plexus_bridge.client.runs import Runs
from plexus_bridge.client.runs import Whose
from plexus_bridge.client.settings import Settings
from plexus_bridge.errors import AuthenticationError
from plexus_bridge.errors import PlexusError
from plexus_bridge.errors import RefusedError
from plexus_bridge.errors import UnreachableError

NOW_MS = 1_790_000_000_007
Answer = Callable[[str, str, dict[str, Any]], tuple[int, Any]]


class App:
    """Answers with `answer(method, path, body)`; `seen` has the requests."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Answer = lambda method, path, body: (
            201 if method == 'POST' else 200, {'run': {'id': 'r/1', **body}})
        app = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                app.seen.append((self.command, self.path, body))
                app.headers.append(dict(self.headers))
                status, answer = app.answer(self.command, self.path, body)
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                if status in (301, 307):
                    self.send_header('Location', '/elsewhere')
                self.send_header('Content-Length', str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PATCH = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_address[1]}'
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def app() -> Iterator[App]:
    app = App()
    yield app
    app.close()


@pytest.fixture
def runs(app: App) -> Iterator[Runs]:
    runs = runs_of(app.url)
    yield runs
    runs.close()


def runs_of(url: str) -> Runs:
    return Runs(Settings('plx_k', url, url, url, 'kiln-7', Path('/')), 'agent/1', 5.0,
                lambda: NOW_MS)


def start(runs: Runs, source_id: Any = Whose.OWN, **more: Any) -> dict[str, Any]:
    return runs.start('bench', source_id, **{
        'tags': None, 'metadata': None, 'pass_criteria': None, 'started_at': None, **more})


def test_a_run_is_begun_by_the_gateways_clock_for_the_own_source(app, runs):
    assert start(runs)['id'] == 'r/1'
    assert app.seen == [('POST', '/api/runs', {
        'name': 'bench', 'source_id': 'kiln-7', 'status': 'active',
        'started_at': '2026-09-21T14:13:20.007Z'})]
    assert app.headers[0]['x-api-key'] == 'plx_k'
    assert app.headers[0]['User-Agent'] == 'agent/1'


def test_everything_that_a_run_can_have_is_sent(app, runs):
    criteria = [{'metric': 'm', 'operator': '<', 'value': 85, 'label': 'cool'}]
    start(runs, None, tags={'a': 'b'}, metadata={'c': 1}, pass_criteria=criteria,
          started_at='2026-01-01T00:00:00Z')
    assert app.seen[0][2] == {
        'name': 'bench', 'source_id': None, 'status': 'active', 'tags': {'a': 'b'},
        'metadata': {'c': 1}, 'pass_criteria': criteria, 'started_at': '2026-01-01T00:00:00Z'}


def test_a_run_is_ended_by_itself_or_its_id(app, runs):
    runs.end({'id': 'r/1'}, 'completed', None)
    runs.end('r2', 'aborted', '2026-01-01T00:00:00Z')
    assert app.seen == [
        ('PATCH', '/api/runs/r%2F1', {
            'status': 'completed', 'ended_at': '2026-09-21T14:13:20.007Z'}),
        ('PATCH', '/api/runs/r2', {'status': 'aborted', 'ended_at': '2026-01-01T00:00:00Z'})]
    for run in ({}, '', {'id': 7}):
        with pytest.raises(ValueError, match='run'):
            runs.end(run, 'completed', None)


@pytest.mark.parametrize('registered', [
    (201, {'source': {}}), (409, {'error': 'CONFLICT'}),
    (400, {'error': 'VALIDATION_ERROR', 'message': 'it already exists'})])
def test_a_source_that_is_not_known_yet_is_registered_and_the_run_begun_again(
        app, runs, registered):
    def answer(method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == '/api/sources':
            return registered
        if len(app.seen) == 1:
            return 404, {'error': 'NOT_FOUND', 'message': 'no such source'}
        return 201, {'run': {'id': 'r1'}}

    app.answer = answer
    assert start(runs) == {'id': 'r1'}
    assert [path for _, path, _ in app.seen] == ['/api/runs', '/api/sources', '/api/runs']
    assert app.seen[1][2]['slug'] == 'kiln-7'


def test_another_source_is_not_registered_and_the_own_one_only_once(app, runs):
    app.answer = lambda method, path, body: (
        (201, {}) if path == '/api/sources' else (404, {'error': 'NOT_FOUND'}))
    with pytest.raises(RefusedError) as caught:
        start(runs, 'other-1')
    assert (caught.value.status, caught.value.code) == (404, 'NOT_FOUND')
    with pytest.raises(RefusedError):
        start(runs)
    assert [path for _, path, _ in app.seen] == [
        '/api/runs', '/api/runs', '/api/sources', '/api/runs']


@pytest.mark.parametrize(('status', 'answer', 'kind'), [
    (401, {'error': 'UNAUTHORIZED'}, AuthenticationError),
    (403, {'error': 'FORBIDDEN'}, AuthenticationError),
    (402, {'error': 'UPGRADE_REQUIRED'}, RefusedError), (400, b'no JSON', RefusedError),
    (500, [], RefusedError), (307, {}, RefusedError), (201, {}, RefusedError),
    (201, b'<html>', RefusedError), (200, {'run': 'r1'}, RefusedError)])
def test_every_refusal_is_one_of_ours(app, runs, status, answer, kind):
    app.answer = lambda method, path, body: (status, answer)
    with pytest.raises(kind) as caught:
        start(runs)
    assert isinstance(caught.value, PlexusError)
    assert str(status) in str(caught.value) or 'no "run"' in str(caught.value)
    assert len(app.seen) == 1  # a redirect is not followed


def test_a_plan_without_runs_is_told_by_its_code(app, runs):
    app.answer = lambda method, path, body: (402, {'error': 'UPGRADE_REQUIRED', 'message': 'x'})
    with pytest.raises(RefusedError) as caught:
        start(runs)
    assert (caught.value.status, caught.value.code) == (402, 'UPGRADE_REQUIRED')


def test_an_app_out_of_reach_is_told_as_an_os_error_and_as_ours():
    runs = runs_of('http://127.0.0.1:9')
    with pytest.raises(UnreachableError) as caught:
        start(runs)
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, PlexusError)
    runs.close()


def test_what_is_no_json_is_told_before_it_is_sent(app, runs):
    with pytest.raises(ValueError, match='JSON'):
        start(runs, metadata={'a': float('nan')})
    with pytest.raises(ValueError, match='JSON'):
        start(runs, metadata={'a': object()})
    assert app.seen == []


def test_an_answer_that_never_ends_is_read_no_further(app, runs, monkeypatch):
    monkeypatch.setattr(runs_module, 'MAX_ANSWER_BYTES', 100_000)
    run = {'run': {'id': 'r1', 'notes': 'x' * 90_000}}
    app.answer = lambda method, path, body: (201, run)
    assert start(runs) == run['run']
    run['run']['notes'] *= 100
    with pytest.raises(RefusedError, match='"run"'):
        start(runs)

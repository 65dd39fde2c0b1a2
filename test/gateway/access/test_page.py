# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The page that lets devices in, in a real browser (by its DevTools protocol)."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import http.server
import json
from pathlib import Path
import re
import shutil
import subprocess
import threading
from typing import Any
import urllib.parse

import pytest
import requests
import websocket

pytestmark = pytest.mark.skipif(
    shutil.which('chromium') is None, reason='chromium is missing: apt install chromium')


class Page:
    """One tab of a headless browser."""

    def __init__(self, address: str):
        self._socket = websocket.create_connection(address, timeout=20, suppress_origin=True)
        self._number = 0

    def call(self, method: str, **parameters: object) -> Any:
        self._number += 1
        self._socket.send(json.dumps(
            {'id': self._number, 'method': method, 'params': parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get('id') == self._number:
                return answer['result']

    def evaluate(self, expression: str) -> Any:
        return self.call('Runtime.evaluate', expression=expression)['result'].get('value')

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope='module')
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the DevTools of a browser."""
    folder = tmp_path_factory.mktemp('browser')
    with (folder / 'log').open('wb') as log:
        process = subprocess.Popen(
            ['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
             '--disable-dev-shm-usage', '--remote-debugging-port=0',
             f'--user-data-dir={folder / "profile"}', 'about:blank'],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        port = None
        for _ in range(2000):
            found = re.search(r'ws://127\.0\.0\.1:(\d+)/', (folder / 'log').read_text())
            if found:
                port = found[1]
                break
            assert process.poll() is None, (folder / 'log').read_text()
            threading.Event().wait(0.01)
        assert port is not None, (folder / 'log').read_text()
        yield f'http://127.0.0.1:{port}'
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def page(browser: str) -> Iterator[Page]:
    with requests.Session() as session:
        session.trust_env = False
        [tab] = [each for each in session.get(f'{browser}/json', timeout=20).json()
                 if each['type'] == 'page']
    page = Page(tab['webSocketDebuggerUrl'])
    page.call('Page.enable')
    yield page
    page.close()


def decide(page: Page, key: str, button: str) -> None:
    page.evaluate(f'document.getElementById("key").value = {json.dumps(key)}')
    page.evaluate(f'document.getElementById("{button}").click()')


@pytest.mark.parametrize(('button', 'status'), [('approve', 200), ('deny', 403)])
def test_a_person_decides_about_a_device(
        page: Page, client: Any, wait_for: Callable[..., None], button: str, status: int):
    begun = client.post('/api/auth/device', {'name': '<b>arm</b>'}).json()
    page.call('Page.navigate', url=begun['verification_uri_complete'])
    wait_for(lambda: page.evaluate('document.getElementById("code")?.value')
             == begun['user_code'], 'the page shows the code')
    said = 'document.getElementById("said").textContent'
    decide(page, 'plx_wrong', button)
    wait_for(lambda: page.evaluate(said) == 'Not done: invalid API key', 'a wrong key')
    decide(page, client.key, button)
    wait_for(lambda: 'you may close this page' in page.evaluate(said), 'it is decided')
    polled = client.request(
        'GET', '/api/auth/device', params={'device_code': begun['device_code']})
    assert polled.status_code == status


def test_a_program_on_this_computer_gets_a_key_and_no_other(
        page: Page, client: Any, wait_for: Callable[..., None]):
    heard: list[str] = []

    class Program(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.path)
            self.send_response(200)
            self.send_header('Content-Length', '0')
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(('127.0.0.1', 0), Program) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for host, gets_it in (('evil.example', False), ('127.0.0.1', True)):
                asked = urllib.parse.urlencode({
                    'state': 'abc', 'name': 'laptop',
                    'callback': f'http://{host}:{server.server_port}/callback'})
                page.call('Page.navigate', url=f'{client.url}/auth/cli?{asked}')
                wait_for(lambda host=host: host in page.evaluate(
                    'decodeURIComponent(location.href) + document.getElementById("what")?.id'
                    ) and page.evaluate('document.readyState') == 'complete', 'the page is there')
                decide(page, client.key, 'approve')
                if not gets_it:
                    wait_for(lambda: 'not on this computer' in page.evaluate(
                        'document.getElementById("said").textContent'), 'it is refused')
                    assert len(client.get('/api/keys')['keys']) == 1, 'no key was made'
            wait_for(lambda: any('/callback' in path for path in heard), 'the program hears')
        finally:
            server.shutdown()
            thread.join()
    [path] = [path for path in heard if path.startswith('/callback')]
    told = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
    assert told['state'] == ['abc']
    assert client.post('/ingest', {'points': []}, **{'x-api-key': told['key'][0]}).ok


def test_the_page_is_found_where_the_package_is_installed():
    from plexus_bridge.gateway.access import page as module

    assert module._PAGE.is_file()
    assert module._PAGE.parent == Path(module.__file__).parents[1] / 'static'

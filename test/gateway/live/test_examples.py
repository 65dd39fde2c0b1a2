# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The documents' examples for the live streams, in node and in a page of a real browser."""

from __future__ import annotations

import base64
from collections.abc import Callable
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
import json
from pathlib import Path
import queue
import shutil
import subprocess
import threading
from typing import Any

import pytest

from plexus_bridge.protocol.video import encode_binary
from plexus_bridge.protocol.video import Picture

SCRIPT = (Path(__file__).parent / 'streams.js').read_text()
NOW_MS = 1_790_000_000_000
SECONDS = 30
# 8 by 6 pixels, the left half of them red.
RED_AND_BLACK = base64.b64decode(
    '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZG'
    'NywtQFdBRkxOUlNSMj5aYVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09P'
    'T09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAGAAgDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAA'
    'AAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS'
    '0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJ'
    'ipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6'
    '/8QAHwEAAwEBAQEBAQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJB'
    'UQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVm'
    'Z2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna'
    '4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDiNf8A+WH/AAL+lFFFY4f+Gj0s3/3yfy/JH//Z')


@pytest.fixture
def act(client: Any, device: Callable[..., Any], gateway: Any, wait_for: Any) -> Any:
    """Have a robot send something of each kind as soon as all three streams are looked at."""
    robot = device(cameras=[{'id': 'front'}, {'id': 'rear'}])

    def send() -> None:
        wait_for(lambda: gateway.hub.open_views == 3, 'all streams are open', SECONDS)
        robot.telemetry(1, ('battery.percent', 86.5, NOW_MS), ('other', 1, NOW_MS),
                        ('nav.goal_reached', 'dock', NOW_MS + 1))
        robot.socket.send_binary(encode_binary(
            Picture('kiln-7', 'front', 8, 6, NOW_MS + 2, RED_AND_BLACK)).payload)

    return send


def check(shown: dict[str, Any]) -> None:
    assert shown['point'] == ['battery.percent', 86.5, NOW_MS]
    assert shown['event'] == ['nav.goal_reached', 'dock', NOW_MS + 1]
    assert [each['source_id'] for each in shown['init']] == ['kiln-7']
    assert shown['picture'][:3] == ['front', 8, 6]
    assert shown['codes'] == {}


def settings(client: Any) -> str:
    return f'const GATEWAY = "{client.url}", API_KEY = "{client.key}";\n'


@pytest.mark.skipif(shutil.which('node') is None, reason='node is missing: apt install nodejs')
def test_in_node(client: Any, act: Callable[[], None], tmp_path: Path):
    script = tmp_path / 'streams.mjs'
    script.write_text(
        settings(client) + 'const done = (shown) => { console.log(JSON.stringify(shown)); '
        'process.exit(); };\n' + SCRIPT)
    version = subprocess.run(['node', '--version'], capture_output=True, text=True, check=True)
    major = int(version.stdout.strip().lstrip('v').partition('.')[0])
    if major < 20:
        pytest.skip(f'node {version.stdout.strip()} has no WebSocket; 20 or newer is needed')
    options = ['--experimental-websocket'] if major < 22 else []
    with subprocess.Popen(['node', *options, script], stdout=subprocess.PIPE, text=True) as node:
        act()
        output, _ = node.communicate(timeout=SECONDS)
    shown = json.loads(output)
    check(shown)
    assert base64.b64decode(shown['picture'][3]) == RED_AND_BLACK


PAGE = '''<!doctype html><meta charset="utf-8"><canvas id="feed"></canvas><script>
%s
async function done(shown) {
  const headers = { "x-api-key": API_KEY };
  const answer = await fetch(`${GATEWAY}/v1/sources/kiln-7/metrics`, { headers });
  shown.metrics = await answer.json();
  await fetch("/shown", { method: "POST", body: JSON.stringify(shown) });
}
%s
</script>'''


class PageServer:
    """Serves one page, and hears what it has shown; another origin than the gateway's."""

    def __init__(self, page: str):
        self.shown: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        shown = self.shown

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(page.encode() if self.path == '/' else b'')

            def do_POST(self) -> None:
                shown.put(json.loads(self.rfile.read(int(self.headers['Content-Length']))))
                self._answer(b'')

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header('Content-Type', 'text/html')
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_port}/'
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def page(client: Any) -> Iterator[PageServer]:
    server = PageServer(PAGE % (settings(client), SCRIPT))
    yield server
    server.close()


@pytest.mark.skipif(
    shutil.which('chromium') is None, reason='chromium is missing: apt install chromium')
def test_in_a_page_of_another_origin(page: PageServer, act: Callable[[], None], tmp_path: Path):
    browser = subprocess.Popen(
        ['chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
         '--no-first-run', f'--user-data-dir={tmp_path / "profile"}', page.url],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        act()
        shown = page.shown.get(timeout=SECONDS)
    finally:
        browser.terminate()
        browser.wait(SECONDS)
    check(shown)
    red, green, blue, alpha = shown['picture'][3:]
    assert (red > 200, green < 60, blue < 60, alpha) == (True, True, True, 255)
    assert shown['metrics'] == ['battery.percent', 'other']

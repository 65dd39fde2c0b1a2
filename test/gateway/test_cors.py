# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

PREFLIGHT = {'Origin': 'https://example.org', 'Access-Control-Request-Method': 'POST',
             'Access-Control-Request-Headers': 'content-type,x-api-key', 'x-api-key': ''}


@pytest.mark.parametrize('path', ['/ingest', '/api/ingest'])
def test_a_page_may_ask_whether_it_may_post(client: Any, path: str):
    answer = client.request('OPTIONS', path, headers=PREFLIGHT)
    assert (answer.status_code, answer.content) == (204, b'')
    headers = answer.headers
    assert headers['Access-Control-Allow-Origin'] == '*'
    assert headers['Access-Control-Allow-Methods'] == 'POST, OPTIONS'
    assert headers['Access-Control-Allow-Headers'] == 'Content-Type, x-api-key'
    assert headers['Access-Control-Max-Age'] == '86400'


def test_a_page_may_ask_whether_it_may_read(client: Any):
    answer = client.request('OPTIONS', '/v1/sources', headers=PREFLIGHT)
    assert answer.status_code == 204
    assert 'GET' in answer.headers['Access-Control-Allow-Methods']


@pytest.mark.parametrize(('method', 'path', 'status'), [
    ('GET', '/v1/sources', 200), ('GET', '/v1/sources/none', 404), ('GET', '/nothing', 404),
    ('POST', '/ingest', 400), ('GET', '/ingest', 405), ('GET', '/health', 200)])
def test_every_answer_may_be_read_by_pages(client: Any, method: str, path: str, status: int):
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers['Access-Control-Allow-Origin'] == '*'

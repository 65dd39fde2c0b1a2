# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize('method', ['GET', 'POST', 'PATCH', 'DELETE'])
@pytest.mark.parametrize(('path', 'target'), [
    ('/v1/devices', '/v1/sources'),
    ('/v1/devices?status=online', '/v1/sources?status=online'),
    ('/v1/devices/kiln-7/metrics/query?last=1h&metrics=a%2Cb',
     '/v1/sources/kiln-7/metrics/query?last=1h&metrics=a%2Cb'),
    ('/v1/devices//x.example/a%20b?a=%0D%0A', '/v1/sources//x.example/a%20b?a=%0D%0A')])
def test_the_former_name_leads_to_the_present_one(
        client: Any, method: str, path: str, target: str):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers['location']) == (308, target)


def test_a_client_that_follows_gets_its_answer(client: Any):
    client.post('/ingest', {'source_id': 'kiln-7', 'points': [{'metric': 't', 'value': 1}]})
    answer = client.request('GET', '/v1/devices/kiln-7/metrics')
    assert client.get(answer.headers['location']) == ['t']

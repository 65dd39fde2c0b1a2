# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever is asked: no answer is a server's error, and none is missing in the description."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis import settings
from hypothesis import strategies as st
import pytest

schemathesis = pytest.importorskip(
    'schemathesis', reason="Schemathesis is not installed (extra 'fuzz')")
EXAMPLES = 15
SOURCE = 'kiln-7'
# It goes on until the client leaves.
ENDLESS = {'/v1/sources/{source_id}/commands/stream'}
NASTY = st.sampled_from([
    "' OR 1=1 --", '../../etc/passwd', '%2e%2e%2f', '\0', '"; DROP TABLE sample; --', 'a' * 2000,
    '\U0001f916', 'kiln-7\r\nx: y', '*', '%', '[]', '0', '-1', '1e999', '9' * 30])
# A client takes ".." out of an address before it asks: that would be another route.
NAMES = st.just(SOURCE) | NASTY.filter(lambda name: '/' not in name and '%2f' not in name)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.none() | st.booleans() | NUMBERS | NASTY
FIELDS = st.sampled_from([
    'source_id', 'slug', 'name', 'points', 'command', 'params', 'metadata', 'criteria', 'code',
    'status', 'scopes', 'confirm', 'run_id', 'session_id', 'type', 'tags', 'expires_at'])
BODIES = st.dictionaries(FIELDS, VALUES | st.lists(VALUES, max_size=3), max_size=5) | VALUES


def checks() -> list[Any]:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as openapi

    return [not_a_server_error, openapi.status_code_conformance,
            openapi.content_type_conformance, openapi.response_schema_conformance]


@pytest.fixture
def description(client: Any) -> Any:
    """The OpenAPI description of a gateway that has some data."""
    points = [{'metric': 't', 'value': 1.5}, {'metric': 'door', 'value': 'open'}]
    assert client.post('/ingest', {'source_id': SOURCE, 'points': points}).status_code == 200
    return schemathesis.openapi.from_url(f'{client.url}/openapi.json')


def test_no_answer_is_a_servers_error_or_undocumented(client: Any, description: Any):
    seen = set()
    wanted = checks()
    for result in description.get_all_operations():
        operation = result.ok()
        if operation.path in ENDLESS:
            continue

        @settings(max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(), body=BODIES, name=NAMES)
        def ask(case: Any, body: Any, name: str) -> None:
            if 'source_id' in case.path_parameters:
                case.path_parameters['source_id'] = name
            if case.method in ('POST', 'PUT', 'PATCH'):
                case.body, case.media_type = body, 'application/json'
            case.call_and_validate(headers={'x-api-key': client.key}, checks=wanted)

        ask()
        seen.add(operation.label)
    assert len(seen) > 30


def test_the_description_needs_no_key(client: Any):
    assert client.request('GET', '/openapi.json', headers={'x-api-key': ''}).status_code == 200


def test_every_route_of_the_data_api_is_described(client: Any):
    paths = client.get('/openapi.json')['paths']
    assert {
        '/v1/sources', '/v1/sources/{source_id}', '/v1/sources/{source_id}/metrics',
        '/v1/sources/{source_id}/metrics/latest', '/v1/sources/{source_id}/metrics/query',
        '/v1/sources/{source_id}/events', '/v1/fleet/health', '/v1/fleet/metrics', '/v1/export',
        '/ingest', '/api/ingest', '/health'} <= set(paths)
    answers = paths['/v1/sources/{source_id}/metrics/query']['get']['responses']
    assert {'200', '400', '401', '403', '404', '422', '503'} <= set(answers)

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Keys over HTTP: verified, made, revoked; the device-code flow and the page that approves it."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from plexus_bridge.gateway.access import device_codes
from plexus_bridge.gateway.access.authorise import address_of
from plexus_bridge.gateway.access.keys import create_key
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import KeyRing
from plexus_bridge.gateway.access.tries import RateLimit
from plexus_bridge.gateway.gateway import Gateway

NOW_MS = 1_790_000_000_000


def anonymous(client: Any, method: str, path: str, **options: Any) -> Any:
    return client.request(method, path, headers={'x-api-key': None}, **options)


class TestVerify:

    def test_a_key_is_told_what_it_may_do(self, client: Any):
        assert client.get('/api/auth/verify-key') == {'org_id': 'local', 'scopes': ['*']}
        made = client.post('/api/keys', {'scopes': ['write', 'read']}).json()['key']
        answer = client.request('GET', '/api/auth/verify-key', headers={'x-api-key': made})
        assert answer.json()['scopes'] == ['read', 'write']

    def test_wrong_keys(self, client: Any):
        for key, text in ((None, 'missing'), ('', 'missing'), ('plx_x', 'invalid API key'),
                          ("' OR 1=1 --", 'invalid API key'), ('x' * 9000, 'invalid API key')):
            answer = client.request('GET', '/api/auth/verify-key', headers={'x-api-key': key})
            assert answer.status_code == 401
            assert list(answer.json()) == ['error']
            assert text in answer.json()['error']

    def test_it_is_asked_thirty_times_a_minute_at_most(self, client: Any):
        for _ in range(30):
            assert client.request('GET', '/api/auth/verify-key').status_code == 200
        answer = client.request('GET', '/api/auth/verify-key')
        assert answer.status_code == 429
        assert 1 <= int(answer.headers['Retry-After']) <= 60
        assert 'too many tries' in answer.json()['error']

    def test_a_device_token(self, gateway: Gateway, client: Any):
        connection = gateway.store._connection
        token = create_key(connection, KeyRequest(source_id='kiln-7', prefix='plxd_'), NOW_MS)
        gateway.keys = KeyRing(connection)
        told = {'valid': True, 'source_id': 'kiln-7', 'org_id': 'local', 'scopes': ['write']}
        by_body = anonymous(
            client, 'POST', '/api/auth/verify-device', json={'device_token': token})
        assert (by_body.status_code, by_body.json()) == (200, told)
        by_header = client.post('/api/auth/verify-device', b'', **{'x-api-key': token})
        assert by_header.json() == told
        for body in ({'device_token': 'plxd_x'}, {'device_token': client.key}, {}):
            assert anonymous(
                client, 'POST', '/api/auth/verify-device', json=body).status_code == 401
        assert client.post('/api/auth/verify-device', b'[').status_code == 400


class TestKeys:

    def test_a_key_is_made_shown_once_and_revoked(self, client: Any):
        made = client.post('/api/keys', {
            'name': 'bench', 'source_id': 'kiln-7', 'receive_commands': True,
            'expires_in_s': 60}).json()
        listed = client.get('/api/keys')['keys']
        assert [each['name'] for each in listed] == ['first key', 'bench']
        bench = listed[1]
        assert made['key'] not in str(listed)
        assert (bench['prefix'], bench['scopes'], bench['source_id'], bench['state']) == (
            made['key'][:12], ['write'], 'kiln-7', 'valid')
        assert bench['receive_commands'] is True
        assert bench['expires_at'] > bench['created_at']
        client.key = made['key']
        device = client.device('kiln-7')
        revoke = f'/api/keys/{made["id"]}'
        assert client.request('DELETE', revoke).status_code == 204
        assert device.ends()
        assert client.post('/ingest', {'points': []}, **{'x-api-key': made['key']}
                           ).status_code == 401
        assert client.request('DELETE', revoke).status_code == 404
        assert client.get('/api/keys')['keys'][1]['state'] == 'revoked'

    def test_only_the_scope_of_all_makes_keys(self, client: Any):
        made = client.post('/api/keys', {'scopes': ['read', 'write']}).json()['key']
        for method, path in (('GET', '/api/keys'), ('POST', '/api/keys'),
                             ('DELETE', '/api/keys/1'), ('POST', '/api/sources/pair'),
                             ('GET', '/api/sources/pair?code=A'), ('PUT', '/api/auth/device')):
            answer = client.request(method, path, data=b'{}', headers={'x-api-key': made})
            assert answer.status_code == 403, path

    @pytest.mark.parametrize('fields', [
        {'scopes': 'write'}, {'scopes': ['admin']}, {'scopes': [['*']]}, {'scopes': ['*'] * 9},
        {'name': 7}, {'name': 'x' * 201}, {'source_id': '../x'}, {'source_id': 5},
        {'receive_commands': 'yes'}, {'expires_in_s': 0}, {'expires_in_s': '1d'},
        {'expires_in_s': 10**30}, {'expires_in_s': 1.5}, {'expires_in_s': True}])
    def test_wrong_wishes(self, client: Any, fields: dict[str, Any]):
        for path in ('/api/keys', '/api/sources/pair'):
            answer = client.post(path, fields)
            assert (answer.status_code, answer.json()['error']) == (400, 'VALIDATION_ERROR')
        assert len(client.get('/api/keys')['keys']) == 1

    @pytest.mark.parametrize('number', ['x', '-1', '99', '1e3', '9' * 30, "1' OR '1", '²'])
    def test_keys_that_are_not_there(self, client: Any, number: str):
        answer = client.request('DELETE', f'/api/keys/{number}')
        assert (answer.status_code, answer.json()['error']) == (404, 'NOT_FOUND')


class TestDeviceCodes:

    @staticmethod
    def begin(client: Any) -> dict[str, Any]:
        answer = anonymous(client, 'POST', '/api/auth/device')
        assert answer.status_code == 200
        begun: dict[str, Any] = answer.json()
        return begun

    @staticmethod
    def poll(client: Any, begun: dict[str, Any]) -> Any:
        return anonymous(client, 'GET', '/api/auth/device',
                         params={'device_code': begun['device_code']})

    @staticmethod
    def decide(client: Any, begun: dict[str, Any], **fields: Any) -> Any:
        return client.request(
            'PUT', '/api/auth/device', json={'user_code': begun['user_code'], **fields})

    def test_a_device_is_approved_and_fetches_its_key_once(self, client: Any):
        begun = self.begin(client)
        assert (begun['interval'], begun['expires_in']) == (5, 900)
        assert re.fullmatch('[2-9A-Z]{4}-[2-9A-Z]{4}', begun['user_code'])
        assert begun['verification_uri_complete'] == (
            f'{client.url}/device?user_code={begun["user_code"]}')
        assert self.poll(client, begun).status_code == 202
        typed = begun['user_code'].lower().replace('-', ' ')
        assert self.decide(client, begun, user_code=typed, name='arm').status_code == 200
        fetched = self.poll(client, begun)
        assert fetched.status_code == 200
        key = fetched.json()['api_key']
        assert key.startswith('plx_')
        assert client.post('/ingest', {'points': []}, **{'x-api-key': key}).status_code == 200
        again = self.poll(client, begun)
        assert (again.status_code, again.json()) == (400, {'error': 'expired_token'})
        assert self.decide(client, begun).status_code == 404

    def test_a_device_is_denied(self, client: Any):
        begun = self.begin(client)
        assert self.decide(client, begun, action='deny').json()['status'] == 'denied'
        assert self.poll(client, begun).status_code == 403
        assert self.decide(client, begun).status_code == 404

    def test_codes_expire_and_are_not_guessed(
            self, client: Any, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(device_codes, 'VALID_S', 0)
        begun = self.begin(client)
        assert self.decide(client, begun).status_code == 404
        for code in (begun['device_code'], '', 'x' * 9000, "' OR 1=1 --", '\0'):
            answer = anonymous(
                client, 'GET', '/api/auth/device', params={'device_code': code})
            assert (answer.status_code, answer.json()) == (400, {'error': 'expired_token'})
        assert self.decide(client, begun, action='maybe').status_code == 400
        assert self.decide(client, begun, user_code=7).status_code == 400

    def test_few_may_wait(self, client: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(device_codes, 'MAX_PENDING', 1)
        self.begin(client)
        assert anonymous(client, 'POST', '/api/auth/device').status_code == 429

    def test_a_coding_agent_claims_a_key(self, client: Any):
        begun = anonymous(client, 'POST', '/api/auth/claim', json={'name': 'agent'})
        assert begun.status_code == 201
        path = f'/api/auth/claim/{begun.json()["device_code"]}'
        assert anonymous(client, 'GET', path).json() == {'status': 'pending'}
        assert self.decide(client, begun.json()).json()['name'] == 'agent'
        told = anonymous(client, 'GET', path).json()
        assert (told['status'], told['org_id']) == ('approved', 'local')
        assert told['api_key'].startswith('plx_')
        assert anonymous(client, 'GET', path).json() == {'status': 'expired'}


def test_the_page_brings_a_policy_and_nothing_from_elsewhere(client: Any):
    for path in ('/device?user_code=ABCD', '/auth/cli?state=1&callback=http://127.0.0.1:1/'):
        answer = anonymous(client, 'GET', path)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers['Content-Security-Policy']
        assert 'ABCD' not in answer.text, 'what the address says is not written into the page'
        assert not re.findall(r'(?:src|href)\s*=', answer.text)
    page = Path(__file__).parents[3] / 'plexus_bridge' / 'gateway' / 'static' / 'approve.html'
    assert 'innerHTML' not in page.read_text()


@pytest.mark.parametrize(('host', 'address'), [
    ('192.0.2.7', '192.0.2.7'), ('2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'),
    ('2001:db8:1:2::9', '2001:db8:1:2::/64'), ('fe80::1%eth0', 'fe80::/64'),
    ('::ffff:192.0.2.7', '192.0.2.7'), ('a-test-client', 'a-test-client')])
def test_whoever_has_many_addresses_counts_once(host: str, address: str):
    assert address_of(HTTPConnection({'type': 'http', 'client': (host, 1)})) == address


@pytest.mark.parametrize(('path', 'status'), [('/api/auth/device', 400), ('/api/keys', 400)])
def test_a_name_must_not_drive_the_terminal_that_lists_it(client: Any, path: str, status: int):
    answer = client.post(path, {'name': '\x1b[2Jarm'})
    assert (answer.status_code, 'can be printed' in answer.text) == (status, True)


def test_tries_are_counted_for_each_address_and_minute(monkeypatch: pytest.MonkeyPatch):
    limit = RateLimit(2)
    limit.take('a', 100.0)
    limit.take('a', 110.0)
    with pytest.raises(Exception, match='try again in 45 s') as refused:
        limit.take('a', 115.0)
    assert refused.value.retry_after_s == 45
    limit.take('b', 115.0)
    limit.give_back('a')
    limit.take('a', 116.0)
    limit.take('a', 160.0)
    monkeypatch.setattr('plexus_bridge.gateway.access.tries.MAX_REMEMBERED', 2)
    limit.take('c', 160.0)
    limit.take('b', 160.0)
    assert len(limit._windows) == 2

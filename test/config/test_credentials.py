# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the key and the source id come from."""

from __future__ import annotations

import json
import re

import pytest

from plexus_bridge.config.credentials import find_api_key
from plexus_bridge.config.credentials import find_gateway_url
from plexus_bridge.config.credentials import find_source_id
from plexus_bridge.config.credentials import refusal_hint
from plexus_bridge.config.credentials import save_credentials
from plexus_bridge.config.credentials import state_folder
from plexus_bridge.config.gateway_url import check_gateway_url
from plexus_bridge.config.gateway_url import is_loopback
from plexus_bridge.errors import ConfigError

LOCAL = 'http://127.0.0.1:8787'
REMOTE = 'https://gateway.example.com'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'gateway').mkdir()
    (tmp_path / 'gateway' / 'key').write_text('plx_local\n')
    (tmp_path / 'config.json').write_text('{"api_key": "plx_file"}')
    return tmp_path


def test_the_environment_goes_before_the_local_gateway_before_the_file(folder):
    assert find_api_key(LOCAL, folder, {'PLEXUS_API_KEY': 'plx_env'}) == 'plx_env'
    assert find_api_key(LOCAL, folder, {'PLEXUS_API_KEY': ''}) == 'plx_local'
    assert find_api_key(REMOTE, folder, {}) == 'plx_file'
    (folder / 'gateway' / 'key').unlink()
    assert find_api_key(LOCAL, folder, {}) == 'plx_file'


def test_where_a_refused_key_is_from_is_told_and_what_to_do(folder):
    environment = {'PLEXUS_API_KEY': 'plx_env'}
    assert refusal_hint(LOCAL, folder, 'plx_env', environment) == (
        'the key in use is that of PLEXUS_API_KEY; unset it to use that of the gateway on this '
        f'machine, in {folder}/gateway/key')
    assert refusal_hint(REMOTE, folder, 'plx_env', environment) == (
        'the key in use is that of PLEXUS_API_KEY')
    assert refusal_hint(LOCAL, folder, 'plx_local', {}) == ''


def test_a_paired_robot_whose_key_is_refused_is_told_to_pair_again(folder):
    hint = refusal_hint(REMOTE, folder, 'plx_file', {})
    assert hint == (
        f'the key in use is that of {folder}/config.json, where pairing puts it; should it have '
        'been revoked or have run out, fetch another with plexus-bridge pair --force --gateway '
        'https://gateway.example.com')
    (folder / 'gateway' / 'key').unlink()
    local = refusal_hint(LOCAL, folder, 'plx_file', {})
    assert 'where pairing puts it' in local
    assert 'PLEXUS_API_KEY' not in local
    assert local.endswith('which is not there: is its PLEXUS_HOME another one?')


def test_a_key_that_no_header_can_carry_is_refused(folder):
    with pytest.raises(ConfigError, match='copy it anew'):
        find_api_key(REMOTE, folder, {'PLEXUS_API_KEY': 'plx_\nabc'})


def test_the_local_gateways_key_is_never_sent_to_another_machine(folder):
    (folder / 'config.json').unlink()
    with pytest.raises(ConfigError, match=r'no API key for https://gateway\.example\.com: set '):
        find_api_key(REMOTE, folder, {})


def test_a_damaged_file_counts_as_none(folder):
    (folder / 'config.json').write_text('{')
    assert find_api_key(LOCAL, folder, {}) == 'plx_local'


def test_a_source_id_is_made_once_and_kept_for_its_owner_alone(tmp_path):
    folder = tmp_path / 'new'
    made = find_source_id(folder)
    assert re.fullmatch('source-[0-9a-f]{8}', made)
    assert find_source_id(folder) == made
    assert (folder / 'config.json').stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert json.loads((folder / 'config.json').read_text()) == {'source_id': made}


def test_a_device_token_counts_as_a_key_where_there_is_none(folder):
    (folder / 'config.json').write_text('{"device_token": "plxd_token"}')
    assert find_api_key(REMOTE, folder, {}) == 'plxd_token'
    save_credentials(folder, {'api_key': 'plx_new'})
    assert json.loads((folder / 'config.json').read_text()) == {'api_key': 'plx_new'}
    assert find_api_key(REMOTE, folder, {}) == 'plx_new'


def test_the_gateway_is_that_of_the_map_the_environment_the_pairing_or_this_machine(folder):
    named = {'PLEXUS_GATEWAY_URL': 'http://env:1/'}
    assert find_gateway_url('', folder, {}) == LOCAL
    (folder / 'config.json').write_text('{"gateway_url": "http://paired:2"}')
    assert find_gateway_url('', folder, {'PLEXUS_GATEWAY_URL': ''}) == 'http://paired:2'
    assert find_gateway_url('', folder, named) == 'http://env:1'
    assert find_gateway_url(REMOTE, folder, named) == REMOTE
    with pytest.raises(ConfigError, match='gateway url'):
        find_gateway_url('', folder, {'PLEXUS_GATEWAY_URL': 'nonsense'})


@pytest.mark.parametrize(('url', 'expected'), [
    ('http://127.0.0.1:1', True), ('http://localhost', True), ('http://[::1]:8787', True),
    ('http://10.0.0.1', False), ('https://localhost.example.com', False)])
def test_loopback_addresses_are_known(url, expected):
    assert is_loopback(url) is expected


def test_the_state_folder_can_be_set(tmp_path):
    assert state_folder({'PLEXUS_HOME': str(tmp_path)}) == tmp_path
    assert state_folder({}).name == '.plexus'


def test_without_any_home_folder_the_message_says_what_to_set(monkeypatch):
    def no_home():
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.setattr('pathlib.Path.home', no_home)
    with pytest.raises(ConfigError, match='set HOME or PLEXUS_HOME'):
        state_folder({})


@pytest.mark.parametrize('url', [
    'http://127.0.0.1:8787', 'https://gateway.example.com', 'http://[::1]:8787/prefix',
    'http://robot-gateway:80'])
def test_addresses_that_can_be_gateways_are_taken(url):
    assert check_gateway_url(url) == url


@pytest.mark.parametrize(('url', 'reason'), [
    ('localhost:8787', 'does not begin with http'), ('127.0.0.1', 'does not begin with http'),
    ('ws://h', 'does not begin with http'), ('http:/h', 'does not begin with http'),
    ('http://', 'names no host'), ('http://:80', 'names no host'),
    ('http://h:99999', 'ort out of range'), ('http://h:abc', 'ort could not be cast'),
    ('http://h:0', 'port 0'), ('http://[::1', 'Invalid IPv6 URL'), ('http://[zz]:80', 'zz'),
    ('http://x y', 'a blank'), ('http://u:p@h', 'user name'), ('https://h?x=1', 'a query'),
    ('http://a..b', 'label')])
def test_addresses_that_cannot_be_gateways_are_explained(url, reason):
    with pytest.raises(ConfigError, match=reason) as caught:
        check_gateway_url(url)
    assert repr(url) in str(caught.value)

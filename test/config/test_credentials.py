# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the key and the source id come from."""

from __future__ import annotations

import json
import re

import pytest

from plexus_bridge.config.credentials import find_api_key
from plexus_bridge.config.credentials import find_source_id
from plexus_bridge.config.credentials import is_loopback
from plexus_bridge.config.credentials import state_folder
from plexus_bridge.errors import ConfigError

LOCAL = 'http://127.0.0.1:8787'
REMOTE = 'https://gateway.example.com'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'gateway').mkdir()
    (tmp_path / 'gateway' / 'key').write_text('plx_local\n')
    (tmp_path / 'config.json').write_text('{"api_key": "plx_file"}')
    return tmp_path


def test_the_environment_goes_before_the_file_before_the_local_gateway(folder):
    assert find_api_key(LOCAL, folder, {'PLEXUS_API_KEY': 'plx_env'}) == 'plx_env'
    assert find_api_key(LOCAL, folder, {'PLEXUS_API_KEY': ''}) == 'plx_file'
    (folder / 'config.json').unlink()
    assert find_api_key(LOCAL, folder, {}) == 'plx_local'


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


@pytest.mark.parametrize(('url', 'expected'), [
    ('http://127.0.0.1:1', True), ('http://localhost', True), ('http://[::1]:8787', True),
    ('http://10.0.0.1', False), ('https://localhost.example.com', False)])
def test_loopback_addresses_are_known(url, expected):
    assert is_loopback(url) is expected


def test_the_state_folder_can_be_set(tmp_path):
    assert state_folder({'PLEXUS_HOME': str(tmp_path)}) == tmp_path
    assert state_folder({}).name == '.plexus'

# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
import re
import stat

import pytest

from plexus_bridge.client.settings import Arguments
from plexus_bridge.client.settings import read_settings
from plexus_bridge.errors import ConfigError
from plexus_bridge.errors import SettingError


def configure(folder: Path, **entries: str) -> dict[str, str]:
    (folder / 'config.json').write_text(json.dumps({'source_id': 'of-file', **entries}))
    return {'PLEXUS_HOME': str(folder)}


NAMES = [
    ('api_key', 'PLEXUS_API_KEY', 'api_key', 'plx_{}'),
    ('endpoint', 'PLEXUS_ENDPOINT', 'endpoint', 'https://{}.example.com'),
    ('gateway_url', 'PLEXUS_GATEWAY_URL', 'gateway_url', 'https://{}.example.com'),
    ('ws_url', 'PLEXUS_GATEWAY_WS_URL', 'gateway_ws_url', 'https://{}.example.com'),
]


@pytest.mark.parametrize(('argument', 'variable', 'entry', 'value'), NAMES)
def test_argument_then_environment_then_file(tmp_path, argument, variable, entry, value):
    environment = {
        **configure(tmp_path, **{'api_key': 'plx_any', entry: value.format('file')}),
        variable: value.format('environment')}
    field = 'device_url' if argument == 'ws_url' else argument

    def found(**given: str) -> str:
        result: str = getattr(read_settings(Arguments(**given), environment), field)
        return result

    assert found(**{argument: value.format('argument')}) == value.format('argument')
    assert found() == value.format('environment')
    environment[variable] = ''  # counts as unset
    assert found() == value.format('file')


def test_the_defaults_are_the_clouds(tmp_path):
    settings = read_settings(Arguments(), configure(tmp_path, api_key='plx_k'))
    assert settings.gateway_url == settings.device_url == 'https://gateway.plexus.company'
    assert settings.endpoint == 'https://app.plexus.company'
    assert settings.source_id == 'of-file'


def test_another_gateway_has_its_socket_and_its_runs_beside_it(tmp_path):
    settings = read_settings(
        Arguments(gateway_url='http://10.0.0.5:8787/'), configure(tmp_path, api_key='plx_k'))
    assert settings.gateway_url == settings.device_url == settings.endpoint
    assert settings.gateway_url == 'http://10.0.0.5:8787'


def test_without_a_key_the_local_gateway_is_taken_if_it_was_ever_started(tmp_path):
    (tmp_path / 'gateway').mkdir()
    (tmp_path / 'gateway' / 'key').write_text('plx_local')
    settings = read_settings(Arguments(), configure(tmp_path))
    assert (settings.gateway_url, settings.api_key) == ('http://127.0.0.1:8787', 'plx_local')
    with_key = read_settings(Arguments(api_key='plx_k'), configure(tmp_path))
    assert with_key.gateway_url == 'https://gateway.plexus.company'


def test_a_web_socket_address_may_be_given_as_such(tmp_path):
    settings = read_settings(
        Arguments(ws_url='wss://sock.example.com'), configure(tmp_path, api_key='plx_k'))
    assert settings.device_url == 'https://sock.example.com'


def test_http_alone_has_no_socket(tmp_path):
    settings = read_settings(Arguments(transport='http'), configure(tmp_path, api_key='plx_k'))
    assert settings.device_url == ''


def test_a_source_id_is_made_up_once_and_kept_where_only_its_owner_reads(tmp_path):
    environment = {'PLEXUS_HOME': str(tmp_path / 'new'), 'PLEXUS_API_KEY': 'plx_k'}
    source_id = read_settings(Arguments(), environment).source_id
    assert re.fullmatch('source-[0-9a-f]{8}', source_id)
    assert read_settings(Arguments(), environment).source_id == source_id
    file = tmp_path / 'new' / 'config.json'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(('given', 'words'), [
    ({'source_id': 'Kiln 7'}, 'lower-case'), ({'source_id': 'x' * 257}, '256'),
    ({'source_id': '0f8fad5b-d9cb-469f-a165-70867728950e'}, 'UUID'),
    ({'gateway_url': 'gateway.example.com'}, 'http'), ({'transport': 'mqtt'}, "'ws' or 'http'"),
    ({'ws_url': 'ftp://x'}, 'http'), ({'api_key': 'pl\nx'}, 'blanks'),
])
def test_what_cannot_be_used_is_told_at_once_as_a_value_error(tmp_path, given, words):
    environment = configure(tmp_path, api_key='plx_k')
    with pytest.raises(ValueError, match=words) as caught:
        read_settings(Arguments(**given), environment)
    assert isinstance(caught.value, SettingError)
    assert isinstance(caught.value, ConfigError)


def test_no_key_anywhere_is_told_with_what_to_do(tmp_path):
    with pytest.raises(SettingError, match='PLEXUS_API_KEY'):
        read_settings(Arguments(), configure(tmp_path))

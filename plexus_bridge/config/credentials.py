# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Who we are and how we prove it: API key and source id (protocol sections 2.5, 2.6 and 3).

Secrets come from the environment or from files that only their owner can read; never from a map
or from ROS parameters, which every node on the graph can read.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path
import secrets
from typing import Any

from plexus_bridge.config.gateway_url import check_gateway_url
from plexus_bridge.config.gateway_url import is_loopback
from plexus_bridge.config.gateway_url import LOCAL_GATEWAY_URL
from plexus_bridge.errors import ConfigError


def state_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of what is kept between runs: PLEXUS_HOME or ``~/.plexus``."""
    home = (os.environ if environment is None else environment).get('PLEXUS_HOME')
    if home:
        return Path(home)
    try:
        return Path.home() / '.plexus'
    except RuntimeError:
        raise ConfigError(
            'there is no home folder to keep things in; set HOME or PLEXUS_HOME') from None


def find_gateway_url(
        named: str, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """
    Return the gateway's address: what a map or option names, else PLEXUS_GATEWAY_URL, else
    ``gateway_url`` of config.json, where pairing puts it, else the local gateway's.
    """
    environment = os.environ if environment is None else environment
    configured = read_config(folder).get('gateway_url')
    url = (named or environment.get('PLEXUS_GATEWAY_URL', '').strip()
           or (configured if isinstance(configured, str) else '') or LOCAL_GATEWAY_URL)
    return check_gateway_url(url.rstrip('/'))


def find_api_key(gateway_url: str, folder: Path,
                 environment: Mapping[str, str] | None = None) -> str:
    """
    Return the key: PLEXUS_API_KEY, else the local gateway's, else ``api_key`` of config.json.

    The local gateway's only for a gateway on this machine, and there before config.json, whose key
    is most often that of a gateway elsewhere. ConfigError if there is none.
    """
    key = (os.environ if environment is None else environment).get('PLEXUS_API_KEY', '').strip()
    if not key and is_loopback(gateway_url):
        key = _local_gateway_key(folder)
    if not key:
        key = next(iter(_configured_keys(folder)), '')
    if not key:
        hint = (f' or start the local gateway (plexus-bridge gateway), which writes '
                f'{_key_file(folder)}' if is_loopback(gateway_url) else '')
        raise ConfigError(
            f'no API key for {gateway_url}: set PLEXUS_API_KEY, or api_key in '
            f'{folder / "config.json"}{hint}')
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f'the API key for {gateway_url} has blanks or letters in it that no key has; copy it '
            'anew')
    return key


def refusal_hint(gateway_url: str, folder: Path, api_key: str,
                 environment: Mapping[str, str] | None = None) -> str:
    """Return where a key that a gateway refuses is from and what to do, or nothing."""
    key_file, config_file = _key_file(folder), folder / 'config.json'
    try:
        local = _local_gateway_key(folder) if is_loopback(gateway_url) else ''
    except ConfigError as error:
        return str(error)
    given = (os.environ if environment is None else environment).get('PLEXUS_API_KEY', '')
    if api_key == given.strip():
        seen, todo = 'the key in use is that of PLEXUS_API_KEY', ''
        if local and local != api_key:
            todo = f'; unset it to use that of the gateway on this machine, in {key_file}'
    elif api_key in _configured_keys(folder):
        seen = f'the key in use is that of {config_file}, where pairing puts it'
        todo = ('; should it have been revoked or have run out, fetch another with plexus-bridge '
                f'pair --force --gateway {gateway_url}')
    else:
        return ''
    if is_loopback(gateway_url) and not local:
        todo += (f'; a gateway on this machine keeps its own in {key_file}, which is not there: '
                 'is its PLEXUS_HOME another one?')
    return seen + todo


def _configured_keys(folder: Path) -> list[str]:
    """Return the key of config.json, if there is one."""
    config = read_config(folder)
    # Gateways take a device token wherever they take a key (section 2.1).
    configured = config.get('api_key') or config.get('device_token')
    key = configured.strip() if isinstance(configured, str) else ''
    return [key] if key else []


def _key_file(folder: Path) -> Path:
    return folder / 'gateway' / 'key'


def _local_gateway_key(folder: Path) -> str:
    try:
        return _key_file(folder).read_text(encoding='ascii').strip()
    except FileNotFoundError:
        return ''
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{_key_file(folder)}: the local gateway's key cannot be read: {error}") from None


def find_source_id(folder: Path) -> str:
    """Return the source id of config.json; made and kept there if there is none."""
    config = read_config(folder)
    source_id = config.get('source_id')
    if isinstance(source_id, str) and source_id:
        return source_id
    source_id = f'source-{secrets.token_hex(4)}'
    _write_config(folder, {**config, 'source_id': source_id})
    return source_id


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json; an unreadable file counts as none, as with the official client (2.5)."""
    try:
        config = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def save_credentials(folder: Path, changes: Mapping[str, Any]) -> Path:
    """
    Change keys of config.json, whole or not at all, and return its path.

    File and folder become their owner's alone (section 2.5); ConfigError if it cannot be written.
    """
    config = read_config(folder)
    if 'api_key' in changes or 'device_token' in changes:
        for name in ('api_key', 'device_token'):  # one of them counts, never an older other
            config.pop(name, None)
    _write_config(folder, {**config, **changes})
    return folder / 'config.json'


def _write_config(folder: Path, config: Mapping[str, Any]) -> None:
    path = folder / 'config.json'
    part = folder / f'.config.json.{os.getpid()}'
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, 'w', encoding='utf-8') as file:
            json.dump(config, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ConfigError(f'{path}: cannot be written: {error}') from None

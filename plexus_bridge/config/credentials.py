# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Who we are and how we prove it: API key and source id (protocol sections 2.5, 2.6 and 3).

Secrets come from the environment or from files that only their owner can read; never from a map
or from ROS parameters, which every node on the graph can read.
"""

from __future__ import annotations

from collections.abc import Mapping
import ipaddress
import json
import os
from pathlib import Path
import secrets
from typing import Any
from urllib.parse import urlsplit

from plexus_bridge.errors import ConfigError


def state_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of all that is kept between runs: PLEXUS_HOME or ``~/.plexus``."""
    home = (os.environ if environment is None else environment).get('PLEXUS_HOME')
    return Path(home) if home else Path.home() / '.plexus'


def find_api_key(gateway_url: str, folder: Path,
                 environment: Mapping[str, str] | None = None) -> str:
    """
    Return the key: PLEXUS_API_KEY, else ``api_key`` of config.json, else the local gateway's.

    The last one only for a gateway on this machine. ConfigError if there is none.
    """
    key = (os.environ if environment is None else environment).get('PLEXUS_API_KEY', '').strip()
    if key:
        return key
    configured = _read_config(folder).get('api_key')
    if isinstance(configured, str) and configured:
        return configured
    key_file = folder / 'gateway' / 'key'
    if is_loopback(gateway_url):
        try:
            return key_file.read_text(encoding='ascii').strip()
        except FileNotFoundError:
            pass
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{key_file}: the local gateway's key cannot be read: {error}"
                              ) from None
    hint = (f' or start the local gateway (plexus-bridge gateway), which writes {key_file}'
            if is_loopback(gateway_url) else '')
    raise ConfigError(
        f'no API key for {gateway_url}: set PLEXUS_API_KEY, or api_key in '
        f'{folder / "config.json"}{hint}')


def find_source_id(folder: Path) -> str:
    """Return the source id of config.json; made and kept there if there is none."""
    config = _read_config(folder)
    source_id = config.get('source_id')
    if isinstance(source_id, str) and source_id:
        return source_id
    source_id = f'source-{secrets.token_hex(4)}'
    _write_config(folder, {**config, 'source_id': source_id})
    return source_id


def is_loopback(url: str) -> bool:
    """Tell whether an address is this machine itself."""
    host = urlsplit(url).hostname or ''
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == 'localhost'


def _read_config(folder: Path) -> dict[str, Any]:
    # An unreadable file counts as none, as with the official client (section 2.5).
    try:
        config = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}


def _write_config(folder: Path, config: Mapping[str, Any]) -> None:
    path = folder / 'config.json'
    part = folder / f'.config.json.{os.getpid()}'
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, 'w', encoding='utf-8') as file:
            json.dump(config, file, indent=2)
        part.replace(path)
    except OSError as error:
        raise ConfigError(f'{path}: cannot be written: {error}') from None

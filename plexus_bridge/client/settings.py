# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Who a program is and where it sends to (protocol sections 2.5, 2.6 and 3).

Everywhere the same order: argument, environment, ``config.json``, default. An empty value of the
environment counts as none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

from plexus_bridge.config.credentials import find_api_key
from plexus_bridge.config.credentials import find_source_id
from plexus_bridge.config.credentials import read_config
from plexus_bridge.config.credentials import state_folder
from plexus_bridge.config.gateway_url import check_gateway_url
from plexus_bridge.errors import ConfigError
from plexus_bridge.errors import PointError
from plexus_bridge.errors import SettingError
from plexus_bridge.points import check_source_id

CLOUD_GATEWAY_URL = 'https://gateway.plexus.company'
CLOUD_ENDPOINT = 'https://app.plexus.company'
LOCAL_GATEWAY_URL = 'http://127.0.0.1:8787'


@dataclass(frozen=True)
class Arguments:
    """What the caller gave; None and '' stand for nothing."""

    api_key: str | None = None
    endpoint: str | None = None
    source_id: str | None = None
    gateway_url: str | None = None
    ws_url: str | None = None
    transport: str = 'ws'


@dataclass(frozen=True)
class Settings:
    """
    Everything that is needed to reach a gateway.

    `device_url` is the address of the device socket, '' for HTTP alone; `endpoint` is that of the
    app API, where runs are kept; `folder` is where state is kept.
    """

    api_key: str
    gateway_url: str
    device_url: str
    endpoint: str
    source_id: str
    folder: Path


def read_settings(given: Arguments, environment: Mapping[str, str] | None = None) -> Settings:
    """Put arguments, environment, config.json and defaults together; SettingError if it fails."""
    try:
        return _read(given, os.environ if environment is None else environment)
    except PointError as error:
        raise SettingError(str(error)) from None
    except ConfigError as error:
        raise SettingError(str(error)) from None


def _read(given: Arguments, environment: Mapping[str, str]) -> Settings:
    folder = state_folder(environment)
    config = read_config(folder)

    def find(argument: str | None, variable: str, key: str) -> str:
        configured = config.get(key)
        return (argument or environment.get(variable, '').strip()
                or (configured if isinstance(configured, str) else ''))

    named_gateway = find(given.gateway_url, 'PLEXUS_GATEWAY_URL', 'gateway_url')
    key = find(given.api_key, 'PLEXUS_API_KEY', 'api_key')
    gateway_url = check_gateway_url(
        (named_gateway or _default_gateway(key, folder)).rstrip('/'))
    endpoint = find(given.endpoint, 'PLEXUS_ENDPOINT', 'endpoint')
    if not endpoint:
        # A gateway other than the cloud's has its app API beside it.
        endpoint = CLOUD_ENDPOINT if gateway_url == CLOUD_GATEWAY_URL else gateway_url
    device_url = find(given.ws_url, 'PLEXUS_GATEWAY_WS_URL', 'gateway_ws_url') or gateway_url
    source_id = check_source_id(given.source_id or find_source_id(folder), refuse_uuid=True)
    return Settings(
        api_key=find_api_key(gateway_url, folder, _with_key(environment, given.api_key)),
        gateway_url=gateway_url, device_url=_device_url(given.transport, device_url),
        endpoint=check_gateway_url(endpoint.rstrip('/')), source_id=source_id, folder=folder)


def _default_gateway(key: str, folder: Path) -> str:
    """Return the cloud's address; without a key for it, that of a local gateway that has one."""
    if not key and (folder / 'gateway' / 'key').exists():
        return LOCAL_GATEWAY_URL
    return CLOUD_GATEWAY_URL


def _with_key(environment: Mapping[str, str], key: str | None) -> Mapping[str, str]:
    if not key:
        return environment
    changed: dict[str, Any] = {**environment, 'PLEXUS_API_KEY': key}
    return changed


def _device_url(transport: str, url: str) -> str:
    if transport == 'http':
        return ''
    if transport != 'ws':
        raise ConfigError(f"transport: saw {transport!r}, expected 'ws' or 'http'")
    # Checked as the http address that it is opened by.
    http_url = f'http{url[2:]}' if url.startswith(('ws://', 'wss://')) else url
    return check_gateway_url(http_url)

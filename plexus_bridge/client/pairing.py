# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
`plexus-bridge pair`: fetches a key from a gateway and keeps it in config.json.

With a code that the gateway showed, or by showing a code that somebody approves there (protocol
sections 11.7 and 2.5).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
import sys
import time
from typing import Any
from typing import NamedTuple

import requests

from plexus_bridge import encoding
from plexus_bridge.client.http_session import open_session
from plexus_bridge.client.http_session import read_content
from plexus_bridge.config.credentials import find_gateway_url
from plexus_bridge.config.credentials import read_config
from plexus_bridge.config.credentials import save_credentials
from plexus_bridge.config.credentials import state_folder
from plexus_bridge.config.gateway_url import is_loopback
from plexus_bridge.config.gateway_url import LOCAL_GATEWAY_URL
from plexus_bridge.errors import ConfigError
from plexus_bridge.errors import LinkError
from plexus_bridge.errors import PointError
from plexus_bridge.exit_codes import EXIT_CONFIGURATION
from plexus_bridge.exit_codes import EXIT_FAILURE
from plexus_bridge.points import check_source_id

TIMEOUT_S = 10.0
MAX_WAIT_S = 3600
MAX_ANSWER_BYTES = 65536

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        '--code', help='the code that `plexus-bridge gateway pair` printed; without it this '
                       'machine shows a code, to be approved there')
    parser.add_argument(
        '--gateway', metavar='URL', help='address of the gateway; default: PLEXUS_GATEWAY_URL, '
                                         'else gateway_url of config.json, else '
                                         f'{LOCAL_GATEWAY_URL}')
    parser.add_argument('--name', help='what this machine calls itself while it waits',
                        default='')
    parser.add_argument(
        '--force', action='store_true', help='take the place of a key that is there already')


def run(args: argparse.Namespace) -> int:
    """Pair this machine; 0 when the key is kept, 1 when there is none, 78 for wrong settings."""
    try:
        folder = state_folder()
        config = read_config(folder)
        url = find_gateway_url(args.gateway or '', folder)
        if config.get('api_key') and not args.force:
            raise ConfigError(
                f'{folder / "config.json"} has a key already, {str(config["api_key"])[:8]}…; give '
                '--force to have another take its place')
        told = by_code(url, args.code) if args.code else by_approval(url, args.name, _say)
        _keep(folder, url, told)
    except ConfigError as error:
        print(f'plexus-bridge pair: {error}', file=sys.stderr)
        return EXIT_CONFIGURATION
    except LinkError as error:
        print(f'plexus-bridge pair: {error}', file=sys.stderr)
        return EXIT_FAILURE
    return 0


def by_code(url: str, code: str) -> dict[str, Any]:
    """Return what the gateway gives for a code; LinkError says why it gives nothing."""
    answer = _ask(url, 'POST', '/api/sources/pair/complete',
                  json={'code': code.strip(), 'credential': 'api_key'})
    if answer.status == 404:
        raise LinkError(f'{url} knows no code {code.strip()!r}; have it print one with '
                        '`plexus-bridge gateway pair`')
    return _told(url, answer)


def by_approval(url: str, name: str, say: Say, sleep: Callable[[float], None] = time.sleep,
                ) -> dict[str, Any]:
    """Show a code and wait until somebody approves it; LinkError when they do not."""
    begun = _told(url, _ask(url, 'POST', '/api/auth/device', json={'name': name} if name else {}))
    try:
        code, device_code = str(begun['user_code']), str(begun['device_code'])
        page = str(begun.get('verification_uri_complete', ''))
        interval_s = min(max(float(begun.get('interval', 5)), 0.1), 60.0)
        left = min(int(begun.get('expires_in', 900)), MAX_WAIT_S) / interval_s
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise LinkError(f'{url}: answered without what pairing needs: {error!r}') from None
    say(f'code    {code}')
    say(f'Approve it on {page or "the page of the gateway"}')
    say(f'or there with: plexus-bridge gateway pair --approve {code}')
    while left > 0:
        sleep(interval_s)
        left -= 1
        answer = _ask(url, 'GET', '/api/auth/device', params={'device_code': device_code})
        if answer.status == 403:
            raise LinkError(f'{url}: somebody there turned this machine away')
        if answer.status not in (202, 429):
            return _told(url, answer)
    raise LinkError(f'{url}: nobody approved the code {code} in time')


class _Answer(NamedTuple):
    status: int
    reason: str
    content: bytes
    retry_after: str


def _ask(url: str, method: str, path: str, **options: Any) -> _Answer:
    try:
        # A redirect would carry the code, and bring a key, over a road that nobody chose.
        with open_session(url) as session, session.request(
                method, url + path, timeout=TIMEOUT_S, allow_redirects=False, stream=True,
                **options) as response:
            return _Answer(response.status_code, response.reason,
                           read_content(response, MAX_ANSWER_BYTES),
                           response.headers.get('Retry-After', '')[:10])
    except requests.RequestException as error:
        raise LinkError(
            f'{url}: cannot be reached: {error}; does the gateway run, and listen on an address '
            'that this machine reaches (--host)?') from None


def _told(url: str, answer: _Answer) -> dict[str, Any]:
    """Return the JSON object of an answer that is a success; LinkError otherwise."""
    try:
        body = encoding.loads(answer.content)
    except ValueError:
        body = None
    if answer.status == 200 and isinstance(body, dict):
        return body
    told = body.get('message') or body.get('error') if isinstance(body, dict) else None
    hint = f'; try again in {answer.retry_after} s' if answer.retry_after else ''
    raise LinkError(f'{url}: saw status {answer.status}, expected 200: '
                    f'{str(told or answer.reason)[:200]}{hint}')


def _keep(folder: Path, url: str, told: Mapping[str, Any]) -> None:
    """Write what came to config.json, where the bridge and the official SDKs find it."""
    kept: dict[str, Any] = {
        name: told[name] for name in ('api_key', 'device_token', 'source_name', 'org_id')
        if isinstance(told.get(name), str) and told[name].isprintable()}
    if not {'api_key', 'device_token'} & kept.keys():
        raise LinkError(f'{url}: answered without a key')
    if told.get('source_id') is not None:
        try:
            kept['source_id'] = check_source_id(told['source_id'])
        except PointError as error:
            raise LinkError(f'{url}: gave a name that is none: {error}') from None
    kept.update(gateway_url=url, gateway_ws_url=url.replace('http', 'ws', 1), endpoint=url)
    path = save_credentials(folder, kept)
    _say(f'paired with {url}' + (f' as {kept["source_id"]}' if 'source_id' in kept else ''))
    _say(f'the key is in {path}, readable by you alone')
    if url.startswith('http:') and not is_loopback(url):
        _say('WARNING: this road is not encrypted: whoever listens on it has seen the key')


def _say(text: str) -> None:
    print(text, flush=True)
